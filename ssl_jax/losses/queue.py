"""Features of earlier batches, kept for losses that want more examples than one batch has."""

import jax
import jax.numpy as jnp
from jax import lax

from ssl_jax.losses.across import AxisName, row_numbers, size


def update_queue(queue: jax.Array, rows: jax.Array, *, axis_name: AxisName = None) -> jax.Array:
    """First in, first out: the oldest rows leave, and this batch comes in at the end.

    So a queue is in the order of time, oldest first, and each batch in its own order. There is no pointer, and the
    batch need not divide the queue. (The authors' code of SwAV puts each batch at the front, that of MoCo overwrites
    the oldest rows in place and asks that the batch divide the queue. What is kept is the same.)

    Args:
      queue: the Q newest rows so far, [Q, ...], any dtype; the same on all devices.
      rows: what comes in, [N, ...]; a device's own rows when the batch is spread. No gradient flows into the queue.
      axis_name: the mapped axis that holds the rest of the batch, if any; rows enter in the order of the global batch.

    Returns:
      The new queue, in shape and dtype as the old one, and the same on all devices.

    Raises:
      ValueError: a row of the batch has another shape than one of the queue, or the global batch has more rows than
        the queue.
    """
    if rows.shape[1:] != queue.shape[1:]:
        raise ValueError(f"rows of the batch are {rows.shape[1:]}, those of the queue {queue.shape[1:]}")
    count = size(rows.shape[0], axis_name)
    if count > queue.shape[0]:
        raise ValueError(f"a batch of {count} rows does not fit into a queue of {queue.shape[0]}")
    rows = _everywhere(lax.stop_gradient(rows).astype(queue.dtype), axis_name)
    return jnp.concatenate([queue[count:], rows])


def _everywhere(rows, axis_name):
    """All devices' rows, as `gather_rows`, but known to be the same on all of them, as a carried state must be."""
    if axis_name is None:
        return rows
    n = rows.shape[0]
    padded = jnp.zeros((size(n, axis_name), *rows.shape[1:]), rows.dtype).at[row_numbers(n, axis_name)].set(rows)
    return lax.psum(padded, axis_name).astype(rows.dtype)  # the sum of bool is int
