"""The same numbers on one device and on eight."""

import jax
import numpy as np
import pytest

from ssl_jax.experiment import build
from ssl_jax.train import mesh as meshes
from ssl_jax.train.step import make_train_step
from tests import tiny


def losses(method: str, devices: list, data_dir: str, steps: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """The loss of each step, and the parameters after the last."""
    config = tiny.config(method, steps=steps)
    experiment = build(config, data_dir=data_dir, mesh=meshes.make_mesh(devices))
    recipe, state = experiment.recipe, experiment.initial_state()
    step = jax.jit(make_train_step(recipe.graphdef, recipe.optimizer, recipe.schedule, recipe.seed), donate_argnums=0)
    values = []
    for _, batch in experiment.batches(0):
        state, metrics = step(state, meshes.put_rows(batch, recipe.mesh))
        values.append(float(metrics["loss"]))
    return np.array(values), [np.asarray(leaf) for leaf in jax.tree.leaves(state.params)]


@pytest.mark.parametrize("method", tiny.METHODS)
def test_one_device_and_eight_give_the_same_trajectory(method, data_dir, eight_devices):
    one, params_one = losses(method, eight_devices[:1], data_dir, steps=50)
    eight, params_eight = losses(method, eight_devices, data_dir, steps=50)
    difference = np.abs(one - eight) / np.abs(one)
    weights = max(float(np.abs(a - b).max()) for a, b in zip(params_one, params_eight))
    print(f"{method}: relative difference of the loss, first 5 steps {difference[:5].max():.1e}, ", end="")
    print(f"all 50 {difference.max():.1e}; largest difference of a parameter {weights:.1e}")
    assert one[-5:].mean() < one[:5].mean(), "it does not even train"
    # Sums are taken in another order, so the first steps differ by rounding; training then amplifies that
    # (Adam divides by small second moments, batch normalisation by small variances), step by step, not at once.
    assert difference[:5].max() < 1e-6
    assert difference.max() < 2e-3


@pytest.mark.parametrize("method", tiny.METHODS)
def test_the_same_run_twice_is_the_same_bit_for_bit(method, data_dir, eight_devices):
    first, params_first = losses(method, eight_devices, data_dir, steps=8)
    again, params_again = losses(method, eight_devices, data_dir, steps=8)
    np.testing.assert_array_equal(first, again)
    for a, b in zip(params_first, params_again):
        np.testing.assert_array_equal(a, b)
