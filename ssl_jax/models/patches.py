"""Images as sequences of patches, and back."""

import jax

from ssl_jax.models import settings


def patchify(images: jax.Array, patch_size: int) -> jax.Array:
    """Cuts images into patches.

    Args:
      images: [B, H, W, C], H and W multiples of `patch_size`.
      patch_size: side of a patch in pixels.

    Returns:
      [B, H/p * W/p, p * p * C]: patches row by row; in each, the order is (row, column, channel).
    """
    batch, height, width, channels = images.shape
    settings.divisible("image height", height, "patch_size", patch_size)
    settings.divisible("image width", width, "patch_size", patch_size)
    rows, columns = height // patch_size, width // patch_size
    patches = images.reshape(batch, rows, patch_size, columns, patch_size, channels)
    return patches.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows * columns, -1)


def unpatchify(patches: jax.Array, grid: tuple[int, int], channels: int = 3) -> jax.Array:
    """Puts patches together again: the inverse of `patchify`.

    Args:
      patches: [B, rows * columns, p * p * channels].
      grid: (rows, columns).
      channels: colours a pixel has.

    Returns:
      images [B, rows * p, columns * p, channels].
    """
    batch, count, features = patches.shape
    side = round((features / channels) ** 0.5)
    if count != grid[0] * grid[1] or side * side * channels != features:
        raise ValueError(f"patches {patches.shape} do not make a grid {tuple(grid)} with {channels} channels")
    pixels = patches.reshape(batch, grid[0], grid[1], side, side, channels)
    return pixels.transpose(0, 1, 3, 2, 4, 5).reshape(batch, grid[0] * side, grid[1] * side, channels)
