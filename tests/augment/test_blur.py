"""Blur: what changes nothing, and impossible kernels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import augment


def test_zero_changes_nothing():
    image = jax.random.uniform(jax.random.key(0), (8, 9, 3))
    np.testing.assert_allclose(augment.gaussian_blur(image, 0.0, radius=3), image, atol=1e-7)
    np.testing.assert_array_equal(augment.gaussian_blur(image, 2.0, radius=0), image)


def test_constant_images_stay():
    np.testing.assert_allclose(augment.gaussian_blur(jnp.full((8, 8, 1), 0.3), 1.5, radius=5), 0.3, atol=1e-6)


def test_kernel_too_large():
    with pytest.raises(ValueError, match="radius 8"):
        augment.gaussian_blur(jnp.ones((8, 9, 1)), 1.0, radius=8)


def test_drawn_as_often_as_asked():
    keys = jax.random.split(jax.random.key(0), 10000)
    sigma = np.asarray(jax.vmap(lambda key: augment.draw_blur(key, sigma=(0.1, 2.0), probability=0.5))(keys))
    np.testing.assert_allclose((sigma > 0).mean(), 0.5, atol=0.0225)
    assert sigma[sigma > 0].min() >= 0.1 and sigma.max() <= 2
    np.testing.assert_allclose(sigma[sigma > 0].mean(), 1.05, atol=0.04)
