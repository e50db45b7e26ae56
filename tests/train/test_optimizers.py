"""Optimizers and schedules against numbers worked out by hand."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ssl_jax.train import optimizers

PARAMS = {"conv": {"kernel": jnp.array([3.0, 4.0])}, "norm": {"scale": jnp.ones(2), "bias": jnp.ones(2)}}
PARAMS["block"] = {"scale1": jnp.full((2,), 0.1), "kernel": jnp.ones((2, 2))}


def test_decay_spares_biases_and_all_scales():
    assert optimizers.decay_mask(PARAMS) == {
        "conv": {"kernel": True},
        "norm": {"scale": False, "bias": False},
        "block": {"scale1": False, "kernel": True},
    }


def test_lars_two_steps_by_hand():
    """Official recurrence: v = m v + lr * trust * (g + wd w), w -= v, trust = eta |w| / |g + wd w|."""
    rate, decay, momentum, eta = 0.5, 0.1, 0.9, 0.01
    update = optimizers.lars(
        optax.constant_schedule(rate), weight_decay=decay, momentum=momentum, trust_coefficient=eta
    )
    params, state = PARAMS, update.init(PARAMS)
    w, b = np.array([3.0, 4.0]), np.ones(2)
    speed_w, speed_b = np.zeros(2), np.zeros(2)
    for number in range(2):
        g = np.array([1.0, -2.0]) * (number + 1)
        grads = {"conv": {"kernel": jnp.asarray(g)}, "norm": {"scale": jnp.zeros(2), "bias": jnp.asarray(g)}}
        grads["block"] = {"scale1": jnp.zeros(2), "kernel": jnp.zeros((2, 2))}
        updates, state = update.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        full = g + decay * w
        speed_w = momentum * speed_w + rate * eta * np.linalg.norm(w) / np.linalg.norm(full) * full
        speed_b = momentum * speed_b + rate * g  # neither decayed nor adapted
        w, b = w - speed_w, b - speed_b
    np.testing.assert_allclose(params["conv"]["kernel"], w, rtol=1e-6)
    np.testing.assert_allclose(params["norm"]["bias"], b, rtol=1e-6)


def test_adamw_clips_the_global_norm():
    update = optimizers.adamw(optax.constant_schedule(0.1), clip_norm=1.0)
    state = update.init({"kernel": jnp.zeros(2)})
    _, state = update.update({"kernel": jnp.array([30.0, 40.0])}, state, {"kernel": jnp.zeros(2)})
    moment = optax.tree.get(state, "mu")["kernel"]
    np.testing.assert_allclose(moment, 0.1 * np.array([0.6, 0.8]), rtol=1e-6)


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


def test_linear_scaling():
    assert optimizers.peak_rate(4096, learning_rate=0.3, reference_batch_size=256) == pytest.approx(4.8)
    assert optimizers.peak_rate(4096, learning_rate=0.3) == 0.3
