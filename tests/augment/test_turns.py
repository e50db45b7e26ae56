"""Quarter turns: direction, labels, distribution."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import augment

IMAGE = jnp.arange(4 * 4 * 3, dtype=jnp.uint8).reshape(4, 4, 3)


@pytest.mark.parametrize("turns", range(4))
def test_counterclockwise_without_touching_a_pixel(turns):
    turned = jax.jit(augment.quarter_turn)(IMAGE, jnp.array(turns))
    assert turned.dtype == jnp.uint8
    np.testing.assert_array_equal(turned, np.rot90(IMAGE, turns))


def test_the_top_of_the_picture_comes_to_the_left():
    picture = jnp.zeros((3, 3, 1)).at[0, 1].set(1.0)
    np.testing.assert_array_equal(augment.quarter_turn(picture, 1), jnp.zeros((3, 3, 1)).at[1, 0].set(1.0))


def test_all_four_with_their_labels():
    images, labels = jax.jit(augment.quarter_turns)(IMAGE)
    assert labels.dtype == jnp.int32
    np.testing.assert_array_equal(labels, range(4))
    for image, label in zip(images, labels):
        np.testing.assert_array_equal(augment.quarter_turn(IMAGE, label), image)


def test_each_turn_is_drawn_as_often():
    drawn = jax.jit(jax.vmap(augment.draw_quarter_turn))(jax.random.split(jax.random.key(0), 4000))
    assert drawn.dtype == jnp.int32
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 4000, 0.25, atol=4.5 * np.sqrt(0.25 * 0.75 / 4000))


def test_a_batch_of_images_each_by_its_own_label():
    images = jax.random.uniform(jax.random.key(1), (5, 6, 6, 2))
    labels = jnp.array([0, 1, 2, 3, 1])
    turned = jax.jit(jax.vmap(augment.quarter_turn))(images, labels)
    np.testing.assert_array_equal(turned, np.stack([np.rot90(x, k) for x, k in zip(images, labels)]))


@pytest.mark.parametrize("shape", [(4, 5, 3), (4, 4)])
def test_only_square_images(shape):
    for function in (augment.quarter_turns, functools.partial(augment.quarter_turn, turns=1)):
        with pytest.raises(ValueError, match="square"):
            function(jnp.zeros(shape))
