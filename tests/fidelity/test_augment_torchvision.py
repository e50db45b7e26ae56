"""Each operation on images against torchvision's, with the same parameters, and the draw of crops against its own."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import augment

torch = pytest.importorskip("torch")
transforms = pytest.importorskip("torchvision.transforms")
functional = transforms.functional


BOXES = [((3, 5, 30, 20), 16), ((0, 0, 40, 48), 64), ((10, 11, 7, 9), 32), ((39, 47, 1, 1), 4)]


def picture(height=40, width=48, channels=3):
    """Smooth shapes with noise: float32 [H, W, C] in 0..1."""
    y, x, c = np.mgrid[0:height, 0:width, 0:channels]
    waves = 0.5 + 0.3 * np.sin(x / 5 + c) * np.cos(y / 7 - c)
    noise = np.random.default_rng(0).uniform(-0.2, 0.2, waves.shape)
    return np.clip(waves + noise, 0, 1).astype(np.float32)


def to_torch(image):
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.asarray(image), -1, -3)))


def check(ours, theirs, atol, record_property):
    error = np.abs(np.asarray(ours) - np.moveaxis(theirs.numpy(), -3, -1)).max()
    record_property("largest_pixel_error", float(error))
    print(f"largest pixel error {error:.1e}")
    assert error <= atol


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("box, size", BOXES)
def test_crop_and_resize(box, size, interpolation, record_property):
    image = picture()
    mode = functional.InterpolationMode(interpolation)
    theirs = functional.resized_crop(to_torch(image), *box, [size, size], mode, antialias=True).clamp(0, 1)
    floats = augment.Box(*(jnp.float32(v) for v in box))
    resize = jax.jit(augment.crop_and_resize, static_argnames=("out_size", "interpolation"))
    ours, flipped = (resize(image, floats, out_size=size, interpolation=interpolation, flip=f) for f in (False, True))
    check(ours, theirs, 1e-5, record_property)
    np.testing.assert_allclose(flipped, ours[:, ::-1], atol=1e-6)


def test_crop_and_resize_of_pil_pictures(record_property):
    pil = pytest.importorskip("PIL.Image")
    pixels = np.round(picture() * 255).astype(np.uint8)
    mode = functional.InterpolationMode.BICUBIC
    theirs = functional.resized_crop(pil.fromarray(pixels), 3, 5, 30, 20, [32, 32], mode)
    box = augment.Box(*(jnp.float32(v) for v in (3, 5, 30, 20)))
    ours = augment.crop_and_resize(augment.to_float(jnp.asarray(pixels)), box, out_size=32)
    # PIL rounds to whole pixel values after each of the two axes.
    check(ours, torch.from_numpy(np.moveaxis(np.asarray(theirs) / 255, -1, 0)), 1.3 / 255, record_property)


@pytest.mark.parametrize("order", range(24))
def test_color_jitter(order, record_property):
    values = dict(brightness=1.4, contrast=0.6, saturation=1.7, hue=-0.15)
    image = picture()
    theirs = to_torch(image)
    for step in list(itertools.permutations(values))[order]:
        theirs = getattr(functional, f"adjust_{step}")(theirs, values[step])
    jitter = augment.Jitter(**{k: jnp.float32(v) for k, v in values.items()}, order=jnp.int32(order))
    check(jax.jit(augment.color_jitter)(image, jitter), theirs, 2e-5, record_property)


@pytest.mark.parametrize("hue", [-0.5, -0.2, 0.0, 0.1, 0.37, 0.5])
def test_hue_of_every_color(hue, record_property):
    levels = np.linspace(0, 1, 9, dtype=np.float32)
    image = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(27, 27, 3)
    jitter = augment.Jitter(*(jnp.float32(v) for v in (1, 1, 1, hue)), order=jnp.int32(0))
    theirs = functional.adjust_hue(to_torch(image), hue)
    check(augment.color_jitter(jnp.asarray(image), jitter), theirs, 1e-5, record_property)


def test_grayscale(record_property):
    image = picture()
    theirs = functional.rgb_to_grayscale(to_torch(image), 3)
    check(augment.grayscale(jnp.asarray(image), True), theirs, 1e-6, record_property)


@pytest.mark.parametrize("sigma, radius", [(0.1, 1), (0.7, 1), (2.0, 11), (1.3, 4)])
def test_gaussian_blur(sigma, radius, record_property):
    image = picture()
    theirs = functional.gaussian_blur(to_torch(image), [2 * radius + 1] * 2, [sigma] * 2)
    check(augment.gaussian_blur(jnp.asarray(image), sigma, radius=radius), theirs, 2e-6, record_property)


@pytest.mark.parametrize("fill", [0.0, 0.7])
@pytest.mark.parametrize(
    "angle, right, down, scale, shear",
    [(0, 0, 0, 1, 0), (25, 0, 0, 1, 0), (0, 5, -3, 1, 0), (0, 0, 0, 0.7, 0), (0, 0, 0, 1, 20), (-40, 2, 7, 1.3, -15)],
)
def test_affine(angle, right, down, scale, shear, fill, record_property):
    image = picture(32, 32)
    mode = functional.InterpolationMode.BILINEAR
    # Given a fill, torchvision weighs border pixels of tensors twice; hence its result without, of the image less fill.
    theirs = functional.affine(to_torch(image - fill), angle, [right, down], scale, [shear, 0.0], mode) + fill
    parameters = augment.Affine(
        angle=jnp.deg2rad(angle), down=down / 32, right=right / 32, scale=float(scale), shear=jnp.deg2rad(shear)
    )
    check(augment.affine(jnp.asarray(image), parameters, out_size=32, fill=fill), theirs, 2e-4, record_property)


@pytest.mark.parametrize("height, width, scale", [(32, 32, (0.08, 1.0)), (60, 25, (0.2, 1.0)), (8, 8, (0.08, 1.0))])
def test_crops_are_drawn_as_often(height, width, scale):
    """Kolmogorov-Smirnov distances of all four parameters, each drawn 4000 times."""
    stats = pytest.importorskip("scipy.stats")
    torch.manual_seed(0)
    draw = transforms.RandomResizedCrop.get_params
    theirs = np.array([draw(torch.zeros(3, height, width), scale, (3 / 4, 4 / 3)) for _ in range(4000)])
    keys = jax.random.split(jax.random.key(1), 4000)
    size = jnp.array([height, width])
    ours = np.array(jax.jit(jax.vmap(lambda key: augment.draw_crop(key, size, scale=scale)))(keys)).T
    np.testing.assert_array_equal(ours, np.round(ours))
    for name, a, b in zip(augment.Box._fields, ours.T, theirs.T, strict=True):
        assert stats.ks_2samp(a, b).statistic < 1.95 * np.sqrt(2 / 4000), name  # fails by chance once in 1000
