"""Sums over all pairs of a batch, whose matrix of scores need never exist as a whole.

A *pair* is a row and a column with the score `row . column`, all in float32. Without a `block_size` the matrix is made
and differentiated as JAX does it. With one, tiles of it are made one after the other and thrown away, and the backward
pass makes them again, so memory grows with the number of rows, not of pairs. Over a mapped axis the columns then go
round the devices in a ring (Liu et al. 2023 do the same for attention), so that a device holds its own rows, one other
device's, and one tile; the gradients of columns go round with them. Under `jax.jit` in the context of a mesh
(`jax.set_mesh`, as in a train step) the same is done over the mesh's first axis, where that is of type Auto and divides
rows and columns; without that context every device makes all tiles, and so it does for `nearest`.

Reverse mode works, and forward mode over it (Hessian-vector products), `jit`, `vmap` and `remat`. Forward mode alone
and reverse over reverse work without a `block_size` only: JAX has no forward rule for functions with a custom backward
pass, and no backward rule for the loops in it. The mapped axis is one of `jax.shard_map` or `jax.pmap`, not of `vmap`.
"""

import dataclasses
import functools
import numbers

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import AxisType, PartitionSpec

from ssl_jax.losses.across import AxisName, gather_rows
from ssl_jax.losses.tiles import NEVER, Plan, Score, Tags, nearest_in_tiles, nought, product, scored, tiled


def as_it_is(scores: jax.Array, row: Tags, column: Tags) -> jax.Array:
    """All pairs count."""
    return scores


def but_equal_tags(scores: jax.Array, row: Tags, column: Tags) -> jax.Array:
    """Pairs whose first tags are equal do not count: an embedding and itself, or all of one example."""
    return jnp.where(row[0] == column[0], NEVER, scores)


def log_sum_exp(
    rows: jax.Array,
    columns: jax.Array,
    row_tags: Tags = (),
    column_tags: Tags = (),
    *,
    score: Score = as_it_is,
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> jax.Array:
    """For each row, `log sum_j exp(score(row . column_j))` over the columns of all devices: float32 [n].

    Args:
      rows: [n, D], of this device.
      columns: [m, D], of this device.
      row_tags: of the rows, as `score` wants them.
      column_tags: of the columns.
      score: what becomes of a score before the exponential; a function defined once, since it is a key of jit's cache.
      block_size: rows of a tile, and its columns; None: the whole matrix at once.
      axis_name: the mapped axis over which there are more columns.
    """
    rows, columns = rows.astype(jnp.float32), columns.astype(jnp.float32)
    if block_size is None:
        return _whole(_log_sum_exp_of, rows, columns, row_tags, column_tags, score, axis_name)
    plan = Plan(score, True, "rows", block_size, axis_name)
    return _tiled(plan, rows, columns, row_tags, column_tags)[0]


def log_sum_exp_of_both(
    rows: jax.Array, columns: jax.Array, *, block_size: int | None = None, axis_name: AxisName = None
) -> tuple[jax.Array, jax.Array]:
    """`log_sum_exp` of each row over all columns, and of each column over all rows, from the same tiles: [n], [m]."""
    rows, columns = rows.astype(jnp.float32), columns.astype(jnp.float32)
    if block_size is None:
        options = dict(axis_name=axis_name)
        return log_sum_exp(rows, columns, **options), log_sum_exp(columns, rows, **options)
    return _tiled(Plan(as_it_is, True, "both", block_size, axis_name), rows, columns, (), ())


def log_sum_exp_of_others(
    rows: jax.Array, tags: Tags, *, block_size: int | None = None, axis_name: AxisName = None
) -> jax.Array:
    """`log_sum_exp` of a batch with itself, but for equal tags; the matrix is symmetric, which saves a product: [n]."""
    rows = rows.astype(jnp.float32)
    if block_size is None:
        return _whole(_log_sum_exp_of, rows, rows, tags, tags, but_equal_tags, axis_name)
    return _tiled(Plan(but_equal_tags, True, "same", block_size, axis_name), rows, None, tags, ())[0]


def total_of(
    rows: jax.Array,
    columns: jax.Array,
    row_tags: Tags = (),
    column_tags: Tags = (),
    *,
    score: Score,
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> jax.Array:
    """For each row, `sum_j score(row . column_j)` over the columns of all devices: float32 [n]. See `log_sum_exp`."""
    rows, columns = rows.astype(jnp.float32), columns.astype(jnp.float32)
    if block_size is None:
        return _whole(_sum_of, rows, columns, row_tags, column_tags, score, axis_name)
    plan = Plan(score, False, "rows", block_size, axis_name)
    return _tiled(plan, rows, columns, row_tags, column_tags)[0]


def total_of_others(
    rows: jax.Array, tags: Tags, *, score: Score, block_size: int | None = None, axis_name: AxisName = None
) -> jax.Array:
    """`total_of` a batch with itself, as `log_sum_exp_of_others` is: float32 [n]."""
    rows = rows.astype(jnp.float32)
    if block_size is None:
        return _whole(_sum_of, rows, rows, tags, tags, score, axis_name)
    return _tiled(Plan(score, False, "same", block_size, axis_name), rows, None, tags, ())[0]


def nearest(
    rows: jax.Array, candidates: jax.Array, *, but: jax.Array | None = None, block_size: int | None = None
) -> jax.Array:
    """For each row, the number of the candidate with the largest product: int32 [n]. Without a gradient.

    Args:
      rows: [n, D].
      candidates: [m, D].
      but: for each row, the number of one that does not count, such as the row itself, int [n].
      block_size: for how many rows and candidates at a time the products are made; None: for all.

    Raises:
      ValueError: a `block_size` below 1.
    """
    but = jnp.full(rows.shape[0], -1) if but is None else but
    rows, candidates, but = lax.stop_gradient((rows, candidates, but))
    if block_size is None:
        others = jnp.arange(candidates.shape[0])[None, :] != but[:, None]
        return jnp.argmax(jnp.where(others, product(rows, candidates.T), -jnp.inf), axis=1).astype(jnp.int32)
    _check_block_size(block_size)
    return nearest_in_tiles(rows, candidates, but, block_size)


def _log_sum_exp_of(scores):
    return jax.nn.logsumexp(scores, axis=1)


def _sum_of(scores):
    return jnp.sum(scores, axis=1)


def _whole(reduce, rows, columns, row_tags, column_tags, score, axis_name):
    """The plain form, on columns gathered from all devices."""
    columns, column_tags = jax.tree.map(lambda x: gather_rows(x, axis_name), (columns, column_tags))
    return reduce(scored(score, product(rows, columns.T), row_tags, column_tags))


def _check_block_size(block_size):
    if not isinstance(block_size, numbers.Integral) or block_size < 1:
        raise ValueError(f"block_size {block_size} is not a positive integer; None makes the whole matrix at once")


def _tiled(plan, rows, columns, row_tags, column_tags):
    _check_block_size(plan.block_size)
    given, axis = (rows, columns, row_tags, column_tags), _axis_of_mesh(rows, columns)
    if plan.axis_name is not None or axis is None:
        return _in_tiles(plan, *given)
    here, part = dataclasses.replace(plan, axis_name=axis), PartitionSpec(axis)
    back = part, part if plan.sides == "both" else None
    return jax.shard_map(functools.partial(_in_tiles, here), in_specs=part, out_specs=back, axis_names={axis})(*given)


def _axis_of_mesh(rows: jax.Array, columns: jax.Array | None) -> str | None:
    """The first axis of the mesh that a function is compiled for, where rows and columns can be split over it."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or mesh.manual_axes or mesh.axis_sizes[0] == 1 or mesh.axis_types[0] != AxisType.Auto:
        return None
    counts = [array.shape[0] for array in (rows, columns) if array is not None]
    return mesh.axis_names[0] if all(count % mesh.axis_sizes[0] == 0 for count in counts) else None


def _in_tiles(plan, rows, columns, row_tags, column_tags):
    given = rows, columns, row_tags, column_tags
    zero = nought(*jax.tree.leaves(given))
    if plan.axis_name is not None:
        zero += 0 * lax.axis_index(plan.axis_name)  # what goes round a ring varies over it
    return tiled(plan, *jax.tree.map(lambda x: x + zero, given))
