"""What a method keeps (target weights, queues, centres) is saved: a run that goes on ends bit for bit alike."""

import jax
import numpy as np
import pytest

from ssl_jax.train.checkpoints import Checkpoints
from tests import tiny
from tests.quick import by_method
from tests.stepping import STEPS, Stepper

HALF, WHOLE = 3, 6


@pytest.mark.usefixtures("optimised")  # so that programs are those of test_trajectory.py
@pytest.mark.filterwarnings("ignore")  # of Orbax, on reading arrays without their shardings
@pytest.mark.parametrize("method", by_method(tiny.METHODS))
def test_a_saved_state_is_the_whole_state(method, data_dir, tmp_path):
    stepper = Stepper(tiny.config(method, steps=STEPS), jax.devices()[:1], data_dir)
    begun = stepper.experiment.initial_state()
    half, *_ = stepper.run(begun, 0, HALF)
    saver = Checkpoints(tmp_path, every=1)
    saver.save(HALF, half, {})
    saver.close()
    whole, *_ = stepper.run(half, HALF, WHOLE)
    reader = Checkpoints(tmp_path, every=1)
    again, *_ = stepper.run(reader.restore(begun), HALF, WHOLE)
    reader.close()
    for (path, leaf), other in zip(jax.tree_util.tree_leaves_with_path(whole), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(leaf, other, err_msg=jax.tree_util.keystr(path))
    moved = [np.any(np.asarray(a) != np.asarray(b)) for a, b in zip(jax.tree.leaves(begun), jax.tree.leaves(whole))]
    assert np.mean(moved) >= 0.9, "nearly everything changes when a method trains"
