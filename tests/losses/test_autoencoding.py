"""The terms of a discrete VAE, by hand; `tests/fidelity/test_methods_beit.py` compares them with torch's."""

import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import losses


def test_logit_laplace_by_hand():
    """A black pixel is mapped to 0.1, whose logit is -ln 9, and a grey one to 0.5, whose logit is 0."""
    pixels, predictions = jnp.array([[0.0], [0.5]]), jnp.array([[0.0, 0.0], [3.0, np.log(2.0)]])
    black = np.log(2 * 0.1 * 0.9) + np.log(9)
    grey = np.log(2 * 2 * 0.25) + 3 / 2
    np.testing.assert_allclose(losses.logit_laplace(predictions, pixels), (black + grey) / 2, rtol=1e-6)


def test_logit_laplace_is_a_density():
    """Over mapped pixels, from 0.1 to 0.9, and the tails beyond, which have a closed form, it adds up to 1."""
    pixels = (np.arange(200_000) + 0.5) / 200_000
    mu, b = 0.3, 0.7
    values = [float(losses.logit_laplace(jnp.array([mu, np.log(b)]), jnp.array([x]))) for x in (pixels[0], pixels[-1])]
    assert np.isfinite(values).all()
    mapped = np.asarray(losses.map_pixels(jnp.asarray(pixels)), np.float64)
    density = np.exp(-np.log(2 * b * mapped * (1 - mapped)) - np.abs(np.log(mapped / (1 - mapped)) - mu) / b)
    inside = density.mean() * 0.8
    tails = 0.5 * np.exp(-(np.log(9) + mu) / b) + 0.5 * np.exp(-(np.log(9) - mu) / b)
    np.testing.assert_allclose(inside + tails, 1, rtol=1e-5)
    np.testing.assert_allclose(np.exp(-np.array(values)), density[[0, -1]], rtol=1e-5)


def test_pixels_are_mapped_and_back():
    pixels = jnp.linspace(0, 1, 11)
    mapped = losses.map_pixels(pixels)
    np.testing.assert_allclose(mapped, np.linspace(0.1, 0.9, 11), rtol=1e-6)
    np.testing.assert_allclose(losses.unmap_pixels(mapped), pixels, atol=1e-6)
    np.testing.assert_array_equal(losses.unmap_pixels(jnp.array([0.0, 1.0])), [0, 1])


def test_uniform_divergence_by_hand():
    logits = jnp.log(jnp.array([[0.5, 0.5], [0.9, 0.1]]))
    sure = np.log(2) + 0.9 * np.log(0.9) + 0.1 * np.log(0.1)
    np.testing.assert_allclose(losses.uniform_divergence(logits), sure / 2, rtol=1e-5)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="predictions"):
        losses.logit_laplace(jnp.ones((2, 4, 4, 3)), jnp.ones((2, 4, 4, 3)))
