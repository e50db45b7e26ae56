"""Batch statistics over parts of a batch."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx


def in_groups(call: Callable, module: nnx.Module, rows: jax.Array, key: jax.Array, groups: int) -> jax.Array:
    """`call(module, rows, key)` for each of `groups` equal runs of rows, as if each were a device's.

    Args:
      call: runs `module` on rows [n, ...] with a key, in training.
      module: batch statistics of its own are kept: the mean over the groups.
      rows: [B, ...].
      key: each group gets one of its own.
      groups: divides B; 1 is the whole batch at once.

    Returns:
      [B, ...], in the order of the rows.
    """
    if groups == 1:
        return call(module, rows, key)
    graphdef, statistics, rest = nnx.split(module, nnx.BatchStat, ...)

    def one(part: jax.Array, part_key: jax.Array) -> tuple[jax.Array, nnx.State]:
        own = nnx.merge(graphdef, statistics, rest, copy=True)
        return call(own, part, part_key), nnx.state(own, nnx.BatchStat)

    parts = rows.reshape(groups, len(rows) // groups, *rows.shape[1:])
    outputs, found = jax.vmap(one)(parts, jax.random.split(key, groups))
    nnx.update(module, jax.tree.map(lambda values: jnp.mean(values, axis=0), found))
    return outputs.reshape(len(rows), *outputs.shape[2:])
