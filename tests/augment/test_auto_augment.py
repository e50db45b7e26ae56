"""AutoAugment: its operations by hand, and how often they are drawn. (fidelity/ compares them with torchvision.)"""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import augment
from ssl_jax.augment.auto_augment import OPERATIONS, apply_operation
from ssl_jax.augment.policies import POLICIES

GRAYS = np.array([[0, 1, 63], [64, 127, 128], [200, 254, 255]])


def gray(rows):
    return jnp.asarray(rows, jnp.float32)[..., None]


def apply(name, pixels, magnitude=0.0, fill=None):
    """One operation on pixels [H, W, C]; the result as an array of whole numbers."""
    pixels, index = jnp.asarray(pixels, jnp.float32), jnp.int32(OPERATIONS.index(name))
    out = np.asarray(apply_operation(pixels, index, jnp.float32(magnitude), among={name}, fill=fill))
    assert out.shape == pixels.shape and out.dtype == np.float32
    np.testing.assert_array_equal(out, np.round(out))
    return out.astype(int)


@pytest.mark.parametrize(
    "name, magnitude, expected",
    [
        ("invert", 0, [[255, 254, 192], [191, 128, 127], [55, 1, 0]]),
        ("posterize", 0, np.zeros((3, 3))),
        ("posterize", 1, [[0, 0, 0], [0, 0, 128], [128, 128, 128]]),
        ("posterize", 2, [[0, 0, 0], [64, 64, 128], [192, 192, 192]]),
        ("posterize", 8, GRAYS),
        ("solarize", 0, [[255, 254, 192], [191, 128, 127], [55, 1, 0]]),
        ("solarize", 128, [[0, 1, 63], [64, 127, 127], [55, 1, 0]]),
        ("solarize", 256, GRAYS),
        ("solarize_add", 33, [[33, 34, 96], [97, 160, 128], [200, 254, 255]]),
        ("solarize_add", 200, [[200, 201, 255], [255, 255, 128], [200, 254, 255]]),
        ("brightness", 0.5, [[0, 0, 31], [32, 63, 64], [100, 127, 127]]),
        ("brightness", 1.9, [[0, 1, 119], [121, 241, 243], [255, 255, 255]]),
        ("brightness", 1.0, GRAYS),
        ("contrast", 0.0, np.full((3, 3), 121)),  # the mean is 121.33
        ("contrast", 0.5, [[60, 61, 92], [92, 124, 124], [160, 187, 188]]),
        ("color", 0.3, GRAYS),
        ("equalize", 0, GRAYS),  # too few pixels for a step
        ("auto_contrast", 0, GRAYS),
    ],
)
def test_operation_on_grays(name, magnitude, expected):
    np.testing.assert_array_equal(apply(name, gray(GRAYS), magnitude)[..., 0], expected)
    np.testing.assert_array_equal(apply(name, jnp.repeat(gray(GRAYS), 3, -1), magnitude)[..., 1], expected)


def test_auto_contrast_stretches_each_channel():
    pixels = jnp.stack(
        [jnp.array([[10, 11], [12, 60]]), jnp.array([[7, 7], [7, 7]]), jnp.array([[0, 9], [90, 255]])], -1
    )
    out = apply("auto_contrast", pixels)
    np.testing.assert_array_equal(out[..., 0], [[0, 5], [10, 255]])  # 255 / 50 a level, cut off
    np.testing.assert_array_equal(out[..., 1:], pixels[..., 1:])


def test_equalize_spreads_each_channel():
    """1020 pixels, 765 of them below the largest value: a step of 3, and so (darker + 1) // 3."""
    first = np.repeat([7, 100, 101], [510, 255, 255]).reshape(30, 34)
    second = np.repeat([0, 50, 250], [1, 509, 510]).reshape(30, 34)  # a step of 2
    third = np.full((30, 34), 9)  # no step
    out = apply("equalize", np.stack([first, second, third], -1))
    for channel, levels in enumerate(({7: 0, 100: 170, 101: 255}, {0: 0, 50: 1, 250: 255}, {9: 9})):
        before = (first, second, third)[channel]
        for level, expected in levels.items():
            assert set(out[..., channel][before == level]) == {expected}


def test_color_blends_with_the_gray_picture():
    pixels = np.array([[[200, 100, 50], [0, 0, 255]]])
    grays = np.array([124, 29])  # 0.2989 R + 0.587 G + 0.114 B, times 255.5 / 255, cut off
    np.testing.assert_array_equal(apply("color", pixels, 0.0), np.repeat(grays[None, :, None], 3, -1))
    np.testing.assert_array_equal(apply("color", pixels, 1.0), pixels)
    np.testing.assert_array_equal(apply("color", pixels, 1.5), [[[238, 88, 13], [0, 0, 255]]])


def test_sharpness_smooths_all_but_the_border():
    pixels = np.array([[13, 0, 26], [0, 130, 0], [0, 0, 0]])
    smooth = np.where(pixels == 130, (5 * 130 + 13 + 26) // 13, pixels)
    for factor, centre in ((0.0, 53), (0.5, 91), (1.0, 130), (1.9, 199)):
        expected = np.where(pixels == 130, centre, smooth)
        np.testing.assert_array_equal(apply("sharpness", gray(pixels), factor)[..., 0], expected)


ROWS = np.arange(1, 10).reshape(3, 3)


@pytest.mark.parametrize(
    "name, magnitude, filled, mirrored",
    [
        ("translate_x", 1, [[0, 1, 2], [0, 4, 5], [0, 7, 8]], [[1, 1, 2], [4, 4, 5], [7, 7, 8]]),
        ("translate_x", -2, [[3, 0, 0], [6, 0, 0], [9, 0, 0]], [[3, 3, 2], [6, 6, 5], [9, 9, 8]]),
        ("translate_y", 1, [[0, 0, 0], [1, 2, 3], [4, 5, 6]], [[1, 2, 3], [1, 2, 3], [4, 5, 6]]),
        ("translate_y", -4, np.zeros((3, 3)), [[6, 5, 4][::-1], [3, 2, 1][::-1], [1, 2, 3]]),
        ("translate_y", 6, np.zeros((3, 3)), ROWS),
        ("shear_x", 1, [[1, 2, 3], [5, 6, 0], [9, 0, 0]], [[1, 2, 3], [5, 6, 6], [9, 9, 8]]),
        ("shear_y", -1, [[1, 0, 0], [4, 2, 0], [7, 5, 3]], [[1, 2, 6], [4, 2, 3], [7, 5, 3]]),
        ("shear_x", 0.3, [[1, 2, 3], [4, 5, 6], [8, 9, 0]], [[1, 2, 3], [4, 5, 6], [8, 9, 9]]),
        ("rotate", 90, np.rot90(ROWS), np.rot90(ROWS)),
        ("rotate", -90, np.rot90(ROWS, -1), np.rot90(ROWS, -1)),
        ("rotate", 0, ROWS, ROWS),
    ],
)
def test_warps(name, magnitude, filled, mirrored):
    np.testing.assert_array_equal(apply(name, gray(ROWS), magnitude, fill=0.0)[..., 0], filled)
    np.testing.assert_array_equal(apply(name, gray(ROWS), magnitude)[..., 0], mirrored)
    grayed = np.where(np.asarray(filled) == 0, 128, filled)
    np.testing.assert_array_equal(apply(name, gray(ROWS), magnitude, fill=128.0)[..., 0], grayed)


MAGNITUDES = {
    "posterize": 2.0,
    "solarize": 100.0,
    "solarize_add": 33.0,
    "rotate": 24.0,
    "shear_x": 0.3,
    "shear_y": -0.3,
}


def test_a_batch_does_to_each_picture_what_was_drawn_for_it():
    """Under `vmap` with all operations compiled, each gives what it gives alone, and 'nothing' gives the picture."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, 20, 3))
    magnitudes = np.array([MAGNITUDES.get(name, 1.7) for name in OPERATIONS], np.float32)
    one = lambda operation, magnitude: apply_operation(
        jnp.asarray(pixels, jnp.float32), operation, magnitude, among=set(OPERATIONS), fill=128.0
    )
    batch = np.asarray(jax.jit(jax.vmap(one))(jnp.arange(len(OPERATIONS)), jnp.asarray(magnitudes)))
    np.testing.assert_array_equal(batch[0], pixels)
    for index, name in enumerate(OPERATIONS[1:], 1):
        np.testing.assert_array_equal(batch[index], apply(name, pixels, magnitudes[index], fill=128.0), err_msg=name)
        assert (batch[index] != pixels).any(), name


def test_operations_that_are_not_compiled_change_nothing():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 3))
    for index in range(len(OPERATIONS)):
        out = apply_operation(
            jnp.asarray(pixels, jnp.float32), jnp.int32(index), jnp.float32(3), among=set(), fill=None
        )
        np.testing.assert_array_equal(out, pixels)


COUNT = 20000


@pytest.mark.parametrize("policy", list(POLICIES))
def test_pairs_are_drawn_as_often_as_the_policy_says(policy):
    """How often each two operations come together, and each sign of a magnitude (at 4.5 deviations)."""
    keys = jax.random.split(jax.random.key(0), COUNT)
    draw = jax.jit(jax.vmap(lambda key: augment.draw_auto_augment(key, (224, 200), policy=policy)))
    operation, magnitude = (np.asarray(x) for x in draw(keys))
    expected = np.zeros((len(OPERATIONS), len(OPERATIONS)))
    for (first, p, _), (second, q, _) in POLICIES[policy].pairs:
        i, j = OPERATIONS.index(first), OPERATIONS.index(second)
        for a, b, share in ((i, j, p * q), (i, 0, p * (1 - q)), (0, j, (1 - p) * q), (0, 0, (1 - p) * (1 - q))):
            expected[a, b] += share / 25
    counts = np.zeros_like(expected)
    np.add.at(counts, (operation[:, 0], operation[:, 1]), 1)
    np.testing.assert_array_less(np.abs(counts / COUNT - expected), 4.5 * np.sqrt(expected / COUNT) + 1e-9)
    turns = magnitude[operation == OPERATIONS.index("rotate")]
    turns = turns[turns != 0]
    assert abs(np.mean(turns > 0) - 0.5) < 4.5 * 0.5 / np.sqrt(len(turns))


def magnitudes_drawn(policy, size, count=3000):
    """By name, every magnitude that is drawn, in order."""
    draw = jax.jit(jax.vmap(lambda key: augment.draw_auto_augment(key, size, policy=policy)))
    operation, magnitude = (np.asarray(x) for x in draw(jax.random.split(jax.random.key(0), count)))
    at = lambda index: sorted({round(float(x), 4) for x in magnitude[operation == index]})
    return {name: at(index) for index, name in enumerate(OPERATIONS)}


def test_magnitudes_of_v0():
    drawn = magnitudes_drawn("v0", (224, 200))
    assert drawn["rotate"] == [-27, -24, -21, -15, -6, 0, 6, 15, 21, 24, 27]
    assert drawn["translate_y"] == [-225, 225]
    assert drawn["posterize"] == [1, 2]
    assert drawn["solarize"] == [51, 76, 102, 204, 256]
    assert drawn["solarize_add"] == [33, 77]
    assert drawn["color"] == [0.1, 0.28, 0.82, 1.18, 1.36, 1.72]


def test_magnitudes_of_the_paper_grow_with_the_picture():
    drawn = magnitudes_drawn("cifar10", (331, 662))
    assert drawn["translate_x"] == [-300, -266, 266, 300]
    assert drawn["translate_y"] == [-150, -50, 50, 150]


def view_of(**settings):
    spec = types.SimpleNamespace(shapes={"image": (24, 24, 3)})
    return augment.PhotoView(spec, out_size=20, **{**dict(jitter=0.0, grayscale=0.0, blur=0.0), **settings})


def test_views_are_cropped_and_flipped_as_without():
    """The crop and flip of a key stay, whatever is done after them: where nothing is, only whole values are new."""
    image = jnp.asarray(np.random.default_rng(0).integers(0, 256, (24, 24, 3)), jnp.uint8)
    keys = jax.random.split(jax.random.key(1), 400)
    plain, augmented = (
        np.asarray(jax.jit(jax.vmap(view.train, in_axes=(0, None)))(keys, {"image": image}))
        for view in (view_of(), view_of(auto_augment="v0"))
    )
    nothing = np.mean([(1 - p) * (1 - q) for (_, p, _), (_, q, _) in POLICIES["v0"].pairs])
    close = np.abs(plain - augmented).max((1, 2, 3)) < 0.501 / 255
    assert nothing - 4.5 * np.sqrt(nothing / 400) < close.mean() < 0.6
    np.testing.assert_allclose(augmented * 255, np.round(augmented * 255), atol=1e-4)


def test_the_view_of_sup_con_is_in_minus_one_to_one():
    spec = types.SimpleNamespace(shapes={"image": (8, 8, 3)})
    view = augment.VIEWS["sup_con"](spec)
    black, white = (view.evaluate({"image": jnp.full((8, 8, 3), value, jnp.uint8)}) for value in (0, 255))
    np.testing.assert_allclose(black, -1)
    np.testing.assert_allclose(white, 1, atol=1e-6)


def test_an_unknown_policy():
    with pytest.raises(ValueError, match="auto_augment 'v1' is not one of v0, imagenet, cifar10"):
        view_of(auto_augment="v1")
