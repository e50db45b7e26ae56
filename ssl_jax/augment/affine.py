"""Rotation, translation, scale and shear, as one resampling."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Affine(NamedTuple):
    """Drawn parameters, scalars.

    Attributes:
      angle: rotation in radians, clockwise as one looks at the picture.
      down: shift downwards, in heights of the image.
      right: shift to the right, in widths of the image.
      scale: magnification.
      shear: in radians; positive leans the top of the picture to the right, before it is rotated.
    """

    angle: jax.Array
    down: jax.Array
    right: jax.Array
    scale: jax.Array
    shear: jax.Array


def draw_affine(
    key: jax.Array, *, degrees: float, translate: float, scale: tuple[float, float], shear: float
) -> Affine:
    """Draws each parameter uniformly.

    Args:
      key: of this view.
      degrees: rotation between `-degrees` and `degrees`.
      translate: shift each way by at most this part of the image's side.
      scale: the range of magnification.
      shear: between `-shear` and `shear` degrees.
    """
    u = jax.random.uniform(key, (5,))
    both = 2 * u - 1
    return Affine(
        angle=jnp.deg2rad(degrees) * both[0],
        down=translate * both[1],
        right=translate * both[2],
        scale=scale[0] + (scale[1] - scale[0]) * u[3],
        shear=jnp.deg2rad(shear) * both[4],
    )


def affine(image: jax.Array, parameters: Affine, *, out_size: int, fill: float = 0.0) -> jax.Array:
    """Transforms the image about its centre and resamples it bilinearly.

    Args:
      image: float32 [H, W, C].
      parameters: from `draw_affine`, or chosen.
      out_size: height and width of the result, which shows the whole canvas (no smoothing where that shrinks it).
      fill: the value of what lies outside of the image.

    Returns:
      float32 [out_size, out_size, C].
    """
    rows, columns = _source(parameters, image.shape[0], image.shape[1], out_size)
    top, left = jnp.floor(rows), jnp.floor(columns)
    below, beside = rows - top, columns - left
    corners = (
        (top, left, (1 - below) * (1 - beside)),
        (top, left + 1, (1 - below) * beside),
        (top + 1, left, below * (1 - beside)),
        (top + 1, left + 1, below * beside),
    )
    return fill + sum(_corner(image, *corner, fill) for corner in corners)


def nearest(image: jax.Array, rows: jax.Array, columns: jax.Array, *, fill: float | None) -> jax.Array:
    """The pixel nearest to each place.

    Args:
      image: float32 [H, W, C].
      rows: where each pixel of the result comes from, float32 [h, w]; 0 is the centre of the first row.
      columns: likewise.
      fill: the value of what lies outside of the image; None: the image goes on mirrored there, edge pixels twice.

    Returns:
      float32 [h, w, C].
    """
    # Halfway goes up, also where rounding has left a place just short of it: so compilers decide nothing.
    rows, columns = jnp.floor(rows + 0.5001), jnp.floor(columns + 0.5001)
    if fill is None:
        return _corner(image, _mirrored(rows, image.shape[0]), _mirrored(columns, image.shape[1]), 1.0, 0.0)
    return fill + _corner(image, rows, columns, 1.0, fill)


def _mirrored(index, size):
    index = index - 2 * size * jnp.floor(index / (2 * size))
    return jnp.where(index < size, index, 2 * size - 1 - index)


def _source(parameters, height, width, out_size):
    """Where in the image each pixel of the result comes from: rows and columns, [out_size, out_size] each."""
    grid = (jnp.arange(out_size, dtype=jnp.float32) + 0.5) / out_size - 0.5
    down = ((grid - parameters.down) * height)[:, None]
    right = ((grid - parameters.right) * width)[None, :]
    cos, sin = jnp.cos(parameters.angle), jnp.sin(parameters.angle)
    # The inverse of: x -= tan(shear) * y, then rotate (clockwise, as y points down), then scale.
    back_down = (cos * down - sin * right) / parameters.scale
    back_right = (cos * right + sin * down) / parameters.scale + jnp.tan(parameters.shear) * back_down
    return back_down + (height - 1) / 2, back_right + (width - 1) / 2


def _corner(image, row, column, weight, fill):
    height, width, channels = image.shape
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    index = jnp.clip(row, 0, height - 1) * width + jnp.clip(column, 0, width - 1)
    pixels = image.reshape(height * width, channels)[index.astype(jnp.int32)]
    return jnp.where(inside, weight, 0.0)[..., None] * (pixels - fill)
