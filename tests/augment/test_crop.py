"""Crops: identity, edges, whole rows of weights, and the geometry of stretched pictures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import augment
from ssl_jax.augment.crop import resize_matrix

MODES = ["bilinear", "bicubic"]


def box(*values):
    return augment.Box(*(jnp.float32(v) for v in values))


@pytest.mark.parametrize("mode", MODES)
def test_the_whole_image_at_its_own_size_is_itself(mode):
    image = jax.random.uniform(jax.random.key(0), (9, 9, 3))
    same = augment.crop_and_resize(image, box(0, 0, 9, 9), out_size=9, interpolation=mode)
    np.testing.assert_allclose(same, image, atol=1e-6)


PARTS = [(0, 10), (3, 1), (9.75, 0.25), (2.3, 0.1), (0.5, 7.77), (9, 1)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("out", [1, 4, 33])
def test_weights_sum_to_one_and_stay_inside(out, mode):
    matrices = jax.jit(jax.vmap(lambda start, length: resize_matrix(start, length, 10, out, mode)))(*jnp.array(PARTS).T)
    np.testing.assert_allclose(matrices.sum(2), 1, atol=1e-5)
    for weights, (start, length) in zip(np.asarray(matrices), PARTS):
        outside = [i for i in range(10) if i + 1 <= start or i >= start + length]
        np.testing.assert_array_equal(weights[:, outside], 0)


def test_shrinking_averages():
    checkers = jnp.indices((8, 8)).sum(0)[..., None] % 2 * 1.0
    small = augment.crop_and_resize(checkers, box(0, 0, 8, 8), out_size=2, interpolation="bilinear")
    np.testing.assert_allclose(small, 0.5, atol=0.01)


def test_crops_fit_and_keep_scale_and_ratio():
    keys = jax.random.split(jax.random.key(0), 5000)
    boxes = jax.vmap(lambda key: augment.draw_crop(key, jnp.array([96, 128])))(keys)
    top, left, height, width = (np.asarray(x) for x in boxes)
    assert top.min() >= 0 and left.min() >= 0 and (top + height).max() <= 96 and (left + width).max() <= 128
    area = height * width / (96 * 128)
    assert 0.07 < area.min() < 0.1 and 0.9 < area.max() <= 1
    assert 0.72 < (width / height).min() and (width / height).max() < 1.38


def test_no_fitting_crop_falls_back_to_the_centre():
    narrow = augment.draw_crop(jax.random.key(0), jnp.array([100, 10]), scale=(1.0, 1.0))
    np.testing.assert_array_equal(jnp.stack(narrow), [43, 0, 13, 10])
    single = augment.draw_crop(jax.random.key(0), jnp.array([1, 1]))
    np.testing.assert_array_equal(jnp.stack(single), [0, 0, 1, 1])


def test_a_stretched_picture_is_cropped_as_the_original():
    original = jnp.zeros((64, 128, 1)) + jnp.sin(jnp.arange(128) / 9.0)[None, :, None] / 2 + 0.5
    canvas = augment.crop_and_resize(original, box(0, 0, 64, 128), out_size=64)
    key, size = jax.random.key(3), jnp.array([64, 128])
    settings = dict(out_size=16, scale=(0.3, 0.5))
    direct = augment.random_resized_crop(key, original, **settings)
    stretched = augment.random_resized_crop(key, canvas, size=size, **settings)
    np.testing.assert_allclose(stretched, direct, atol=0.02)
    assert np.abs(augment.random_resized_crop(key, canvas, **settings) - direct).max() > 0.1


def test_center_box_of_a_wide_picture():
    np.testing.assert_allclose(jnp.stack(augment.center_box(jnp.array([40, 80]), 0.875)), [2.5, 22.5, 35, 35])
