"""Colour jitter: what it draws, and what changes nothing. (Its pixels are compared with torchvision's in fidelity/.)"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import augment

STRENGTHS = dict(brightness=0.8, contrast=0.4, saturation=1.5, hue=0.2)


def draws(n=20000, **settings):
    keys = jax.random.split(jax.random.key(0), n)
    draw = jax.jit(jax.vmap(lambda key: augment.draw_color_jitter(key, **{**STRENGTHS, **settings})))
    return jax.tree.map(np.asarray, draw(keys))


def is_uniform(values, low, high):
    quantiles = np.sort((values - low) / (high - low))
    return np.abs(quantiles - np.linspace(0, 1, len(values))).max() < 1.95 / np.sqrt(len(values))


def test_ranges():
    jitter = draws()
    assert is_uniform(jitter.brightness, 0.2, 1.8) and is_uniform(jitter.contrast, 0.6, 1.4)
    assert is_uniform(jitter.saturation, 0.0, 2.5) and is_uniform(jitter.hue, -0.2, 0.2)


def test_every_order_comes_as_often():
    counts = np.bincount(draws().order, minlength=24)
    assert len(counts) == 24
    expected = 20000 / 24
    np.testing.assert_allclose(counts, expected, atol=4.5 * np.sqrt(expected))


def test_draws_are_independent():
    jitter = draws()
    table = np.corrcoef(np.stack(jitter))
    np.testing.assert_allclose(table, np.eye(5), atol=4.5 / np.sqrt(20000))


def test_probability():
    jitter = draws(probability=0.3)
    untouched = (jitter.brightness == 1) & (jitter.contrast == 1) & (jitter.saturation == 1) & (jitter.hue == 0)
    np.testing.assert_allclose(untouched.mean(), 0.7, atol=0.015)


def test_neutral_parameters_change_nothing():
    image = jax.random.uniform(jax.random.key(0), (6, 7, 3)).at[0].set(0.5).at[1].set(0).at[2].set(1)
    for order in range(24):
        neutral = augment.Jitter(*(jnp.float32(x) for x in (1, 1, 1, 0)), order=jnp.int32(order))
        np.testing.assert_allclose(augment.color_jitter(image, neutral), image, atol=2e-6)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_than_three_channels_have_no_color(channels):
    image = jax.random.uniform(jax.random.key(0), (6, 7, channels))
    colored = augment.Jitter(*(jnp.float32(x) for x in (1, 1, 1.7, 0.3)), order=jnp.int32(5))
    np.testing.assert_allclose(augment.color_jitter(image, colored), image, atol=1e-6)
    brighter = colored._replace(brightness=jnp.float32(0.5))
    np.testing.assert_allclose(augment.color_jitter(image, brighter), image / 2, atol=1e-6)


def test_one_channel_is_gray():
    image = jax.random.uniform(jax.random.key(0), (6, 7, 1))
    np.testing.assert_allclose(augment.grayscale(image, True), image, atol=1e-7)


def test_solarize_by_hand():
    image = jnp.array([0.0, 0.25, 0.5, 1.0]).reshape(2, 2, 1)
    np.testing.assert_allclose(augment.solarize(image, True).ravel(), [0, 0.25, 0.5, 0])
    np.testing.assert_allclose(augment.solarize(image, True, threshold=0.2).ravel(), [0, 0.75, 0.5, 0])


def test_a_shared_order_is_kept_and_comes_as_often():
    orders = np.asarray(jax.jit(jax.vmap(augment.draw_order))(jax.random.split(jax.random.key(0), 20000)))
    assert np.bincount(orders, minlength=24).min() > 20000 / 24 - 4.5 * np.sqrt(20000 / 24)
    assert (draws(order=jnp.int32(7)).order == 7).all()
