"""RandAugment: what is drawn, by hand, and what is done with it. (fidelity/ compares it with timm.)"""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import augment
from ssl_jax.augment.auto_augment import OPERATIONS, apply_operation
from ssl_jax.augment.rand_augment import CHOICES

COUNT = 20000


def drawn(size=(200, 100), count=COUNT, **settings):
    """Operations [count, 2] and magnitudes [count, 2]."""
    settings = dict(magnitude=9.0, deviation=0.5) | settings
    draw = jax.jit(jax.vmap(lambda key: augment.draw_rand_augment(key, size, **settings)))
    return [np.asarray(x) for x in draw(jax.random.split(jax.random.key(0), count))]


def test_each_operation_is_drawn_as_often_and_half_of_all_are_left_out():
    """Both places, one independent of the other (at 4.5 deviations)."""
    operations, _ = drawn()
    share = np.full(len(OPERATIONS), 0.5 / 15)
    share[0] = 0.5
    assert len(CHOICES) == 15
    expected, counts = np.outer(share, share), np.zeros((len(OPERATIONS),) * 2)
    np.add.at(counts, (operations[:, 0], operations[:, 1]), 1)
    np.testing.assert_array_less(np.abs(counts / COUNT - expected), 4.5 * np.sqrt(expected / COUNT))


def test_magnitudes_without_a_deviation():
    operations, magnitudes = drawn(deviation=0.0)
    at = {name: {round(float(x), 4) for x in magnitudes[operations == OPERATIONS.index(name)]} for name in CHOICES}
    signed = dict(shear_x=0.27, shear_y=0.27, rotate=27.0, translate_x=40.5, translate_y=81.0)
    factors = {name: {0.19, 1.81} for name in ("color", "contrast", "brightness", "sharpness")}
    expected = {name: {value, -value} for name, value in signed.items()} | factors
    expected |= dict(posterize={1.0}, solarize={26.0}, solarize_add={99.0})
    assert at == dict.fromkeys(("auto_contrast", "equalize", "invert"), {0.0}) | expected


def test_magnitudes_are_normal_and_cut_off():
    operations, magnitudes = drawn(magnitude=9.5)
    turns = magnitudes[operations == OPERATIONS.index("rotate")]
    levels = np.abs(turns) / 3
    at_the_end = np.mean(levels > 10 - 1e-4)
    assert levels.max() <= 10 + 1e-5 and abs(at_the_end - 0.159) < 4.5 * np.sqrt(0.159 * 0.841 / len(turns))
    assert abs(np.mean(levels < 9.5) - 0.5) < 4.5 * 0.5 / np.sqrt(len(turns))
    assert abs(np.mean(turns > 0) - 0.5) < 4.5 * 0.5 / np.sqrt(len(turns))


def test_two_operations_are_applied_one_after_the_other():
    """Of a whole batch, each picture gets what was drawn for it."""
    pixels = np.random.default_rng(0).integers(0, 256, (30, 34, 3)).astype(np.float32)
    pairs = [("equalize", "rotate"), ("rotate", "equalize"), ("nothing", "invert"), ("posterize", "solarize_add")]
    magnitudes = dict(rotate=27.0, posterize=1.0, solarize_add=99.0)
    operations = augment.Operations(
        jnp.array([[OPERATIONS.index(name) for name in pair] for pair in pairs]),
        jnp.array([[magnitudes.get(name, 0.0) for name in pair] for pair in pairs], jnp.float32),
    )
    apply = jax.jit(jax.vmap(augment.rand_augment, in_axes=(None, 0)))
    out = np.asarray(apply(jnp.asarray(pixels) / 255, operations)) * 255
    for row, pair in enumerate(pairs):
        expected = jnp.asarray(pixels)
        for name in pair:
            magnitude = jnp.float32(magnitudes.get(name, 0.0))
            index = jnp.int32(OPERATIONS.index(name))
            expected = apply_operation(expected, index, magnitude, among={name}, fill=128.0)
        np.testing.assert_allclose(out[row], expected, atol=1e-3)
    assert np.abs(out[0] - out[1]).max() > 1 and np.any(np.abs(out[0] - 128) < 1e-3)


def view_of(**settings):
    spec = types.SimpleNamespace(shapes={"image": (24, 24, 3)})
    return augment.PhotoView(spec, out_size=20, **{**dict(jitter=0.0, grayscale=0.0, blur=0.0), **settings})


def test_views_are_cropped_and_flipped_as_without():
    """The crop and flip of a key stay, whatever is done after them: where nothing is, only whole values are new."""
    image = jnp.asarray(np.random.default_rng(0).integers(0, 256, (24, 24, 3)), jnp.uint8)
    keys = jax.random.split(jax.random.key(1), 400)
    plain, augmented = (
        np.asarray(jax.jit(jax.vmap(view.train, in_axes=(0, None)))(keys, {"image": image}))
        for view in (view_of(), view_of(rand_augment=9.0))
    )
    close = np.abs(plain - augmented).max((1, 2, 3)) < 0.501 / 255
    assert 0.25 - 4.5 * np.sqrt(0.25 * 0.75 / 400) < close.mean() < 0.5  # some operations change little
    np.testing.assert_allclose(augmented * 255, np.round(augmented * 255), atol=1e-4)


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(rand_augment=11.0), "rand_augment 11.0 is not in 0 to 10, nor None"),
        (dict(rand_augment=9.0, rand_deviation=-1.0), "rand_deviation -1.0 is negative"),
        (dict(rand_augment=9.0, auto_augment="imagenet"), "do the same: set one of them to None"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        view_of(**settings)
