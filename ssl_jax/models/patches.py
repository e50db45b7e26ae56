"""Images and clips as sequences of patches, and back."""

import jax
import jax.numpy as jnp

from ssl_jax.models import settings


def patchify(images: jax.Array, patch_size: int) -> jax.Array:
    """Cuts images into patches.

    Args:
      images: [B, H, W, C], H and W multiples of `patch_size`.
      patch_size: side of a patch in pixels.

    Returns:
      [B, H/p * W/p, p * p * C]: patches row by row; in each, the order is (row, column, channel).

    Raises:
      ValueError: a side that is no multiple of `patch_size`.
    """
    batch, height, width, channels = images.shape
    settings.divisible("image height", height, "patch_size", patch_size)
    settings.divisible("image width", width, "patch_size", patch_size)
    rows, columns = height // patch_size, width // patch_size
    patches = images.reshape(batch, rows, patch_size, columns, patch_size, channels)
    return patches.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows * columns, -1)


def patchify_clips(clips: jax.Array, patch_size: int, tubelet_size: int) -> jax.Array:
    """Cuts clips into patches that last several frames.

    Args:
      clips: [B, T, H, W, C], H and W multiples of `patch_size`, T one of `tubelet_size`.
      patch_size: side of a patch in pixels.
      tubelet_size: its frames.

    Returns:
      [B, T/t * H/p * W/p, t * p * p * C]: patches time by time, and there row by row; in each, the order is (frame,
      row, column, channel).

    Raises:
      ValueError: a side that is no multiple of `patch_size`, or a length that is none of `tubelet_size`.
    """
    batch, frames, height, width, channels = clips.shape
    settings.divisible("clip length", frames, "tubelet_size", tubelet_size)
    settings.divisible("clip height", height, "patch_size", patch_size)
    settings.divisible("clip width", width, "patch_size", patch_size)
    times, rows, columns = frames // tubelet_size, height // patch_size, width // patch_size
    patches = clips.reshape(batch, times, tubelet_size, rows, patch_size, columns, patch_size, channels)
    return patches.transpose(0, 1, 3, 5, 2, 4, 6, 7).reshape(batch, times * rows * columns, -1)


def unpatchify(patches: jax.Array, grid: tuple[int, int], channels: int = 3) -> jax.Array:
    """Puts patches together again: the inverse of `patchify`.

    Args:
      patches: [B, rows * columns, p * p * channels].
      grid: (rows, columns).
      channels: colours a pixel has.

    Returns:
      images [B, rows * p, columns * p, channels].

    Raises:
      ValueError: patches that do not make the grid.
    """
    batch, count, features = patches.shape
    side = round((features / channels) ** 0.5)
    if count != grid[0] * grid[1] or side * side * channels != features:
        raise ValueError(f"patches {patches.shape} do not make a grid {tuple(grid)} with {channels} channels")
    pixels = patches.reshape(batch, grid[0], grid[1], side, side, channels)
    return pixels.transpose(0, 1, 3, 2, 4, 5).reshape(batch, grid[0] * side, grid[1] * side, channels)


def take_patches(tokens: jax.Array, places: jax.Array) -> jax.Array:
    """Tokens [B, N, F] of the patches at `places`, int [B, M]: [B, M, F]."""
    return jnp.take_along_axis(tokens, places[:, :, None], axis=1)
