"""What of an image is seen, a block of patches that may go on at the other side, and what of the rest is predicted."""

import math

import jax
import jax.numpy as jnp

from ssl_jax.masking.blocks import box


def inverse_block(key: jax.Array, grid: tuple[int, int], visible: int, *, least_aspect: float = 0.5) -> jax.Array:
    """Hides all patches but a block of `visible` ones, rolled around the image by a random shift.

    The logarithm of the block's aspect is uniform between those of `least_aspect` and its inverse, as far as the grid
    has room. Its sides are rounded up, and its last patches left out, so that exactly so many are seen. Rolled, it is
    as often at the edge as in the middle: without that, the middle would hardly ever be hidden.

    Source: Darcet et al., "Cluster and Predict Latent Patches for Improved Masked Image Modeling" (CAPI), 2025, and the
    authors' code (`InverseBlockMasking` in `data.py`, with `roll`).

    Args:
      key: of this example.
      grid: rows and columns of patches.
      visible: how many patches are seen, a Python number.
      least_aspect: least height over width of the block.

    Returns:
      bool [rows * columns], row by row: True where hidden.

    Raises:
      ValueError: `visible` is not from 1 to all patches but one, the aspect is not in (0, 1], or no such block fits.
    """
    rows, columns = grid
    if not 1 <= visible < rows * columns:
        raise ValueError(f"visible {visible} is not from 1 to all but one of {rows * columns} patches")
    if not 0 < least_aspect <= 1:
        raise ValueError(f"least_aspect {least_aspect} is not in (0, 1]")
    aspect_key, place_key, shift_key = jax.random.split(key, 3)
    low = max(math.log(least_aspect), math.log(visible / columns**2))
    high = min(-math.log(least_aspect), math.log(rows**2 / visible))
    if low > high:
        raise ValueError(f"least_aspect {least_aspect} allows no block of {visible} patches on {rows} x {columns}")
    aspect = jnp.exp(low + (high - low) * jax.random.uniform(aspect_key))
    sides = jnp.ceil(jnp.sqrt(jnp.stack([visible * aspect, visible / aspect]))).astype(jnp.int32)
    sides = jnp.minimum(sides, jnp.array(grid))  # which float32 may pass where a block has all of a side
    first = jax.random.randint(place_key, (2,), 0, jnp.array(grid) - sides + 1)
    row, column = jnp.arange(rows)[:, None] - first[0], jnp.arange(columns)[None, :] - first[1]
    inside = box(grid, first, sides) & (row * sides[1] + column < visible)
    shift = jax.random.randint(shift_key, (2,), 0, jnp.array(grid))
    return ~jnp.roll(inside, shift, axis=(0, 1)).reshape(-1)
