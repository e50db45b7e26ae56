"""Alignment and uniformity by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import losses


def test_alignment():
    x, y = jnp.array([[1.0, 0.0], [0.0, 5.0]]), jnp.array([[0.0, 2.0], [0.0, 1.0]])
    np.testing.assert_allclose(losses.alignment(x, y), (2 + 0) / 2, atol=1e-6)
    np.testing.assert_allclose(losses.alignment(x, y, alpha=1), np.sqrt(2) / 2, rtol=1e-5)


def test_uniformity():
    antipodal = jnp.array([[1.0, 0.0], [-3.0, 0.0]])
    np.testing.assert_allclose(losses.uniformity(antipodal), -8, rtol=1e-6)
    np.testing.assert_allclose(losses.uniformity(jnp.ones((5, 3))), 0, atol=1e-5)


def test_uniformity_equals_all_pairs():
    x = np.asarray(jax.random.normal(jax.random.key(0), (7, 4)), np.float64)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    pairs = [np.exp(-2 * np.sum((x[i] - x[j]) ** 2)) for i in range(7) for j in range(i)]
    np.testing.assert_allclose(losses.uniformity(jnp.asarray(x, jnp.float32)), np.log(np.mean(pairs)), rtol=1e-5)


def test_uniformity_of_one_example():
    with pytest.raises(ValueError, match="at least 2"):
        losses.uniformity(jnp.ones((1, 3)))
