"""Which patches of an image are hidden, in rectangular blocks."""

import math

import jax
import jax.numpy as jnp

_ATTEMPTS = 10  # in a row that may fail


def block_patches(
    key: jax.Array,
    grid: tuple[int, int],
    count: jax.Array | float,
    *,
    min_block: int = 4,
    min_aspect: float = 0.3,
) -> jax.Array:
    """Hides rectangles of patches until `count` patches are hidden, or ten attempts in a row found no place for one.

    The area of a rectangle is uniform between `min_block` and what is still missing, the logarithm of its aspect
    uniform between those of `min_aspect` and its inverse. A rectangle as high or as wide as the grid is not taken, nor
    one that would hide more than is missing, or nothing new.

    Source: Bao et al., "BEiT: BERT Pre-Training of Image Transformers", 2022, algorithm 1, as in the official codes of
    iBOT (`loader.py`; `min_block` is the square of a third of the side, rounded down) and DINOv2
    (`data/masking.py`; 4).

    Args:
      key: of this example.
      grid: rows and columns of patches.
      count: how many patches to hide at most; 0 hides none.
      min_block: smallest area that is drawn.
      min_aspect: smallest aspect.

    Returns:
      bool [rows * columns], row by row: True where hidden.

    Raises:
      ValueError: `min_block` is below 1, or the aspect not in (0, 1].
    """
    if min_block < 1:
        raise ValueError(f"min_block {min_block} is below 1")
    if not 0 < min_aspect <= 1:
        raise ValueError(f"min_aspect {min_aspect} is not in (0, 1]")
    count = jnp.float32(count)

    def goes_on(state):
        mask, _, failures = state
        return (mask.sum() < count) & (failures < _ATTEMPTS)

    def attempt(state):
        mask, number, failures = state
        missing = count - mask.sum()
        block = _rectangle(jax.random.fold_in(key, number), grid, min_block, missing, math.log(min_aspect))
        new = jnp.sum(block & ~mask)
        taken = (new > 0) & (new <= missing)
        return jnp.where(taken, mask | block, mask), number + 1, jnp.where(taken, 0, failures + 1)

    start = (jnp.zeros(grid, bool), jnp.int32(0), jnp.int32(0))
    return jax.lax.while_loop(goes_on, attempt, start)[0].reshape(-1)


def exact_blocks(
    key: jax.Array, grid: tuple[int, int], count: int, *, min_block: int = 16, min_aspect: float = 0.3
) -> jax.Array:
    """`block_patches`, and then single patches, drawn uniformly, until exactly `count` are hidden.

    Source: as above. The official codes of BEiT, data2vec (both with a `min_block` of 16) and MaskFeat (a fifth of
    `count`) stop where the blocks do, so that most pictures hide a few patches less; here all hide as many.

    Args:
      key: of this example.
      grid: rows and columns of patches.
      count: how many patches to hide, a Python number.
      min_block: smallest area that is drawn.
      min_aspect: smallest aspect.

    Returns:
      bool [rows * columns], row by row: True where hidden.

    Raises:
      ValueError: see `block_patches`; or there are not so many patches.
    """
    if not 0 <= count <= grid[0] * grid[1]:
        raise ValueError(f"count {count} is not between 0 and the {grid[0] * grid[1]} patches")
    block_key, fill_key = jax.random.split(key)
    blocks = block_patches(block_key, grid, count, min_block=min_block, min_aspect=min_aspect)
    order = jnp.argsort(jnp.where(blocks, -1.0, jax.random.uniform(fill_key, blocks.shape)))
    return jnp.zeros_like(blocks).at[order[:count]].set(True)


def _rectangle(key, grid, low, high, log_aspect):
    """bool [rows, columns], nothing where the rectangle drawn does not fit."""
    u = jax.random.uniform(key, (4,))
    area = low + (high - low) * u[0]
    aspect = jnp.exp(log_aspect * (1 - 2 * u[1]))
    sides = jnp.round(jnp.sqrt(jnp.stack([area * aspect, area / aspect])))
    room = jnp.array(grid) - sides
    return box(grid, jnp.floor(u[2:] * (room + 1)), sides) & jnp.all(room > 0)


def box(grid: tuple[int, int], first: jax.Array, sides: jax.Array) -> jax.Array:
    """bool [rows, columns], True in the rectangle of those `sides`, [2], whose upper left place is `first`, [2]."""
    rows, columns = jnp.arange(grid[0])[:, None], jnp.arange(grid[1])[None, :]
    inside = lambda places, axis: (places >= first[axis]) & (places < first[axis] + sides[axis])
    return inside(rows, 0) & inside(columns, 1)


def spread_ratios(key: jax.Array, count: int, *, share: float = 0.5, low: float = 0.1, high: float = 0.5) -> jax.Array:
    """How much to hide of each image of a batch: nothing of some, and of the others ratios that fill a range evenly.

    Of `int(share * count)` images, one at least, one ratio is drawn from each of as many equal parts of the range;
    all are shuffled.

    Source: DINOv2's official code (`data/collate.py`), within a device's batch there, where too small a share of few
    images hides nothing.

    Args:
      key: of this step.
      count: number of images.
      share: of the images of which something is hidden, above 0.
      low: least ratio.
      high: largest ratio.

    Returns:
      float32 [count].
    """
    draw_key, order_key = jax.random.split(key)
    hiding = max(int(share * count), 1)
    parts = (jnp.arange(hiding) + jax.random.uniform(draw_key, (hiding,))) / hiding
    ratios = jnp.concatenate([low + (high - low) * parts, jnp.zeros((count - hiding,))])
    return jax.random.permutation(order_key, ratios)


def hidden_first(mask: jax.Array, most: int) -> tuple[jax.Array, jax.Array]:
    """The places of the hidden patches in an array of fixed size.

    Args:
      mask: bool [N], True where hidden; at most `most` are.
      most: M.

    Returns:
      int32 [M], the hidden patches in order, then others; float32 [M], 1 for hidden ones.
    """
    places = jnp.argsort(~mask, stable=True)[:most].astype(jnp.int32)
    return places, mask[places].astype(jnp.float32)


def some_places(key: jax.Array, mask: jax.Array, count: int) -> jax.Array:
    """Draws `count` of the places where `mask`, bool [N], is True: int32 [count], in random order.

    Where there are fewer, others follow in order. CAPI predicts so few of the hidden patches.
    """
    drawn = jnp.where(mask, jax.random.uniform(key, mask.shape), 2.0)
    return jnp.argsort(drawn)[:count].astype(jnp.int32)
