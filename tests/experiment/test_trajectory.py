"""Of each method: one device and eight give the same numbers, and a saved state is the whole state.

Programs are compiled without most optimisations here; `benchmarks/methods.py` measures the first with all of them.
"""

import jax
import numpy as np
import pytest

from ssl_jax.train.checkpoints import Checkpoints
from tests import tiny
from tests.quick import QUICK, by_method
from tests.stepping import STEPS, Stepper, relative_difference

AGAIN = 8
HALF, WHOLE = 3, 6
# One block of two that are alike: a second takes half as long again to compile. Some need both: data2vec averages
# them, ALBERT's share their weights and T5's a table of distances, and of two GRUs the second alone adds its input.
BOTH = ("data2vec", "data2vec_text", "data2vec_vision", "albert", "t5", "apc")
DEPTH = {
    method: {"model": {"depth": 1}}
    for method in tiny.METHODS
    if method not in BOTH and "depth" in tiny.config(method)["model"]
}
for crops in ("dino", "dinov2", "ibot"):  # whose rate of dropped paths grows from 0 over the blocks
    DEPTH[crops]["model"]["drop_path_uniform"] = True
CASES = {
    **{method: (method, DEPTH.get(method, {})) for method in tiny.METHODS},
    # From seed 0 a hidden unit of a head stands at 0 in the second step: the losses agree to 3e-7, not the gradients.
    "moco_v3": ("moco_v3", dict(seed=2, **DEPTH["moco_v3"])),
    # From seed 0 the fifth loss differs by eight units of float32's last place, 1.0002e-6, with jax 0.12, and none of
    # all 50 by more than 1.06e-6: it is rounding, of a loss that is a sum of squares of what is left of 1.
    "barlow_twins": ("barlow_twins", dict(seed=1, **DEPTH.get("barlow_twins", {}))),
    # A small rate: LARS does not adapt biases, and where those leap, rounding grows by half with each step.
    "simclr-lars": ("simclr", dict(optimizer=dict(name="lars", learning_rate=0.003, trust_coefficient=1.0))),
    # Plain targets: those of patches that are almost of one colour are divided by a deviation near 0, and with them the
    # rounding of views, which here may pass 1e-6 of a batch's loss before anything is trained.
    "mae-split": (
        "mae",
        dict(
            method=dict(normalize_targets=False),
            model=dict(accumulate=2, scan=True),
            sharding=dict(state="fsdp", smallest=64, model=2),
        ),
    ),
}

# The step from which on the loss is a measure: a queue begins with random rows, which are easily told from any key.
QUEUE_IS_FULL = {"moco_v2": 4, "nnclr": 4}


# By method, a network that stays as it comes.
FROZEN = {"beit": "tokenizer", "attentive_probe": "backbone"}


@pytest.fixture(scope="module", params=by_method(CASES))
def case(request):
    """The tests of a case follow one another."""
    return request.param


@pytest.fixture(scope="module")
def config(case):
    method, leaves = CASES[case]
    return tiny.config(method, steps=STEPS, **leaves)


@pytest.fixture(scope="module")
def alone(config, data_dir):
    """The case on one device: its steps, and its state before the first."""
    stepper = Stepper(config, jax.devices()[:1], data_dir)
    return stepper, stepper.experiment.initial_state()


def test_one_device_and_eight_give_the_same_trajectory(case, config, alone, data_dir, eight_devices):
    (one, first_state), eight = alone, Stepper(config, eight_devices, data_dir)
    begun = jax.device_put(first_state, jax.tree.map(lambda leaf: leaf.sharding, eight.experiment.abstract_state()))
    state_one, loss_one, norm_one = one.run(first_state, 0, STEPS)
    state_eight, loss_eight, norm_eight = eight.run(begun, 0, STEPS)
    params_one, params_eight = (jax.tree.leaves(state.params) for state in (state_one, state_eight))
    _, *again = eight.run(begun, 0, AGAIN)
    np.testing.assert_array_equal(again, [loss_eight[:AGAIN], norm_eight[:AGAIN]], err_msg="a run repeated")
    loss, norm = relative_difference(CASES[case][0], loss_one, loss_eight), np.abs(norm_one - norm_eight) / norm_one
    moved = max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in zip(params_one, params_eight))
    print(
        f"{case}: relative difference of the loss, first 5 steps {loss[:5].max():.1e}, all 50 {loss.max():.1e}; ",
        end="",
    )
    print(f"of the gradient's norm {norm[:5].max():.1e}, {norm.max():.1e}; largest of a parameter {moved:.1e}")
    first = QUEUE_IS_FULL.get(case, 0)
    assert loss_one[-5:].mean() < loss_one[first : first + 5].mean(), "it does not even train"
    # Sums are taken in another order, so the first steps differ by rounding; training then amplifies that
    # (Adam divides by small second moments, batch normalisation by small variances), step by step, not at once. The
    # first update has a rate of 0, so two gradients are from one state. After that a hidden unit that stands at 0 may
    # be on for one and off for the other, which the loss does not feel and the gradient of so few units does.
    assert loss[:5].max() < 1e-6 and norm[:2].max() < 1e-5 and norm[:5].max() < 1e-3
    assert loss.max() < 2e-3 and norm.max() < 2e-2


@pytest.mark.parametrize("method", QUICK)
def test_one_device_and_eight_begin_alike(method, data_dir, eight_devices):
    config = tiny.config(method, steps=STEPS)
    one, eight = (
        Stepper(config, devices, data_dir).experiment.initial_state() for devices in (eight_devices[:1], eight_devices)
    )
    jax.tree.map(np.testing.assert_array_equal, one, eight)


@pytest.mark.filterwarnings("ignore")  # of Orbax, on reading arrays without their shardings
def test_a_saved_state_is_the_whole_state(alone, tmp_path):
    """What a method keeps (target weights, queues, centres) is saved: a run that goes on ends bit for bit alike."""
    stepper, begun = alone
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
    before, after = (jax.tree_util.tree_leaves_with_path(state) for state in (begun, whole))
    frozen = FROZEN.get(stepper.experiment.config["method"]["name"])
    given = lambda path: frozen is not None and frozen in jax.tree_util.keystr(path)
    moved = [np.any(np.asarray(a) != np.asarray(b)) for (path, a), (_, b) in zip(before, after) if not given(path)]
    assert np.mean(moved) >= 0.9, "nearly everything changes when a method trains"
