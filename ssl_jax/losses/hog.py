"""Histograms of oriented gradients, the targets of MaskFeat."""

import jax
import jax.numpy as jnp

from ssl_jax.losses.checks import check_positive
from ssl_jax.losses.contrastive import unit_length


def hog(images: jax.Array, *, patch_size: int = 16, cell: int = 8, bins: int = 9) -> jax.Array:
    """Histograms of oriented gradients (HOG) of each patch.

    Each channel by itself: 3x3 Sobel gradients, with the image reflected at its border; their unsigned orientation,
    0 to 180 degrees, falls into one of `bins` equal bins, counted with the gradient's length; a cell's histogram is
    the sum over its pixels, scaled to an L2 norm of 1. No gradient flows through.

    Source: Wei et al., "Masked Feature Prediction for Self-Supervised Visual Pre-Training", 2022, section 3; of the
    paper's choices, those of the authors' code: hard bins (none between two), no window, and each cell normalised
    alone, not in overlapping blocks as in Dalal and Triggs. Orientations are counted from the y axis: bin 0 holds
    gradients along y, the middle bin those along x. Flat cells are zeros. To that end differences are taken before
    they are smoothed, since a convolution's rounding errors would be scaled to length 1, too; and norms under 1e-6
    count as 1e-6 (there 1e-12).

    Args:
      images: [B, H, W, C], any type.
      patch_size: side of a patch in pixels, a multiple of `cell`.
      cell: side of a cell in pixels.
      bins: of orientations.

    Returns:
      float32 [B, N, C * bins * (patch_size / cell)^2], patches row by row. A patch's values are ordered as in the
      authors' code: channel, bin, row of cells, column of cells.

    Raises:
      ValueError: the sizes do not fit, or the images are too small to be reflected.
    """
    _check_sizes(images, patch_size, cell, bins)
    gx, gy = _sobel(jax.lax.stop_gradient(images.astype(jnp.float32)))
    length, index = jnp.sqrt(gx * gx + gy * gy), _orientation(gx, gy, bins)

    b, h, w, c = images.shape
    votes = index[..., None] == jnp.arange(bins).reshape((1,) * 4 + (bins,))
    votes = jnp.where(votes, length[..., None], 0.0).reshape(b, h // cell, cell, w // cell, cell, c, bins)
    cells = unit_length(jnp.sum(votes, axis=(2, 4)))

    side = patch_size // cell
    cells = cells.reshape(b, h // patch_size, side, w // patch_size, side, c, bins)
    return cells.transpose(0, 1, 3, 5, 6, 2, 4).reshape(b, (h // patch_size) * (w // patch_size), -1)


def _check_sizes(images, patch_size, cell, bins):
    check_positive(patch_size=patch_size, cell=cell, bins=bins)
    if images.ndim != 4 or min(images.shape[1:3]) < 2:
        raise ValueError(f"images must be [B, H, W, C] of at least 2 x 2 pixels, not {images.shape}")
    if patch_size % cell:
        raise ValueError(f"patch_size {patch_size} is not a multiple of cell {cell}")
    if any(side % patch_size for side in images.shape[1:3]):
        raise ValueError(f"images of {images.shape[1]} x {images.shape[2]} pixels are not made of patches {patch_size}")


def _sobel(images):
    """Gradients along x and y: differences first, so that where nothing changes they are 0 exactly."""
    padded = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    across = padded[:, :, :-2] - padded[:, :, 2:]
    down = padded[:, :-2] - padded[:, 2:]
    gx = across[:, :-2] + 2 * across[:, 1:-1] + across[:, 2:]
    gy = down[:, :, :-2] + 2 * down[:, :, 1:-1] + down[:, :, 2:]
    return gx, gy


def _orientation(gx, gy, bins):
    """The bin of each gradient; opposite ones, turned into one half plane, share it exactly."""
    turned = (gx < 0) | ((gx == 0) & (gy < 0))
    angle = jnp.arctan2(jnp.where(turned, -gx, gx), jnp.where(turned, -gy, gy))
    return jnp.floor(angle * (bins / jnp.pi)).astype(jnp.int32) % bins
