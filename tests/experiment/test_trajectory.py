"""The same numbers on one device and on eight."""

import jax
import numpy as np
import pytest

from ssl_jax.experiment import build
from ssl_jax.train import compiler
from ssl_jax.train import mesh as meshes
from ssl_jax.train.step import make_train_step
from tests import tiny

# LARS and SGD beside AdamW, which hardly feels the scale of a gradient: a sum in place of a mean would hide behind it.
CASES = {
    **{method: (method, {}) for method in tiny.METHODS},
    # A small rate: LARS does not adapt biases, and where those leap, rounding grows by half with each step.
    "simclr-lars": ("simclr", dict(optimizer=dict(name="lars", learning_rate=0.003, trust_coefficient=1.0))),
    "mae-sgd": ("mae", dict(optimizer=dict(name="sgd", learning_rate=0.1))),
    "bert-sgd": ("bert", dict(optimizer=dict(name="sgd", learning_rate=0.3))),
}

# A mean of cosines passes 0, where float32 still rounds it as the numbers up to 1 that it is made of.
SIZE = {"simsiam": 1.0}
# The step from which on the loss is a measure: a queue begins with random rows, which are easily told from any key.
QUEUE_IS_FULL = {"moco_v2": 4, "nnclr": 4}


def curves(case: str, devices: list, data_dir: str, steps: int) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """The loss and the gradient's norm of each step, and the parameters after the last."""
    method, leaves = CASES[case]
    config = tiny.config(method, steps=steps, **leaves)
    experiment = build(config, data_dir=data_dir, mesh=meshes.make_mesh(devices))
    recipe, state = experiment.recipe, experiment.initial_state()
    step = make_train_step(recipe.graphdef, recipe.optimizer, recipe.schedule, recipe.seed)
    step = jax.jit(step, donate_argnums=0, compiler_options=compiler.options(recipe.mesh))
    values = []
    for _, batch in experiment.batches(0):
        state, metrics = step(state, meshes.put_rows(batch, recipe.mesh))
        values.append((float(metrics["loss"]), float(metrics["grad_norm"])))
    return *np.array(values).T, [np.asarray(leaf) for leaf in jax.tree.leaves(state.params)]


@pytest.mark.parametrize("case", CASES)
def test_one_device_and_eight_give_the_same_trajectory(case, data_dir, eight_devices):
    loss_one, norm_one, params_one = curves(case, eight_devices[:1], data_dir, steps=50)
    loss_eight, norm_eight, params_eight = curves(case, eight_devices, data_dir, steps=50)
    size = np.maximum(np.abs(loss_one), SIZE.get(case, 0.0))
    loss, norm = np.abs(loss_one - loss_eight) / size, np.abs(norm_one - norm_eight) / norm_one
    moved = max(float(np.abs(a - b).max()) for a, b in zip(params_one, params_eight))
    print(
        f"{case}: relative difference of the loss, first 5 steps {loss[:5].max():.1e}, all 50 {loss.max():.1e}; ",
        end="",
    )
    print(f"of the gradient's norm {norm[:5].max():.1e}, {norm.max():.1e}; largest of a parameter {moved:.1e}")
    first = QUEUE_IS_FULL.get(case, 0)
    assert loss_one[-5:].mean() < loss_one[first : first + 5].mean(), "it does not even train"
    # Sums are taken in another order, so the first steps differ by rounding; training then amplifies that
    # (Adam divides by small second moments, batch normalisation by small variances), step by step, not at once.
    assert loss[:5].max() < 1e-6 and norm[:5].max() < 1e-5
    assert loss.max() < 2e-3 and norm.max() < 2e-2


@pytest.mark.parametrize("method", tiny.METHODS)
def test_the_same_run_twice_is_the_same_bit_for_bit(method, data_dir, eight_devices):
    *first, params_first = curves(method, eight_devices, data_dir, steps=8)
    *again, params_again = curves(method, eight_devices, data_dir, steps=8)
    np.testing.assert_array_equal(first, again)
    for a, b in zip(params_first, params_again):
        np.testing.assert_array_equal(a, b)
