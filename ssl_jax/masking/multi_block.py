"""What of an image is seen, and which blocks of it are predicted from that."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax.masking.blocks import box, hidden_first, some_places

Range = tuple[float, float]
_ATTEMPTS = 20  # to draw a context that is not too short


class Blocks(NamedTuple):
    """What is seen of one image, and what is predicted; patches are counted row by row.

    Attributes:
      visible: numbers of the patches of the context, int32 [V].
      seen: whether each of them counts, bool [V]: False fills up.
      targets: numbers of the patches of each target block, int32 [K, T].
      counted: whether each of them counts, bool [K, T].
    """

    visible: jax.Array
    seen: jax.Array
    targets: jax.Array
    counted: jax.Array


def multi_block(
    key: jax.Array,
    grid: tuple[int, int],
    *,
    most_visible: int,
    least_visible: int = 11,
    targets: int = 4,
    target_scale: Range = (0.15, 0.2),
    target_aspect: Range = (0.75, 1.5),
    context_scale: Range = (0.85, 1.0),
) -> Blocks:
    """Draws target blocks, which may overlap, and a large context block from which all of them are cut out.

    Source: Assran et al., "Self-Supervised Learning from Images with a Joint-Embedding Predictive Architecture", 2023,
    section 3 and appendix A.1, and the authors' code (`masks/multiblock.py`). There, blocks are always at least one
    patch lower and narrower than the grid, as here. The code draws one size for all blocks and images of a device's
    batch, and scale and aspect from one number; here each image has a size of its own, shared by its targets, and scale
    and aspect are independent, as the paper says. The code cuts the contexts of a batch to the shortest, from the last
    patch on; here a context has at most `most_visible` patches, those left out being drawn, and shorter ones are filled
    up. Where a context has no more than 10 patches, the code draws its place again, and in the end lets it overlap with
    targets; here all is drawn again, up to twenty times, and then taken as it is.

    Args:
      key: of this example.
      grid: rows and columns of patches.
      most_visible: V, at most so many patches of the context are seen.
      least_visible: a context of fewer patches is drawn again.
      targets: K, how many target blocks.
      target_scale: range of their area, relative to the grid's.
      target_aspect: range of their height over their width.
      context_scale: range of the context block's area; it is as high as wide.

    Raises:
      ValueError: a setting is out of range, or the grid is too small.
    """
    _check(grid, (least_visible, most_visible), targets, target_scale, target_aspect, context_scale)
    order_key, key = jax.random.split(key)

    def draw(number):
        return _drawn(jax.random.fold_in(key, number), grid, targets, target_scale, target_aspect, context_scale)

    too_short = lambda drawn: (drawn[1].sum() < least_visible) & (drawn[2] < _ATTEMPTS)
    again = lambda drawn: (*draw(drawn[2]), drawn[2] + 1)
    blocks, context, _ = jax.lax.while_loop(too_short, again, (*draw(0), 1))
    visible, seen = hidden_first(some_of(order_key, context, most_visible), most_visible)
    most = most_in_target(grid, target_scale, target_aspect)
    places, counted = jax.vmap(lambda block: hidden_first(block, most))(blocks)
    return Blocks(visible, seen > 0, places, counted > 0)


def _drawn(key, grid, targets, target_scale, target_aspect, context_scale):
    """Target blocks, bool [K, rows * columns], and the context without them, bool [rows * columns]."""
    scale_key, aspect_key, place_key, context_scale_key, context_key = jax.random.split(key, 5)
    aspect = jax.random.uniform(aspect_key, minval=target_aspect[0], maxval=target_aspect[1])
    largest = (grid[0] - 1, grid[1] - 1)
    size = draw_size(scale_key, grid, target_scale, aspect, largest)
    blocks = jax.vmap(lambda k: draw_block(k, grid, size))(jax.random.split(place_key, targets))
    context = draw_block(context_key, grid, draw_size(context_scale_key, grid, context_scale, 1.0, largest))
    return blocks, context & ~blocks.any(0)


def most_in_target(grid: tuple[int, int], scale: Range, aspect: Range) -> int:
    """T: the most patches that a target block can have, for any size and aspect within the ranges."""
    area, most = int(np.float32(grid[0] * grid[1]) * np.float32(scale[1])), 1  # as `draw_size` rounds
    for height in range(1, area + 1):
        flattest = max((height - 0.5) ** 2 / area, aspect[0])  # the least aspect that rounds to this height
        if flattest <= min((height + 0.5) ** 2 / area, aspect[1]):
            width = math.floor(math.sqrt(area / flattest) + 0.5)
            most = max(most, min(height, grid[0] - 1) * min(width, grid[1] - 1))
    return most


def draw_size(
    key: jax.Array, grid: tuple[int, int], scale: Range, aspect: jax.Array | float, largest: tuple[int, int]
) -> jax.Array:
    """Rows and columns of a block, int32 [2], at most `largest`; its area, relative to the grid's, is uniform."""
    share = jax.random.uniform(key, minval=scale[0], maxval=scale[1])
    area = jnp.floor(grid[0] * grid[1] * share)
    sides = jnp.round(jnp.sqrt(jnp.stack([area * aspect, area / aspect])))
    return jnp.clip(sides, 1, jnp.array(largest)).astype(jnp.int32)


def draw_block(key: jax.Array, grid: tuple[int, int], size: jax.Array) -> jax.Array:
    """bool [rows * columns] of a block of that size at a place drawn uniformly."""
    # The authors' code never puts a block at the last place; here every place is drawn.
    return box(grid, jax.random.randint(key, (2,), 0, jnp.array(grid) - size + 1), size).reshape(-1)


def some_of(key: jax.Array, mask: jax.Array, most: int) -> jax.Array:
    """At most so many of the True ones, drawn uniformly: bool [N]."""
    return mask & jnp.zeros_like(mask).at[some_places(key, mask, most)].set(True)


def _check(grid, visible, targets, target_scale, target_aspect, context_scale):
    if targets < 1:
        raise ValueError(f"targets {targets} is below 1")
    if not 1 <= visible[0] <= visible[1] <= grid[0] * grid[1]:
        raise ValueError(
            f"least_visible {visible[0]} and most_visible {visible[1]} must be, in this order, from 1 to the "
            f"{grid[0] * grid[1]} patches"
        )
    if min(grid) < 2:
        raise ValueError(f"a grid of {grid[0]} x {grid[1]} patches is too small for blocks: at least 2 x 2")
    for name, (low, high), most in (
        ("target_scale", target_scale, 1),
        ("context_scale", context_scale, 1),
        ("target_aspect", target_aspect, math.inf),
    ):
        if not 0 < low <= high <= most:
            raise ValueError(f"{name} {(low, high)} is not a range, low before high, above 0 and at most {most}")
    if int(grid[0] * grid[1] * target_scale[0]) < 1:
        raise ValueError(f"target_scale {tuple(target_scale)} leaves no patch of {grid[0]} x {grid[1]}")
