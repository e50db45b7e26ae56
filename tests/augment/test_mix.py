"""Mixup and CutMix: by hand, what they draw, and which of the two a row gets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import augment

stats = pytest.importorskip("scipy.stats")
TARGETS = jnp.eye(3)


def drawn(draw, count=4000):
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(0), count)))


def test_mixup_by_hand():
    images = jnp.array([10.0, 20.0, 40.0]).reshape(3, 1, 1, 1)
    mixed, targets = augment.mixup(images, TARGETS, jnp.array([1.0, 0.5, 0.25]))
    np.testing.assert_allclose(mixed.ravel(), [10, 15, 25])
    np.testing.assert_allclose(targets, [[1, 0, 0], [0.5, 0.5, 0], [0, 0.75, 0.25]])


def test_cutmix_by_hand():
    images = jnp.broadcast_to(jnp.array([1.0, 2.0, 4.0]).reshape(3, 1, 1, 1), (3, 4, 5, 2))
    boxes = augment.Box(*jnp.array([[0, 1, 0], [0, 2, 0], [0, 2, 4], [0, 3, 5]], jnp.float32))
    mixed, targets = augment.cutmix(images, TARGETS, boxes)
    np.testing.assert_array_equal(mixed[0], images[0])
    expected = np.full((4, 5, 2), 2.0)
    expected[1:3, 2:5] = 1
    np.testing.assert_array_equal(mixed[1], expected)
    np.testing.assert_array_equal(mixed[2], images[1])
    np.testing.assert_allclose(targets, [[1, 0, 0], [0.3, 0.7, 0], [0, 1, 0]], atol=1e-6)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_weights_are_betas(alpha):
    weights = drawn(lambda key: augment.draw_mixup(key, alpha=alpha))
    assert stats.kstest(weights, stats.beta(alpha, alpha).cdf).pvalue > 1e-3


def test_boxes_lie_inside_and_have_the_aspect_of_the_image_unless_cut_off():
    box = drawn(lambda key: augment.draw_cutmix(key, (200, 300), alpha=1.0))
    assert min(map(np.min, box)) >= 0 and (box.top + box.height).max() <= 200 and (box.left + box.width).max() <= 300
    whole = (box.top > 0) & (box.left > 0) & (box.top + box.height < 200) & (box.left + box.width < 300)
    np.testing.assert_allclose(box.width[whole], 1.5 * box.height[whole], atol=3)
    assert 0.05 < whole.mean() < 0.4


COUNT = 4000
ZEROS_AND_ONES = jnp.broadcast_to((jnp.arange(COUNT) % 2.0).reshape(-1, 1, 1, 1), (COUNT, 8, 8, 1))
CLASSES = jnp.eye(2)[jnp.arange(COUNT) % 2]


@pytest.mark.parametrize("mixup, cutmix, share", [(1.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 1.0, 0.5)])
def test_a_row_is_mixed_by_one_of_the_two_and_its_target_as_its_pixels(mixup, cutmix, share):
    """Mixup alone makes grays of black and white; both are as frequent (at 4.5 deviations)."""
    mix = jax.jit(lambda key: augment.mix_batch(key, ZEROS_AND_ONES, CLASSES, mixup_alpha=mixup, cutmix_alpha=cutmix))
    images, targets = map(np.asarray, mix(jax.random.key(0)))
    np.testing.assert_allclose(images.mean((1, 2, 3)), targets[:, 1], atol=1e-6)
    np.testing.assert_allclose(targets.sum(1), 1, atol=1e-6)
    gray = (images > 0) & (images < 1)
    by_mixup = gray.all((1, 2, 3))
    np.testing.assert_array_equal(by_mixup, gray.any((1, 2, 3)))
    np.testing.assert_allclose(by_mixup.mean(), share, atol=4.5 * np.sqrt(share * (1 - share) / COUNT))


def test_nothing_is_mixed_unless_asked():
    images, targets = augment.mix_batch(jax.random.key(0), ZEROS_AND_ONES, CLASSES)
    assert images is ZEROS_AND_ONES and targets is CLASSES
