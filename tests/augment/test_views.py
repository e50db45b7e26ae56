"""View makers: shapes, ranges, determinism, settings."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import augment


def data(height=24, width=24, channels=3):
    spec = types.SimpleNamespace(shapes={"image": (height, width, channels)})
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)
    return spec, {"image": jnp.asarray(pixels), "label": jnp.int32(3)}


PICTURES = [name for name, view in augment.VIEWS.items() if not hasattr(view, "gives")]
NORMALISED = {"mean": (0.5,), "std": (0.25,)}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("out_size", [None, 20, 40])
@pytest.mark.parametrize("name", PICTURES)
def test_shapes(name, out_size, channels):
    spec, example = data(channels=channels)
    view = augment.VIEWS[name](spec, out_size=out_size, **NORMALISED)
    size = out_size or 24
    assert view.shape == (size, size, channels)
    for image in jax.eval_shape(lambda key, x: (view.train(key, x), view.evaluate(x)), jax.random.key(0), example):
        assert image.shape == view.shape and image.dtype == jnp.float32


@pytest.mark.parametrize("name", PICTURES)
def test_views_are_random_finite_and_repeatable(name):
    spec, example = data()
    view = augment.VIEWS[name](spec)
    train = jax.jit(view.train)
    first, again, other = (np.asarray(train(jax.random.key(seed), example)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.all(np.isfinite(first)) and np.abs(first - other).max() > 0.05
    shown = view.displayable(first)
    assert shown.min() >= 0 and shown.max() <= 1


@pytest.mark.parametrize("name", PICTURES)
def test_evaluation_at_its_own_size_is_the_image(name):
    spec, example = data()
    view = augment.VIEWS[name](spec, **NORMALISED)
    expected = (np.asarray(example["image"]) / 255 - 0.5) / 0.25
    np.testing.assert_allclose(view.normalized(view.displayable(expected)), expected, atol=1e-5)
    np.testing.assert_allclose(view.evaluate(example), expected, atol=1e-5)


def test_large_outputs_are_evaluated_on_the_centre():
    spec, example = data(64, 64)
    center = augment.crop_and_resize(
        augment.to_float(example["image"]), augment.center_box(jnp.array([64, 64]), 0.875), out_size=64
    )
    np.testing.assert_allclose(augment.PhotoView(spec).evaluate(example), center, atol=1e-6)
    whole = augment.PhotoView(spec, eval_crop=1.0).evaluate(example)
    np.testing.assert_allclose(whole, augment.to_float(example["image"]), atol=1e-5)


def test_evaluation_of_a_stretched_picture_is_its_central_square():
    spec, example = data(32, 32)
    wide = {**example, "size": jnp.array([100, 200])}
    middle = augment.MAEView(spec, mean=None, std=None).evaluate(wide)
    box = augment.Box(*(jnp.float32(x) for x in (0, 8, 32, 16)))
    expected = augment.crop_and_resize(augment.to_float(example["image"]), box, out_size=32)
    np.testing.assert_allclose(middle, expected, atol=1e-6)


def test_probabilities_of_zero_leave_only_the_crop():
    spec, example = data()
    settings = dict(flip=0.0, crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0))
    view = augment.PhotoView(spec, jitter=0.0, grayscale=0.0, blur=0.0, **settings)
    np.testing.assert_allclose(view.train(jax.random.key(0), example), augment.to_float(example["image"]), atol=1e-5)
    view = augment.MAEView(spec, mean=None, std=None, **{**settings, "flip": 1.0})
    np.testing.assert_allclose(
        view.train(jax.random.key(0), example), augment.to_float(example["image"])[:, ::-1], atol=1e-5
    )


def test_affine_without_settings_is_the_image():
    spec, example = data()
    view = augment.AffineView(spec, degrees=0.0, translate=0.0, scale=(1.0, 1.0), shear=0.0, noise=0.0)
    np.testing.assert_allclose(view.train(jax.random.key(0), example), augment.to_float(example["image"]), atol=1e-5)


def test_grayscale_and_flip_come_as_often_as_asked():
    spec, example = data()
    view = augment.PhotoView(spec, jitter=0.0, blur=0.0, crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0))
    views = np.asarray(
        jax.jit(jax.vmap(lambda key: view.train(key, example)))(jax.random.split(jax.random.key(0), 3000))
    )
    gray = np.ptp(views, axis=-1).max((1, 2)) < 1e-5
    image = np.asarray(augment.to_float(example["image"]))
    flipped = np.abs(views - image[:, ::-1]).mean((1, 2, 3)) < np.abs(views - image).mean((1, 2, 3))
    np.testing.assert_allclose(gray.mean(), 0.2, atol=0.033)
    np.testing.assert_allclose(flipped.mean(), 0.5, atol=0.041)


ONLY_CROP = dict(flip=0.0, jitter=0.0, grayscale=0.0, blur=0.0)
WHOLE = dict(crop_scale=(1.0, 1.0), local_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0))


def many(draw, example, count=2000):
    keys = jax.random.split(jax.random.key(0), count)
    # Handed over, as in a run: XLA for CPUs multiplies wrongly by an image of one colour that is a constant to it.
    return np.asarray(jax.jit(jax.vmap(draw, in_axes=(0, None)))(keys, example))


@pytest.mark.parametrize(
    "name, kind, blur, solarize",
    [
        ("dino", "train", 1.0, 0.0),
        ("dino", "second", 0.1, 0.2),
        ("dino", "local", 0.5, 0.0),
        ("lejepa", "train", 0.5, 0.2),
        ("lejepa", "second", 0.5, 0.2),
        ("lejepa", "local", 0.5, 0.2),
    ],
)
def test_how_often_views_are_blurred_and_solarised(name, kind, blur, solarize):
    """BYOL's asymmetric pair, DINO's small views, LeJEPA's that are all alike (at 4.5 deviations)."""
    spec, example = data()
    settings = {**ONLY_CROP, **WHOLE, "local_size": 24, "mean": None, "std": None, "blur_sigma": (1.0, 2.0)}
    del settings["blur"]
    view = augment.VIEWS[name](spec, **settings)
    dark = {"image": example["image"] // 4}
    views, image = many(getattr(view, kind), dark), np.asarray(augment.to_float(dark["image"]))
    blurred = np.abs(views - image).max((1, 2, 3)) > 0.01
    np.testing.assert_allclose(blurred.mean(), blur, atol=4.5 * np.sqrt(blur * (1 - blur) / 2000) + 1e-9)
    white = {"image": jnp.full_like(example["image"], 255)}
    inverted = many(getattr(view, kind), white).max((1, 2, 3)) < 0.01
    np.testing.assert_allclose(inverted.mean(), solarize, atol=4.5 * np.sqrt(solarize * (1 - solarize) / 2000) + 1e-9)


def test_small_views_are_solarised_as_asked():
    spec, example = data()
    white = {"image": jnp.full_like(example["image"], 255)}
    view = augment.PhotoView(spec, solarize=1.0, local_solarize=0.0, local_crops=1, **ONLY_CROP)
    assert float(view.train(jax.random.key(0), white).max()) < 0.01 < float(view.local(jax.random.key(0), white).min())
    view = augment.PhotoView(spec, local_solarize=1.0, local_crops=1, **ONLY_CROP)
    assert float(view.local(jax.random.key(0), white).max()) < 0.01 < float(view.train(jax.random.key(0), white).min())


def test_small_views_show_small_parts():
    """Of a picture whose red and green tell the place, the part that is seen, as an area; statistically uniform."""
    place = np.stack(np.broadcast_arrays(np.arange(96)[:, None], np.arange(96)[None], 0), -1)
    spec, _ = data(96, 96)
    view = augment.PhotoView(spec, local_crops=6, local_scale=(0.05, 0.14), **ONLY_CROP)
    assert view.local_shape == (41, 41, 3)
    views = many(view.local, {"image": place.astype(np.uint8)}, 1000) * 255
    height = (views[:, -1, 20, 0] - views[:, 0, 20, 0]) * 41 / 40
    width = (views[:, 20, -1, 1] - views[:, 20, 0, 1]) * 41 / 40
    area = np.sort(height * width / 96**2)
    assert 0.04 < area[0] < 0.055 and 0.135 < area[-1] < 0.15
    uniform = (area - 0.05) / 0.09
    assert np.abs(uniform - np.linspace(0, 1, 1000)).max() < 0.1


def test_blur_radius_widens_the_kernel():
    spec, _ = data(40, 40)
    point = {"image": jnp.zeros((40, 40, 3), jnp.uint8).at[20, 20].set(255)}
    settings = {**ONLY_CROP, **WHOLE, "blur": 1.0, "blur_sigma": (2.0, 2.0)}
    for radius, rows in ((None, 5), (6, 13), (1, 3)):
        view = augment.PhotoView(spec, blur_radius=radius, **settings).train(jax.random.key(0), point)
        assert np.sum(np.asarray(view)[:, 20, 0] > 1e-5) == rows


@pytest.mark.parametrize("kind", ["train", "second", "local"])
def test_erasing_comes_last_and_moves_nothing_else(kind):
    """As often as asked (at 4.5 deviations), one rectangle of zeros in a view that is otherwise the one without."""
    spec, example = data()
    made = [augment.PhotoView(spec, local_crops=1, local_size=24, erase=p, **NORMALISED) for p in (0.0, 0.3)]
    both = lambda key, example: [getattr(view, kind)(key, example) for view in made]  # one program: same rounding
    plain, views = many(both, example, 1000)
    gone = (views == 0).all(-1)
    erased = gone.any((1, 2))
    np.testing.assert_allclose(erased.mean(), 0.3, atol=4.5 * np.sqrt(0.21 / len(views)))
    np.testing.assert_array_equal(views, np.where(gone[..., None], 0, plain))
    rectangles = gone.any(2)[:, :, None] & gone.any(1)[:, None, :]
    np.testing.assert_array_equal(gone, rectangles)
    share = gone[erased].mean((1, 2))
    assert 0.015 < share.min() < 0.03 and 0.3 < share.max() < 0.35
    np.testing.assert_array_equal(made[0].evaluate(example), made[1].evaluate(example))


def test_what_is_erased_has_the_area_and_aspect_that_were_asked_for():
    spec, example = data()
    view = augment.PhotoView(spec, erase=1.0, erase_scale=(0.25, 0.25), erase_ratio=(2.25, 2.25), **NORMALISED)
    gone = (many(view.train, example, 50) == 0).all(-1)
    np.testing.assert_array_equal(gone.any(2).sum(1), 18)
    np.testing.assert_array_equal(gone.any(1).sum(1), 8)


def test_default_normalisations():
    spec, example = data()
    black = {"image": jnp.zeros_like(example["image"])}
    np.testing.assert_allclose(augment.PhotoView(spec).evaluate(black), 0)
    np.testing.assert_allclose(augment.MAEView(spec).evaluate(black)[0, 0], [-2.1179, -2.0357, -1.8044], atol=1e-3)


@pytest.mark.parametrize(
    "name, settings, message",
    [
        ("simclr", {"flip": 1.5}, "flip 1.5 is not a probability"),
        ("simclr", {"local_solarize": 1.5}, "local_solarize 1.5 is not a probability"),
        ("simclr", {"strength": -1.0}, "strength -1.0"),
        ("simclr", {"crop_scale": (0.5, 1.5)}, "beyond 1"),
        ("simclr", {"crop_ratio": (2.0, 1.0)}, "low before high"),
        ("simclr", {"blur_sigma": (0.0, 1.0)}, "blur_sigma"),
        ("simclr", {"blur_radius": 0}, "blur_radius 0"),
        ("simclr", {"erase": 1.5}, "erase 1.5 is not a probability"),
        ("simclr", {"erase_scale": (0.5, 1.5)}, "erase_scale .* goes beyond 1"),
        ("simclr", {"erase_ratio": (3.3, 0.3)}, "erase_ratio .* low before high"),
        ("simclr", {"out_size": 0}, "out_size 0"),
        ("simclr", {"interpolation": "nearest"}, "interpolation 'nearest'"),
        ("mae", {"eval_crop": 0.0}, "eval_crop 0.0"),
        ("mae", {"mean": (0.5, 0.5)}, "mean .* has 2 values, but images have 3"),
        ("mae", {"crop_scale": (0.5,)}, "crop_scale"),
        ("affine", {"std": (0.0,)}, "not positive"),
        ("affine", {"scale": (0.0, 1.0)}, "scale"),
        ("affine", {"shear": 90.0}, "shear 90.0"),
        ("affine", {"noise": -1.0}, "noise -1.0"),
    ],
)
def test_impossible_settings(name, settings, message):
    with pytest.raises(ValueError, match=message):
        augment.VIEWS[name](data()[0], **settings)


def test_no_images():
    with pytest.raises(ValueError, match="data has none"):
        augment.VIEWS["mae"](types.SimpleNamespace(shapes={"tokens": (8,), "segments": (8,)}))
