"""Which checkpoints are kept, and that what comes back is what was saved."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.train.checkpoints import Checkpoints
from ssl_jax.train.state import TrainState

pytestmark = pytest.mark.filterwarnings("ignore")  # of Orbax's own threads and deprecations


def state(value: float) -> TrainState:
    params = nnx.state(nnx.Linear(2, 3, rngs=nnx.Rngs(0)))
    params = jax.tree.map(lambda leaf: jnp.full_like(leaf, value), params)
    return TrainState(jnp.int32(value), params, nnx.State({}), {"mu": params}, jnp.int32(-1))


def test_the_newest_two_and_the_best_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path, every=1, keep=2, best="eval/knn_full")
    for step, score in enumerate([0.3, 0.9, 0.5, 0.6, 0.7], start=1):
        checkpoints.save(step, state(step), {"eval/knn_full": score})
    checkpoints.wait()
    assert checkpoints.steps() == [2, 4, 5]
    checkpoints.close()


def test_restored_is_what_was_saved(tmp_path):
    checkpoints = Checkpoints(tmp_path, every=1)
    assert checkpoints.restore(state(0)) is None
    for step in (1, 2):
        checkpoints.save(step, state(step), {})
    checkpoints.wait()
    restored = checkpoints.restore(state(0))
    assert jax.tree.structure(restored) == jax.tree.structure(state(2))
    for ours, saved in zip(jax.tree.leaves(restored), jax.tree.leaves(state(2))):
        np.testing.assert_array_equal(ours, saved)
    checkpoints.close()
