"""Sums over all pairs, tile by tile, with a backward pass that makes the tiles again: what `pairs.py` is built on.

A tile is a block of rows times a block of as many columns. The forward pass keeps a running maximum and a sum of
exponentials for each row (and each column, where asked for), so any float32 scores are safe. With P_ij the share of
pair (i, j) in its row's sum and g the sums' cotangents, the backward pass needs `dx_i = sum_j g_i P_ij y_j` and
`dy_j = sum_i g_i P_ij x_i`, plus the like for sums over columns. Over a mapped axis, whatever belongs to columns moves
on by one device after each visit, and is back home after as many as there are devices.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from ssl_jax.losses.across import AxisName

NEVER = -1e30
"""Stands for log(0). Finite, so that rows that are compared with nothing have finite gradients."""

Tags = tuple[jax.Array, ...]
"""What is known of each row or column beside its vector: integers [n], such as its number or its label."""
Score = Callable[[jax.Array, Tags, Tags], jax.Array]
"""(products [r, c], tags of rows [r, 1], tags of columns [1, c]) -> scores [r, c], entry by entry."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is summed; static.

    Attributes:
      score: what becomes of a product; symmetric in its tags where columns are the rows.
      exponential: whether the result is the logarithm of the sum of exponentials, or the plain sum.
      sides: whose sums: of "rows"; of "both" rows and columns; or of "same" rows, which are the columns, too.
      block_size: rows of a tile, and its columns.
      axis_name: the mapped axis over which there are more columns.
    """

    score: Score
    exponential: bool
    sides: str
    block_size: int
    axis_name: AxisName


class Side(NamedTuple):
    """Rows, or columns, cut into blocks."""

    vectors: jax.Array  # float32 [blocks, size, D]
    tags: Tags  # [blocks, size] each
    real: jax.Array | None  # bool [blocks, size], False for padding; None: there is none


class Share(NamedTuple):
    """What the backward pass needs of each row, or column, whose sum was taken."""

    total: jax.Array  # log of the sum of exponentials (or 0), [blocks, size]
    cotangent: jax.Array  # [blocks, size]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def tiled(plan: Plan, rows: jax.Array, columns: jax.Array | None, row_tags: Tags, column_tags: Tags):
    """Sums of rows, [n], and of columns, [m] or None: see `Plan`."""
    return _forward(plan, rows, columns, row_tags, column_tags)[0]


def _forward(plan, rows, columns, row_tags, column_tags):
    mine, moving = _sides(plan, rows, columns, row_tags, column_tags)
    column_sums = _start(plan, moving) if plan.sides == "both" else None
    row_sums, column_sums = _around(plan, _sum_tiles, _merge, mine, None, (moving, None), column_sums)
    row_total = _finish(plan, row_sums, rows.shape[0])
    column_total = _finish(plan, column_sums, columns.shape[0]) if plan.sides == "both" else None
    return (row_total, column_total), (rows, columns, row_tags, column_tags, row_total, column_total)


def _backward(plan, saved, cotangents):
    rows, columns, row_tags, column_tags, *totals = saved
    mine, moving = _sides(plan, rows, columns, row_tags, column_tags)
    share, moving_share = (_share(plan, *of_side) for of_side in zip(totals, cotangents, strict=True))
    moving_share = share if plan.sides == "same" else moving_share
    d_columns = None if plan.sides == "same" else _start_transposed(moving)
    d_rows, d_columns = _around(plan, _spread_tiles, _plus, mine, share, (moving, moving_share), d_columns)
    d_columns = None if plan.sides == "same" else _joined(d_columns.mT, columns.shape[0])
    return _joined(d_rows, rows.shape[0]), d_columns, None, None


tiled.defvjp(_forward, _backward)


def _around(plan, visit, add, mine, share, moving, of_columns):
    """`visit` with every device's columns in turn; they and what is gathered for them move on after each visit."""
    of_rows, of_columns = visit(plan, mine, share, *moving, of_columns, plan.sides == "same")
    if plan.axis_name is None:
        return of_rows, of_columns

    def step(_, state):
        moving, of_rows, of_columns = state
        moving, of_columns = _pass_on(plan, (moving, of_columns))
        more, of_columns = visit(plan, mine, share, *moving, of_columns, False)
        return moving, add(plan, of_rows, more), of_columns

    others = lax.axis_size(plan.axis_name) - 1
    _, of_rows, of_columns = lax.fori_loop(0, others, step, (moving, of_rows, of_columns))
    return of_rows, _pass_on(plan, of_columns)


def _pass_on(plan, moving):
    """To the next device of the ring."""
    devices = lax.axis_size(plan.axis_name)
    ring = [(i, (i + 1) % devices) for i in range(devices)]
    return jax.tree.map(lambda x: lax.ppermute(x, plan.axis_name, ring), moving)


def _sum_tiles(plan, rows, _, columns, __, column_sums, mirrored):
    """The rows' sums over all tiles; the columns', where they are asked for, added to what there is."""
    column_sums = _start(plan, columns) if mirrored else column_sums

    def tile(row, column, row_sums, column_sums, diagonal):
        scores, _ = _scores(plan, row, column)
        if column_sums is not None:
            added = _add(plan, column_sums, scores, 0)
            column_sums = jax.tree.map(lambda old, new: jnp.where(diagonal, old, new), column_sums, added)
        return _add(plan, row_sums, scores, 1), column_sums

    begin = lambda row: (row, _start(plan, row))
    row_sums, column_sums = _every_tile(tile, begin, rows, columns, column_sums, mirrored)
    return (_merge(plan, row_sums, column_sums), None) if mirrored else (row_sums, column_sums)


def _spread_tiles(plan, rows, row_share, columns, column_share, d_columns, mirrored):
    """What all tiles hand back to their rows; to their columns, where those are others, added to what there is."""
    d_columns = _start_transposed(columns) if mirrored else d_columns

    def tile(row, column, d_row, d_column, diagonal):
        (row, row_share, transposed), (column, column_share) = row, column
        scores, back = _scores(plan, row, column)
        (weights,) = back(_weights(plan, scores, row_share, column_share))
        if d_column is not None:
            d_column = d_column + product(transposed, jnp.where(diagonal, 0.0, weights))
        return d_row + product(weights, column.vectors), d_column

    begin = lambda row: ((*row, row[0].vectors.T), _like(row[0].vectors, 0.0))
    d_rows, d_columns = _every_tile(tile, begin, (rows, row_share), (columns, column_share), d_columns, mirrored)
    return (d_rows + d_columns.mT, None) if mirrored else (d_rows, d_columns)


def _start_transposed(columns):
    """Gradients of columns, [blocks, D, size]: to multiply by a tile's transpose takes XLA:CPU twice as long."""
    return _like(columns.vectors.mT, 0.0)


def _every_tile(tile, begin, rows, columns, of_columns, mirrored):
    """Runs `tile` over all tiles; if they are mirrored, those of which the column comes after the row, or is the row.

    A mirrored tile stands for its transpose, too, except on the diagonal, which `tile` is told of.
    """

    def block_of_rows(of_columns, block):
        i, row = block
        row, of_row = begin(row)

        def step(j, state):
            of_row, of_columns = state
            diagonal = mirrored & (i == j)
            of_row, of_column = tile(row, _at(columns, j), of_row, _at(of_columns, j), diagonal)
            return of_row, jax.tree.map(lambda x, v: lax.dynamic_update_index_in_dim(x, v, j, 0), of_columns, of_column)

        of_row, of_columns = lax.fori_loop(i if mirrored else 0, count(columns), step, (of_row, of_columns))
        return of_columns, of_row

    count = lambda side: jax.tree.leaves(side)[0].shape[0]
    of_columns, of_rows = lax.scan(block_of_rows, of_columns, (jnp.arange(count(rows)), rows))
    return of_rows, of_columns


def _at(tree, index):
    return jax.tree.map(lambda x: lax.dynamic_index_in_dim(x, index, keepdims=False), tree)


def _scores(plan, row, column):
    """Scores of one tile, and the function that turns their cotangents into those of the products."""

    def score(products):
        scores = scored(plan.score, products, row.tags, column.tags)
        for real, axis in ((row.real, 1), (column.real, 0)):
            if real is not None:
                scores = jnp.where(jnp.expand_dims(real, axis), scores, NEVER if plan.exponential else 0.0)
        return scores

    return jax.vjp(score, product(row.vectors, column.vectors.T))


def _weights(plan, scores, row_share, column_share):
    """Cotangents of the scores: those of the sums that each is part of, times its part in them."""
    weights = 0.0
    for share, axis in ((row_share, 1), (column_share, 0)):
        if share is None:
            continue
        total, cotangent = (jnp.expand_dims(x, axis) for x in share)
        part = cotangent * jnp.exp(scores - total) if plan.exponential else jnp.broadcast_to(cotangent, scores.shape)
        weights = weights + part
    return weights


def _start(plan, side):
    zeros = _like(side.vectors[..., 0], 0.0)
    return (zeros + NEVER, zeros) if plan.exponential else zeros


def _add(plan, sums, scores, axis):
    if not plan.exponential:
        return sums + jnp.sum(scores, axis)
    largest, summed = sums
    new = jnp.maximum(largest, lax.stop_gradient(jnp.max(scores, axis)))
    exponentials = jnp.exp(scores - jnp.expand_dims(new, axis))
    return new, summed * jnp.exp(largest - new) + jnp.sum(exponentials, axis)


def _merge(plan, sums, more):
    """Sums of the same rows over different columns, put together."""
    if not plan.exponential:
        return sums + more
    (largest, summed), (other_largest, other_summed) = sums, more
    new = jnp.maximum(largest, other_largest)
    return new, summed * jnp.exp(largest - new) + other_summed * jnp.exp(other_largest - new)


def _plus(_, gradients, more):
    return gradients + more


def _finish(plan, sums, count):
    if not plan.exponential:
        return _joined(sums, count)
    largest, summed = sums
    return _joined(largest + jnp.log(summed), count)


def _share(plan, total, cotangent):
    return None if total is None else Share(*(_blocks(x, plan.block_size) for x in (total, cotangent)))


def _sides(plan, rows, columns, row_tags, column_tags):
    mine = _side(rows, row_tags, plan.block_size)
    return mine, mine if plan.sides == "same" else _side(columns, column_tags, plan.block_size)


def _side(vectors, tags, size):
    count = vectors.shape[0]
    cut = functools.partial(_blocks, size=size)
    real = cut(_like(vectors[:, 0], 1.0)) > 0
    return Side(cut(vectors), tuple(cut(tag) for tag in tags), None if real.size == count else real)


def _blocks(array, size):
    """[n, ...] -> [blocks, about `size`, ...], filled up with zeros."""
    count = -(-array.shape[0] // size)
    each = -(-array.shape[0] // count)
    padding = [(0, count * each - array.shape[0])] + [(0, 0)] * (array.ndim - 1)
    return jnp.pad(array, padding).reshape(count, each, *array.shape[1:])


def _joined(blocks, count):
    return blocks.reshape(-1, *blocks.shape[2:])[:count]


def _like(array, value):
    """An array of its shape with one value, which varies over the same mapped axes as far as JAX is concerned."""
    return jnp.full(array.shape, value, jnp.float32) + nought(array)


def nought(*arrays: jax.Array) -> jax.Array:
    """0, which varies over all mapped axes that one of the arrays varies over."""
    firsts = (array[(0,) * array.ndim] for array in arrays)
    return sum(jnp.where(first == 0, 0, 0) for first in firsts)


def scored(score: Score, products: jax.Array, row_tags: Tags, column_tags: Tags) -> jax.Array:
    """`score` of products [r, c] of rows with tags [r] and columns with tags [c]: [r, c]."""
    return score(products, tuple(tag[:, None] for tag in row_tags), tuple(tag[None, :] for tag in column_tags))


def product(a: jax.Array, b: jax.Array) -> jax.Array:
    """A matrix product of float32 in float32."""
    # Accelerators multiply float32 in fewer bits by default, which a division by 0.1 or less would make visible.
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


def nearest_in_tiles(rows: jax.Array, candidates: jax.Array, but: jax.Array, block_size: int) -> jax.Array:
    """The number of each row's candidate with the largest product, other than `but`: int32 [n]. Of equals the first."""
    count = candidates.shape[0]
    candidates, numbers = _blocks(candidates, block_size), _blocks(jnp.arange(count, dtype=jnp.int32), block_size)
    real = _blocks(jnp.ones(count, bool), block_size)

    def block_of_rows(block):
        row, but = block

        def tile(best, column):
            (largest, index), (vectors, numbers, real) = best, column
            scores = product(row, vectors.T)
            scores = jnp.where(real[None, :] & (numbers[None, :] != but[:, None]), scores, -jnp.inf)
            top = jnp.max(scores, axis=1)
            return (
                jnp.maximum(largest, top),
                jnp.where(top > largest, numbers[jnp.argmax(scores, axis=1)], index),
            ), None

        best = _like(row[:, 0], -jnp.inf), jnp.zeros(row.shape[0], jnp.int32) + nought(row)
        return lax.scan(tile, best, (candidates, numbers, real))[0][1]

    return _joined(lax.map(block_of_rows, (_blocks(rows, block_size), _blocks(but, block_size))), rows.shape[0])
