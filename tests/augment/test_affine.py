"""Affine transforms: identity, direction, fill, distribution."""

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax import augment

NOTHING = augment.Affine(angle=0.0, down=0.0, right=0.0, scale=1.0, shear=0.0)


def test_identity():
    image = jax.random.uniform(jax.random.key(0), (8, 8, 2))
    np.testing.assert_allclose(augment.affine(image, NOTHING, out_size=8), image, atol=1e-6)


def test_shift_brings_in_the_fill():
    image = jax.random.uniform(jax.random.key(0), (8, 8, 1))
    moved = augment.affine(image, NOTHING._replace(down=0.25, right=-0.125), out_size=8, fill=0.5)
    np.testing.assert_allclose(moved[2:, :-1], image[:-2, 1:], atol=1e-6)
    np.testing.assert_allclose(moved[:2], 0.5, atol=1e-6)
    np.testing.assert_allclose(moved[:, -1], 0.5, atol=1e-6)


def test_quarter_turn_is_clockwise():
    image = jax.random.uniform(jax.random.key(0), (8, 8, 1))
    turned = augment.affine(image, NOTHING._replace(angle=jnp.pi / 2), out_size=8)
    np.testing.assert_allclose(turned, jnp.rot90(image, -1), atol=1e-5)


def test_magnified_output():
    image = jnp.ones((8, 8, 1))
    np.testing.assert_allclose(augment.affine(image, NOTHING, out_size=16)[2:-2, 2:-2], 1, atol=1e-6)


def test_draws():
    keys = jax.random.split(jax.random.key(0), 10000)
    draw = lambda key: augment.draw_affine(key, degrees=30, translate=0.1, scale=(0.8, 1.2), shear=10)
    drawn = jax.tree.map(np.asarray, jax.vmap(draw)(keys))
    limits = {"angle": np.pi / 6, "down": 0.1, "right": 0.1, "shear": np.pi / 18}
    for name, limit in limits.items():
        values = getattr(drawn, name)
        assert np.abs(values).max() <= limit * 1.0001
        np.testing.assert_allclose([values.mean(), values.std()], [0, limit / np.sqrt(3)], atol=0.03 * limit)
    np.testing.assert_allclose([drawn.scale.min(), drawn.scale.max()], [0.8, 1.2], atol=1e-3)
