"""From a function of one example to a function of a batch."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def per_example(
    function: Callable[[jax.Array, Any], Any], key: jax.Array, batch: Any, *, chunk: int | None = None
) -> Any:
    """Applies `function(key, example)` to every example of a batch, each with a key of its own.

    The key of an example depends on `key` and on its position in the batch alone, so a global batch under `jax.jit`
    gets the same views on any number of devices.

    Args:
      function: of a key and one example (a tree like `batch`, without the batch axis).
      key: of this step.
      batch: a tree of arrays, the batch being the first axis of each.
      chunk: how many examples to work on at a time, for a smaller footprint (on CPUs, faster at 96 pixels and more);
        None: all at once, the right choice where the batch is spread over devices.

    Returns:
      What `function` returns, with the batch as first axis.
    """
    positions = jnp.arange(jax.tree.leaves(batch)[0].shape[0])
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, positions)
    if chunk is None:
        return jax.vmap(function)(keys, batch)
    return jax.lax.map(lambda pair: function(*pair), (keys, batch), batch_size=chunk)
