"""What a method keeps (target weights, queues, centres) is saved: a run that goes on ends bit for bit alike."""

import jax
import numpy as np
import pytest

from ssl_jax.experiment import build
from ssl_jax.train import mesh as meshes
from ssl_jax.train.checkpoints import Checkpoints
from ssl_jax.train.step import make_train_step
from tests import tiny

HALF, WHOLE = 3, 6


def trained(experiment, state, first: int, last: int):
    recipe = experiment.recipe
    step = jax.jit(make_train_step(recipe.graphdef, recipe.optimizer, recipe.schedule, recipe.seed))
    for number in range(first, last):
        state, metrics = step(state, meshes.put_rows(experiment.batch_at(number), recipe.mesh))
        assert np.isfinite(metrics["loss"]) and int(metrics["bad_step"]) == -1
    return state


@pytest.mark.filterwarnings("ignore")  # of Orbax, on reading arrays without their shardings
@pytest.mark.parametrize("method", tiny.METHODS)
def test_a_saved_state_is_the_whole_state(method, data_dir, tmp_path):
    experiment = build(tiny.config(method, steps=WHOLE), data_dir=data_dir, mesh=meshes.make_mesh(jax.devices()[:1]))
    begun = experiment.initial_state()
    half = trained(experiment, begun, 0, HALF)
    saver = Checkpoints(tmp_path, every=1)
    saver.save(HALF, half, {})
    saver.close()
    whole = trained(experiment, half, HALF, WHOLE)
    reader = Checkpoints(tmp_path, every=1)
    again = trained(experiment, reader.restore(experiment.initial_state()), HALF, WHOLE)
    reader.close()
    for path, leaf in jax.tree_util.tree_leaves_with_path(whole):
        other = dict(jax.tree_util.tree_leaves_with_path(again))[path]
        np.testing.assert_array_equal(leaf, other, err_msg=jax.tree_util.keystr(path))
    moved = [np.any(np.asarray(a) != np.asarray(b)) for a, b in zip(jax.tree.leaves(begun), jax.tree.leaves(whole))]
    assert np.mean(moved) > 0.9, "nearly everything changes when a method trains"
