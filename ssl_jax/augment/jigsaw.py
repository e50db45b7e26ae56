"""Jigsaw puzzles: tiles of an image, in one of a fixed set of orders.

Source: Noroozi and Favaro, "Unsupervised Learning of Visual Representations by Solving Jigsaw Puzzles", 2016. Their
images are 225 pixels wide, so the 3 x 3 cells are 75, and the tiles 64.
"""

import itertools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

_MOST_TILES = 9  # all 9! = 362,880 orders are listed


class Jigsaw(NamedTuple):
    """Drawn parameters of one puzzle.

    Attributes:
      permutation: its number in the set, an int32 scalar: the label.
      offsets: where each tile begins in its cell, int32 [tiles, 2], down and right, tiles in the picture's order.
    """

    permutation: jax.Array
    offsets: jax.Array


def hamming_permutations(count: int, *, tiles: int = 9, seed: int = 0) -> np.ndarray:
    """A set of orders that differ in as many places as can be: the paper's greedy algorithm.

    The first is drawn at random. Each next one is that of all remaining orders whose Hamming distances to those
    chosen so far have the largest sum (among equals, the first in lexicographic order).

    Source: Noroozi and Favaro 2016 (above), Algorithm 1, as in the code of VISSL and of bbrattoli/JigsawPuzzlePytorch,
    with a first order that depends on `seed` alone. It runs in NumPy, once, before training: about a second for 1000
    orders of 9 tiles.

    Args:
      count: how many orders.
      tiles: how many tiles an order has, 2 to 9.
      seed: of the first order.

    Returns:
      int32 [count, tiles], each row a permutation of 0 to `tiles - 1`, no two the same.

    Raises:
      ValueError: there are not as many orders, or `tiles` is out of range.
    """
    if not 2 <= tiles <= _MOST_TILES:
        raise ValueError(f"tiles {tiles} is not between 2 and {_MOST_TILES}")
    if not 1 <= count <= math.factorial(tiles):
        raise ValueError(f"count {count} is not between 1 and {math.factorial(tiles)}, the orders of {tiles} tiles")
    orders = np.array(list(itertools.permutations(range(tiles))), np.int8).T.copy()  # [tiles, orders]
    matches = np.zeros(orders.shape[1], np.int32)  # places shared with those chosen: the fewer, the more distant
    chosen = [np.random.default_rng(seed).integers(orders.shape[1])]
    while len(chosen) < count:
        newest = orders[:, chosen[-1], None]
        matches += np.sum(orders == newest, axis=0, dtype=np.int8)
        matches[chosen[-1]] = np.iinfo(np.int32).max // 2
        chosen.append(np.argmin(matches))
    return orders[:, chosen].T.astype(np.int32)


def draw_jigsaw(key: jax.Array, *, permutations: int, tiles: int = 9, cell_size: int, tile_size: int) -> Jigsaw:
    """Draws an order and the place of each tile in its cell, all uniformly.

    Args:
      key: of this puzzle.
      permutations: how many orders there are.
      tiles: how many tiles.
      cell_size: height and width of a cell: of the image, over the cells in a row (225 // 3 in the paper); the shorter
        side of cells that are not square.
      tile_size: height and width of a tile, as in `jigsaw_tiles`. A tile begins 0 to `cell_size - tile_size` pixels
        from its cell's corner each way, so between neighbouring tiles there is a gap of 0 to twice that.

    Raises:
      ValueError: tiles are larger than cells, or empty.
    """
    if not 1 <= tile_size <= cell_size:
        raise ValueError(f"tile_size {tile_size} is not between 1 and the cells' size {cell_size}")
    order_key, offset_key = jax.random.split(key)
    return Jigsaw(
        permutation=jax.random.randint(order_key, (), 0, permutations, dtype=jnp.int32),
        offsets=jax.random.randint(offset_key, (tiles, 2), 0, cell_size - tile_size + 1, dtype=jnp.int32),
    )


def jigsaw_tiles(image: jax.Array, puzzle: Jigsaw, permutations: jax.Array, *, tile_size: int) -> jax.Array:
    """The tiles of an image in the drawn order: place t shows tile `permutations[puzzle.permutation, t]`.

    The image is cut into a square grid of cells (a remainder at the right and at the bottom is left out), and each
    tile from its cell. The paper also normalises each tile by its own mean and standard deviation, and jitters its
    colours, so that edges and colours do not give the order away; that is not done here.

    Args:
      image: [H, W, C], any dtype.
      puzzle: from `draw_jigsaw`, or chosen; `puzzle.permutation` is the label that `losses.jigsaw` asks for.
      permutations: from `hamming_permutations`, int [P, tiles].
      tile_size: height and width of a tile.

    Returns:
      [tiles, tile_size, tile_size, C].

    Raises:
      ValueError: the number of tiles is not a square or not that of the offsets, tiles are larger than cells, or a tile
        leaves its cell (as far as offsets are known when they are traced).
    """
    tiles = permutations.shape[1]
    side = math.isqrt(tiles)
    if side * side != tiles or puzzle.offsets.shape != (tiles, 2):
        raise ValueError(f"{tiles} tiles with offsets {puzzle.offsets.shape} make no square grid")
    cell = np.array(image.shape[:2]) // side
    if tile_size > cell.min():
        raise ValueError(f"tile_size {tile_size} is larger than the cells, {cell[0]} x {cell[1]}")
    if not isinstance(puzzle.offsets, jax.core.Tracer):
        _check_offsets(np.asarray(puzzle.offsets), cell - tile_size)
    corners = np.array([(row, column) for row in range(side) for column in range(side)]) * cell
    starts = (jnp.asarray(corners, jnp.int32) + puzzle.offsets)[jnp.asarray(permutations)[puzzle.permutation]]
    return jax.vmap(lambda start: cut(image, start, tile_size))(starts)


def _check_offsets(offsets, room):
    if np.any((offsets < 0) | (offsets > room)):
        raise ValueError(f"offsets must be 0 to {room[0]} and 0 to {room[1]}, or tiles leave their cells")


def cut(image: jax.Array, start: jax.Array, size: int) -> jax.Array:
    """The square of `size` pixels whose upper left corner is `start`, int [2]."""
    return jax.lax.dynamic_slice(image, (start[0], start[1], 0), (size, size, image.shape[-1]))
