"""What runs on parts of a batch, one after the other, to save memory."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx


def in_parts(module: nnx.Module, call: Callable, parts: int, rows: Any, key: jax.Array | None) -> Any:
    """`call(module, rows, key)` of so many parts of a batch, one after the other.

    Only the inside of one part is kept at a time, and computed again in the backward pass, in which the gradients of
    the parts are added up (Gao et al. 2021, GradCache). Whatever comes after sees the whole batch.

    Args:
      module: whose gradients are added up; what a part writes into it is lost.
      call: of it, arrays of n rows and a key, gives arrays of n rows.
      parts: how many. A batch that does not split into as many runs whole.
      rows: tree of arrays [B, ...], of which each part has every so-manieth row, so that each device has a share of it.
      key: for the whole batch; each part is given one of its own. Or None, as each part is then.

    Returns:
      The tree of arrays [B, ...].
    """
    size = len(jax.tree.leaves(rows)[0])
    if parts == 1 or size % parts:
        return call(module, rows, key)
    graph, state = nnx.split(module)
    of_part = jax.checkpoint(lambda part: call(nnx.merge(graph, state), *part))
    split = lambda x: jnp.moveaxis(x.reshape(-1, parts, *x.shape[1:]), 1, 0)
    keys = None if key is None else jax.random.split(key, parts)
    found = jax.lax.map(of_part, (jax.tree.map(split, rows), keys))
    return jax.tree.map(lambda x: jnp.moveaxis(x, 0, 1).reshape(size, *x.shape[2:]), found)
