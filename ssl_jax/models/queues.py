"""Features of earlier batches that a method keeps."""

import jax
from flax import nnx

from ssl_jax.losses.rows import unit_length


class Queue(nnx.Variable):
    """Rows of earlier batches, oldest first [Q, D]; `losses.update_queue` moves it on."""


def random_queue(size: int, width: int, *, rngs: nnx.Rngs) -> Queue:
    """A queue of `size` random directions, rows [width] of unit length, float32.

    So begin the queues of the official code of MoCo and of NNCLR in lightly and solo-learn: a queue of zeros would have
    no nearest neighbour, and its keys would be no negatives.
    """
    return Queue(unit_length(jax.random.normal(rngs.params(), (size, width))))
