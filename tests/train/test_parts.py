"""Other learning rates for some parts, against numbers worked out by hand."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ssl_jax.train import optimizers
from ssl_jax.train.parts import by_part, check_parts

PARAMS = {
    "backbone": {
        "patch_embedding": {"kernel": jnp.ones(2)},
        "stack": {"blocks": {0: {"kernel": jnp.ones(2)}, 1: {"kernel": jnp.ones(2), "bias": jnp.ones(2)}}},
        "norm": {"bias": jnp.ones(2)},
    },
    "predictor": {"kernel": jnp.ones(2)},
}
PLAIN_SGD = partial(optimizers.sgd, momentum=0.0)
RATE = optax.linear_schedule(0.2, 0.0, 2)  # 0.2, 0.1, 0


def moved(steps=1, make=PLAIN_SGD, **settings):
    """How far each parameter went, with gradients of 1."""
    update, params = by_part(make, RATE, 0.2, **settings), PARAMS
    state = update.init(params)
    for _ in range(steps):
        updates, state = update.update(jax.tree.map(jnp.ones_like, PARAMS), state, params)
        params = optax.apply_updates(params, updates)
    return jax.tree.map(lambda now, before: float((before - now)[0]), params, PARAMS)


@pytest.mark.parametrize("make", [partial(optimizers.sgd, momentum=0.0), optimizers.lars, optimizers.adamw])
def test_without_settings_it_is_the_optimizer_itself(make):
    plain = make(RATE)
    assert jax.tree.structure(by_part(make, RATE, 0.2).init(PARAMS)) == jax.tree.structure(plain.init(PARAMS))


def test_constant_rate():
    found = moved(steps=3, constant_rate=("predictor",))
    np.testing.assert_allclose(found["predictor"]["kernel"], 3 * 0.2, rtol=1e-6)
    np.testing.assert_allclose(found["backbone"]["norm"]["bias"], 0.2 + 0.1, rtol=1e-6)


def test_frozen_parts_stay_also_under_weight_decay():
    found = moved(make=partial(optimizers.adamw, weight_decay=0.5), frozen=("backbone.patch_embedding",))
    assert found["backbone"]["patch_embedding"]["kernel"] == 0
    assert found["predictor"]["kernel"] > 0


def test_parts_apart_have_a_rate_and_a_decay_of_their_own():
    make = partial(optimizers.adamw, weight_decay=0.5)
    common, halved = moved(steps=2, make=make), moved(steps=2, make=make, apart=("predictor",), apart_rate=0.5)
    assert halved["backbone"] == common["backbone"]
    np.testing.assert_allclose(moved(apart=("predictor",), apart_rate=0.5)["predictor"]["kernel"], 0.1, rtol=1e-6)
    other = moved(make=make, apart=("predictor",), apart_rate=0.5, apart_decay=0.1)  # Adam's first step is 1
    np.testing.assert_allclose(other["predictor"]["kernel"], 0.1 * (1 + 0.1), rtol=1e-5)
    np.testing.assert_allclose(other["backbone"]["patch_embedding"]["kernel"], 0.2 * (1 + 0.5), rtol=1e-5)


@pytest.mark.parametrize("settings", [dict(apart=("predictor",)), dict(apart_rate=0.5), dict(apart_decay=0.1)])
def test_parts_apart_and_their_settings_need_each_other(settings):
    with pytest.raises(ValueError, match="have an effect together only"):
        by_part(PLAIN_SGD, RATE, 0.2, **settings)


def test_bias_rate():
    found = moved(bias_rate=0.25)
    np.testing.assert_allclose(found["backbone"]["norm"]["bias"], 0.05, rtol=1e-6)
    np.testing.assert_allclose(found["predictor"]["kernel"], 0.2, rtol=1e-6)


def test_layer_decay_by_hand():
    found = moved(layer_decay=0.5)["backbone"]
    blocks = found["stack"]["blocks"]
    np.testing.assert_allclose(found["patch_embedding"]["kernel"], 0.2 / 8, rtol=1e-5)
    np.testing.assert_allclose(blocks[0]["kernel"], 0.2 / 4, rtol=1e-5)
    np.testing.assert_allclose([blocks[1]["kernel"], blocks[1]["bias"]], 0.2 / 2, rtol=1e-5)
    np.testing.assert_allclose(found["norm"]["bias"], 0.2, rtol=1e-5)


def test_layer_decay_of_stacked_blocks_is_that_of_single_ones():
    stacked = {"backbone": {"stack": {"blocks": {"kernel": jnp.ones((2, 3))}}}}
    update = by_part(partial(optimizers.sgd, momentum=0.0), RATE, 0.2, layer_decay=0.5)
    updates, _ = update.update(stacked, update.init(stacked), stacked)
    expected = -0.2 * np.array([[0.25] * 3, [0.5] * 3])
    np.testing.assert_allclose(updates["backbone"]["stack"]["blocks"]["kernel"], expected, rtol=1e-6)


def test_clips_the_global_norm_before_everything_else():
    update = by_part(optimizers.adamw, RATE, 0.2, clip_norm=1.0)
    state = update.init({"kernel": jnp.zeros(2)})
    _, state = update.update({"kernel": jnp.array([30.0, 40.0])}, state, {"kernel": jnp.zeros(2)})
    moment = optax.tree.get(state, "mu")["kernel"]
    np.testing.assert_allclose(moment, 0.1 * np.array([0.6, 0.8]), rtol=1e-6)


def test_what_is_frozen_does_not_count_for_clipping():
    params = {"kernel": jnp.zeros(2), "still": {"kernel": jnp.zeros(2)}}
    gradients = {"kernel": jnp.array([3.0, 4.0]), "still": {"kernel": jnp.array([1e3, 1e3])}}
    update = by_part(PLAIN_SGD, optax.constant_schedule(1.0), 1.0, clip_norm=1.0, frozen=("still",))
    found, _ = update.update(gradients, update.init(params), params)
    np.testing.assert_allclose(found["kernel"], [-0.6, -0.8], rtol=1e-6)
    np.testing.assert_array_equal(found["still"]["kernel"], 0)


def test_clips_the_norm_of_each_parameter_by_itself():
    gradients = {
        "kernel": jnp.array([30.0, 40.0]),
        "bias": jnp.array([0.3, 0.4]),
        "stack": {"blocks": {"kernel": jnp.array([[30.0, 40.0], [0.3, 0.4]])}},
    }
    update = by_part(PLAIN_SGD, optax.constant_schedule(1.0), 1.0, clip_each=1.0)
    found, _ = update.update(gradients, update.init(gradients), gradients)
    np.testing.assert_allclose(found["kernel"], [-0.6, -0.8], rtol=1e-5)
    np.testing.assert_allclose(found["bias"], [-0.3, -0.4], rtol=1e-5)
    np.testing.assert_allclose(found["stack"]["blocks"]["kernel"], [[-0.6, -0.8], [-0.3, -0.4]], rtol=1e-5)


def test_late_parts_stay_until_their_step_and_then_go_at_the_common_rate():
    make = partial(optimizers.adamw, weight_decay=0.5)
    rests = moved(steps=1, make=make, late=("predictor",), late_steps=1)
    assert rests["predictor"]["kernel"] == 0 and rests["backbone"]["patch_embedding"]["kernel"] > 0
    first, both = moved(steps=1, make=make), moved(steps=2, make=make)
    late = moved(steps=2, make=make, late=("predictor",), late_steps=1)["predictor"]["kernel"]
    second = both["predictor"]["kernel"] - first["predictor"]["kernel"]
    np.testing.assert_allclose(late, 0.1 * (1 + 0.5), rtol=1e-4)  # from Adam's step of 1 and the decay of the start
    assert late > second > 0


def test_patch_rate():
    found = moved(patch_rate=0.2, layer_decay=0.5)
    np.testing.assert_allclose(found["backbone"]["patch_embedding"]["kernel"], 0.2 * 0.2 / 8, rtol=1e-5)
    np.testing.assert_allclose(found["predictor"]["kernel"], 0.2, rtol=1e-6)


def test_layer_decay_takes_a_mask_token_for_embedding():
    params = PARAMS | {"mask_token": jnp.ones(2)}
    update = by_part(PLAIN_SGD, RATE, 0.2, layer_decay=0.5)
    updates, _ = update.update(params, update.init(params), params)
    np.testing.assert_allclose(updates["mask_token"], -0.2 / 8, rtol=1e-5)


@pytest.mark.parametrize("setting", ["constant_rate", "frozen", "late"])
@pytest.mark.parametrize(
    "name, valid",
    [
        ("backbone.patch_embeding", "backbone.norm, backbone.patch_embedding, backbone.stack"),
        ("backbone.head.layer", "backbone.norm, backbone.patch_embedding, backbone.stack"),
        ("backbone.stack.blocks.12", "backbone.stack.blocks.0, backbone.stack.blocks.1"),
        ("predictor.kernel.gain", "predictor.kernel"),
        ("pred", "backbone, predictor"),
        ("", "backbone, predictor"),
    ],
)
def test_a_part_that_does_not_exist_is_named_with_those_that_do(setting, name, valid):
    check_parts(PARAMS, **{setting: ("predictor", "backbone.stack.blocks.1", "backbone.norm.bias")})
    with pytest.raises(ValueError, match=rf"^{setting}: {name!r} does not exist\. .*Valid: {valid}\.$"):
        check_parts(PARAMS, **{setting: ("predictor", name)})


@pytest.mark.parametrize("name", ["clip_norm", "clip_each", "bias_rate", "patch_rate", "layer_decay"])
def test_settings_must_be_positive(name):
    with pytest.raises(ValueError, match=f"{name} 0.0"):
        by_part(optimizers.sgd, RATE, 0.2, **{name: 0.0})
