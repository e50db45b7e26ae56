"""Optimizers and schedules against numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from ssl_jax import config as configs
from ssl_jax import models
from ssl_jax.experiment import build
from ssl_jax.models.paths import path_name
from ssl_jax.train import optimizers
from tests import tiny

PARAMS = {"conv": {"kernel": jnp.array([3.0, 4.0])}, "norm": {"scale": jnp.ones(2), "bias": jnp.ones(2)}}
PARAMS["block"] = {"scale1": jnp.full((2,), 0.1), "kernel": jnp.ones((2, 2))}


def test_decay_spares_biases_and_all_scales():
    assert optimizers.decay_mask(PARAMS) == {
        "conv": {"kernel": True},
        "norm": {"scale": False, "bias": False},
        "block": {"scale1": False, "kernel": True},
    }


@pytest.mark.parametrize("rate_in_momentum", [True, False])
def test_lars_two_steps_by_hand(rate_in_momentum):
    """Trust = eta |w| / |g + wd w|. SimCLR's code: v = m v + lr * trust * (g + wd w), w -= v.

    The codes of BYOL, MoCo v3, VICReg and Barlow Twins: v = m v + trust * (g + wd w), w -= lr * v.
    """
    rates, decay, momentum, eta = (0.5, 0.2), 0.1, 0.9, 0.01
    settings = dict(weight_decay=decay, momentum=momentum, trust_coefficient=eta, rate_in_momentum=rate_in_momentum)
    update = optimizers.lars(lambda step: jnp.where(step == 0, *rates), **settings)
    params, state = PARAMS, update.init(PARAMS)
    w, b = np.array([3.0, 4.0]), np.ones(2)
    speed_w, speed_b = np.zeros(2), np.zeros(2)
    for number, rate in enumerate(rates):
        inside, outside = (rate, 1.0) if rate_in_momentum else (1.0, rate)
        g = np.array([1.0, -2.0]) * (number + 1)
        grads = {"conv": {"kernel": jnp.asarray(g)}, "norm": {"scale": jnp.zeros(2), "bias": jnp.asarray(g)}}
        grads["block"] = {"scale1": jnp.zeros(2), "kernel": jnp.zeros((2, 2))}
        updates, state = update.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        full = g + decay * w
        speed_w = momentum * speed_w + inside * eta * np.linalg.norm(w) / np.linalg.norm(full) * full
        speed_b = momentum * speed_b + inside * g  # neither decayed nor adapted
        w, b = w - outside * speed_w, b - outside * speed_b
    np.testing.assert_allclose(params["conv"]["kernel"], w, rtol=1e-6)
    np.testing.assert_allclose(params["norm"]["bias"], b, rtol=1e-6)


def test_larc_two_steps_by_hand():
    """apex: g <- eta |w| / (|g| + wd |w|) * (g + wd w) for every tensor; PyTorch's SGD: v = m v + g, w -= lr v."""
    rates, decay, momentum, eta = (0.5, 0.2), 0.1, 0.9, 0.01
    update = optimizers.larc(
        lambda step: jnp.where(step == 0, *rates), weight_decay=decay, momentum=momentum, trust_coefficient=eta
    )
    params = {
        "kernel": jnp.array([3.0, 4.0]),
        "scale": jnp.array([1.0, -2.0]),
        "bias": jnp.zeros(2),
        "idle": jnp.ones(2),
    }
    state, ours = update.init(params), params
    theirs, speed = {name: np.asarray(w) for name, w in params.items()}, dict.fromkeys(params, np.zeros(2))
    for number, rate in enumerate(rates):
        g = np.array([1.0, -2.0]) * (number + 1)
        grads = {name: jnp.asarray(0 * g if name == "idle" else g) for name in params}
        updates, state = update.update(grads, state, ours)
        ours = optax.apply_updates(ours, updates)
        for name, w in theirs.items():
            length, steep = np.linalg.norm(w), np.linalg.norm(grads[name])
            raw = length == 0 or steep == 0  # the bias at first, and what has no gradient
            full = np.asarray(grads[name]) if raw else eta * length / (steep + decay * length) * (g + decay * w)
            speed[name] = momentum * speed[name] + full
            theirs[name] = w - rate * speed[name]
    for name in params:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6)
    np.testing.assert_array_equal(ours["idle"], params["idle"])


def test_larc_clipped_by_hand():
    """The ratio is 0.02 * 5 / 1 = 0.1: a quarter of the rate 0.4, and more than 0.05, which is then the whole rate."""
    rates, settings = jnp.array([0.4, 0.05, 0.0]), dict(weight_decay=0.0, momentum=0.5, trust_coefficient=0.02)
    update = optimizers.larc(lambda step: rates[step], clip=True, all_parameters=False, **settings)
    params, g = {"kernel": jnp.array([3.0, 4.0]), "bias": jnp.array([1.0, 1.0])}, np.array([0.8, -0.6])
    grads, state = {"kernel": jnp.asarray(g), "bias": jnp.asarray(g)}, update.init(params)
    moved = []
    for _ in rates:
        updates, state = update.update(grads, state, params)  # of the same weights each time
        moved.append(updates)
    for found, kernel, bias in zip(moved, (0.4 * 0.25, 0.05 * (0.5 * 0.25 + 1), 0), (0.4, 0.05 * 1.5, 0)):
        np.testing.assert_allclose(found["kernel"], -kernel * g, rtol=1e-6)
        np.testing.assert_allclose(found["bias"], -bias * g, rtol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
@pytest.mark.parametrize("all_parameters", [False, True])
def test_decay_of_all_parameters(name, all_parameters):
    """Without a gradient, a step multiplies what decays by 1 - rate * decay."""
    update = optimizers.OPTIMIZERS[name](optax.constant_schedule(0.1), weight_decay=0.5, all_parameters=all_parameters)
    zero = jax.tree.map(jnp.zeros_like, PARAMS)
    moved = optax.apply_updates(PARAMS, update.update(zero, update.init(PARAMS), PARAMS)[0])
    for (path, before), after in zip(jax.tree_util.tree_leaves_with_path(PARAMS), jax.tree.leaves(moved), strict=True):
        decays = all_parameters or path_name(path).endswith("kernel")
        np.testing.assert_allclose(after, before * (0.95 if decays else 1), rtol=1e-6)


@pytest.mark.parametrize("method", tiny.METHODS)
@pytest.mark.parametrize("scan", [False, True])
def test_decay_mask_of_real_methods(method, scan, data_dir):
    """Names as flax gives them: matrices, embeddings and tokens decay; biases and all scales do not."""
    config = tiny.config(method)
    if "scan" in configs.settings_of(models.MODELS[config["model"]["name"]]):
        config["model"] |= {"scan": scan} | ({"layer_scale": 0.1} if method == "mae" else {})
    experiment = build(config, data_dir=data_dir)
    mask = optimizers.decay_mask(nnx.state(experiment.method, nnx.Param))
    decays = {path_name(path).rpartition(".")[2]: leaf for path, leaf in jax.tree_util.tree_flatten_with_path(mask)[0]}
    spared = {"bias", "recurrent_bias", "scale", "scale1", "scale2", "log_scale", "prototypes"}
    assert {name for name, leaf in decays.items() if not leaf} <= spared
    decayed = {"kernel", "recurrent_kernel", "embedding", "class_token", "mask_token", "positions", "gain"}
    decayed |= {"output", "mask_embedding", "codevectors", "codewords", "relative", "probe", "registers"}
    assert {name for name, leaf in decays.items() if leaf} <= decayed
    assert ("bias" in decays) == (method not in ("t5", "word2vec"))
    assert "kernel" in decays or method == "word2vec"


def test_adamw_two_steps_by_hand():
    """Loshchilov and Hutter 2019, algorithm 2: the decay is not adapted; biases are not decayed."""
    rate, decay, b1, b2, eps = 0.1, 0.5, 0.8, 0.95, 1e-3
    update = optimizers.adamw(optax.constant_schedule(rate), weight_decay=decay, b1=b1, b2=b2, eps=eps)
    params = {"kernel": jnp.array([3.0, -4.0]), "bias": jnp.array([1.0, 2.0])}
    state, mine, m, v = update.init(params), {k: np.array(p) for k, p in params.items()}, 0.0, 0.0
    for number in range(1, 3):
        g = np.array([1.0, -2.0]) * number
        updates, state = update.update({"kernel": jnp.asarray(g), "bias": jnp.asarray(g)}, state, params)
        params = optax.apply_updates(params, updates)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        step = m / (1 - b1**number) / (np.sqrt(v / (1 - b2**number)) + eps)
        mine = {k: w - rate * (step + (decay * w if k == "kernel" else 0)) for k, w in mine.items()}
    for name in params:
        np.testing.assert_allclose(params[name], mine[name], rtol=1e-5)


def test_adamw_decay_rises_along_a_cosine():
    """With no gradient a step multiplies a weight by 1 - rate * decay; half way the decay is the mean of both ends."""
    update = optimizers.adamw(optax.constant_schedule(0.1), weight_decay=0.2, weight_decay_end=0.6, steps=2)
    params, zero = {"kernel": jnp.ones(2)}, {"kernel": jnp.zeros(2)}
    state, expected = update.init(params), 1.0
    for decay in (0.2, 0.4, 0.6):
        updates, state = update.update(zero, state, params)
        params, expected = optax.apply_updates(params, updates), expected * (1 - 0.1 * decay)
        np.testing.assert_allclose(params["kernel"], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("warmup_cosine", {0: 0.0, 5: 1.0, 10: 2.0, 30: 1.0, 50: 0.0}),
        ("warmup_linear", {0: 0.0, 5: 1.0, 10: 2.0, 20: 1.5, 30: 1.0, 50: 0.0}),
        ("constant", {0: 0.0, 5: 1.0, 10: 2.0, 50: 2.0}),
    ],
)
def test_schedules(name, values):
    schedule = optimizers.SCHEDULES[name](2.0, 50, warmup_steps=10)
    for step, value in values.items():
        np.testing.assert_allclose(schedule(step), value, atol=1e-6)


def test_held_rate_rises_and_falls():
    """fairseq's tri_stage of 50 updates with a phase_ratio of 0.2, 0.6, 0.2, both scales 0.01."""
    schedule = optimizers.warmup_hold_decay(2.0, 50, warmup_steps=10, decay_steps=10)
    values = {0: 0.02, 5: 1.01, 10: 2.0, 40: 2.0, 45: 0.2, 50: 0.02}
    for step, value in values.items():
        np.testing.assert_allclose(schedule(step), value, rtol=1e-5)
    with pytest.raises(ValueError, match="decay_steps 41 is not between 1 and the 40 after the warm-up"):
        optimizers.warmup_hold_decay(2.0, 50, warmup_steps=10, decay_steps=41)


def test_a_rate_that_falls_in_steps():
    """50 steps: ten up from a hundredth, a tenth from the 30th on, a hundredth from the 40th on."""
    schedule = optimizers.warmup_multistep(2.0, 50, warmup_steps=10, start_factor=0.01, at=(0.6, 0.8), factor=0.1)
    for step, value in {0: 0.02, 5: 1.01, 10: 2.0, 29: 2.0, 30: 0.2, 39: 0.2, 40: 0.02, 49: 0.02}.items():
        np.testing.assert_allclose(schedule(step), value, rtol=1e-5)
    for at in (0.1,), (1.0,):
        with pytest.raises(ValueError, match=r"are not shares of the run between its warm-up \(10 of 50 steps\) and 1"):
            optimizers.warmup_multistep(2.0, 50, warmup_steps=10, at=at)


def test_stretched_cosines_stop_on_their_way():
    """`WarmupCosineSchedule` and `CosineWDSchedule` of facebookresearch/msn, src/utils.py, with T_max = 1.25 runs."""
    rate = optimizers.warmup_cosine(2.0, 40, warmup_steps=10, start_factor=0.2, end_factor=0.1, stretch=1.25)
    for step, value in {0: 0.4, 5: 1.2, 10: 2.0, 30: 1.1, 40: 0.2 + 1.8 * (1 - 2**-0.5) / 2}.items():
        np.testing.assert_allclose(rate(step), value, rtol=1e-6)
    decay = dict(weight_decay=0.2, weight_decay_end=0.6, weight_decay_stretch=2.0, steps=1)
    update = optimizers.adamw(optax.constant_schedule(0.1), **decay)
    params, zero = {"kernel": jnp.ones(2)}, {"kernel": jnp.zeros(2)}
    state = update.init(params)
    for decayed in (0.98, 0.98 * 0.96):
        updates, state = update.update(zero, state, params)
        params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(params["kernel"], decayed, rtol=1e-6)
    for broken in (dict(stretch=0.0), dict(stretch=0.25, warmup_steps=10), dict(start_factor=-1.0)):
        with pytest.raises(ValueError, match=next(iter(broken))):
            optimizers.warmup_cosine(2.0, 40, **broken)
    for stretch, ends in (0.5, {"weight_decay_end": 0.6}), (1.25, {}):
        with pytest.raises(ValueError, match="weight_decay_stretch"):
            optimizers.adamw(optax.constant_schedule(0.1), weight_decay_stretch=stretch, steps=1, **ends)


def test_a_cosine_that_ends_before_the_run_stays_where_it_is():
    rate = optimizers.warmup_cosine(2.0, 50, end_factor=0.1, stretch=0.4)
    for step, value in {0: 2.0, 10: 1.1, 20: 0.2, 21: 0.2, 49: 0.2}.items():
        np.testing.assert_allclose(rate(step), value, rtol=1e-6)


def test_linear_scaling():
    assert optimizers.peak_rate(4096, learning_rate=0.3, reference_batch_size=256) == pytest.approx(4.8)
    assert optimizers.peak_rate(4096, learning_rate=0.3) == 0.3


def test_lamb_by_hand():
    """Two steps: Adam's direction plus decay, brought to the length of the weights; biases take Adam's step alone."""
    params = {"kernel": jnp.array([[3.0, 4.0]]), "bias": jnp.array([2.0])}
    optimizer = optimizers.lamb(lambda step: 0.1, weight_decay=0.5, b1=0.0, b2=0.0, eps=1e-12)
    state = optimizer.init(params)
    for gradient in (2.0, -1.0):
        gradients = {"kernel": jnp.full((1, 2), gradient), "bias": jnp.array([gradient])}
        updates, state = optimizer.update(gradients, state, params)
        sign, weights = np.sign(gradient), np.asarray(params["kernel"])
        step = sign + 0.5 * weights
        step *= np.linalg.norm(weights) / np.linalg.norm(step)
        np.testing.assert_allclose(updates["kernel"], -0.1 * step, rtol=1e-5)
        np.testing.assert_allclose(updates["bias"], [-0.1 * sign], rtol=1e-5)
        params = optax.apply_updates(params, updates)


def test_inverse_sqrt_by_hand():
    schedule = optimizers.inverse_sqrt(0.01, 1000, hold_steps=100)
    for step, value in {0: 0.01, 100: 0.01, 400: 0.005, 900: 0.01 / 3}.items():
        np.testing.assert_allclose(schedule(step), value, rtol=1e-6)
    for wrong in (0, 1000):
        with pytest.raises(ValueError, match=f"hold_steps {wrong} must be at least 1 and less than the 1000 steps"):
            optimizers.inverse_sqrt(0.01, 1000, hold_steps=wrong)


def test_adafactor_moves_each_parameter_by_its_own_size():
    """At the first step all second moments are the gradient's own: it moves by the rate times the weights' size."""
    params = {"large": jnp.full((4, 3), 2.0), "zero": jnp.zeros(5)}
    update = optimizers.adafactor(optax.constant_schedule(0.1))
    gradient = {"large": jnp.full((4, 3), -7.0), "zero": jnp.full(5, 0.3)}
    moved = update.update(gradient, update.init(params), params)[0]
    np.testing.assert_allclose(moved["large"], 0.1 * 2.0, rtol=1e-5)
    np.testing.assert_allclose(moved["zero"], -0.1 * 1e-3, rtol=1e-5)


def test_adafactor_keeps_rows_and_columns_of_large_matrices():
    params = {"large": jnp.zeros((130, 140)), "small": jnp.zeros((130, 20))}
    shapes = {leaf.shape for leaf in jax.tree.leaves(optimizers.adafactor(optax.constant_schedule(0.1)).init(params))}
    assert (130, 20) in shapes and (130, 140) not in shapes
    assert (130,) in shapes and (140,) in shapes


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"decay_power": 0.0}, "decay_power 0.0 must be positive"),
        ({"clip_threshold": 0.0}, "clip_threshold 0.0 must be positive"),
        ({"smallest_factored": 0}, "smallest_factored 0 is below 1"),
    ],
)
def test_impossible_settings_of_adafactor(settings, message):
    with pytest.raises(ValueError, match=message):
        optimizers.adafactor(optax.constant_schedule(0.1), **settings)
