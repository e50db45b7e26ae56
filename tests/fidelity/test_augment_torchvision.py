"""Each operation on images against torchvision's, with the same parameters, and the draw of crops against its own."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import augment
from tests.fidelity.pictures import check_pixels

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


def check(record_property, name, compared, peer, ours, theirs, atol, reason=""):
    """Of pictures in 0..1, theirs with channels first, both with or without more axes in front."""
    difference = 255 * (np.asarray(ours) - np.moveaxis(theirs.numpy(), -3, -1))
    names = dict(operation=name, compared=compared, peer=peer)
    check_pixels(record_property, **names, difference=difference, tolerance=255 * atol, reason=reason)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("box, size", BOXES)
def test_crop_and_resize(box, size, interpolation, flip, record_property):
    image = picture()
    mode = functional.InterpolationMode(interpolation)
    theirs = functional.resized_crop(to_torch(image), *box, [size, size], mode, antialias=True).clamp(0, 1)
    theirs = functional.hflip(theirs) if flip else theirs
    floats = augment.Box(*(jnp.float32(v) for v in box))
    resize = jax.jit(augment.crop_and_resize, static_argnames=("out_size", "interpolation"))
    ours = resize(image, floats, out_size=size, interpolation=interpolation, flip=flip)
    compared, peer = (", mirrored", "torchvision resized_crop and hflip") if flip else ("", "torchvision resized_crop")
    check(record_property, "crop_and_resize", interpolation + compared, peer, ours, theirs, 1e-5)


def test_crop_and_resize_of_pil_pictures(record_property):
    pil = pytest.importorskip("PIL.Image")
    pixels = np.round(picture() * 255).astype(np.uint8)
    mode = functional.InterpolationMode.BICUBIC
    theirs = functional.resized_crop(pil.fromarray(pixels), 3, 5, 30, 20, [32, 32], mode)
    theirs = torch.from_numpy(np.moveaxis(np.asarray(theirs) / 255, -1, 0))
    box = augment.Box(*(jnp.float32(v) for v in (3, 5, 30, 20)))
    ours = augment.crop_and_resize(augment.to_float(jnp.asarray(pixels)), box, out_size=32)
    reason = "PIL rounds to whole values after each of the two axes"
    peer = "PIL, torchvision resized_crop"
    check(record_property, "crop_and_resize", "bicubic, whole values", peer, ours, theirs, 1.3 / 255, reason)


@pytest.mark.parametrize("order", range(24))
def test_color_jitter(order, record_property):
    values = dict(brightness=1.4, contrast=0.6, saturation=1.7, hue=-0.15)
    image = picture()
    theirs = to_torch(image)
    for step in list(itertools.permutations(values))[order]:
        theirs = getattr(functional, f"adjust_{step}")(theirs, values[step])
    jitter = augment.Jitter(**{k: jnp.float32(v) for k, v in values.items()}, order=jnp.int32(order))
    ours = jax.jit(augment.color_jitter)(image, jitter)
    peer = "torchvision adjust_brightness, _contrast, _saturation, _hue"
    check(record_property, "color_jitter", "all four, in each order", peer, ours, theirs, 2e-5)


@pytest.mark.parametrize("hue", [-0.5, -0.2, 0.0, 0.1, 0.37, 0.5])
def test_hue_of_every_color(hue, record_property):
    levels = np.linspace(0, 1, 9, dtype=np.float32)
    image = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(27, 27, 3)
    jitter = augment.Jitter(*(jnp.float32(v) for v in (1, 1, 1, hue)), order=jnp.int32(0))
    theirs = functional.adjust_hue(to_torch(image), hue)
    ours = augment.color_jitter(jnp.asarray(image), jitter)
    check(record_property, "color_jitter", "hue of 729 colours", "torchvision adjust_hue", ours, theirs, 1e-5)


def test_grayscale(record_property):
    image = picture()
    theirs = functional.rgb_to_grayscale(to_torch(image), 3)
    ours = augment.grayscale(jnp.asarray(image), True)
    check(record_property, "grayscale", "RGB", "torchvision rgb_to_grayscale", ours, theirs, 1e-6)


@pytest.mark.parametrize("sigma, radius", [(0.1, 1), (0.7, 1), (2.0, 11), (1.3, 4)])
def test_gaussian_blur(sigma, radius, record_property):
    image = picture()
    theirs = functional.gaussian_blur(to_torch(image), [2 * radius + 1] * 2, [sigma] * 2)
    ours = augment.gaussian_blur(jnp.asarray(image), sigma, radius=radius)
    check(record_property, "gaussian_blur", "several widths", "torchvision gaussian_blur", ours, theirs, 2e-6)


@pytest.mark.parametrize(
    "sigma, atol", [(0.1, 1e-6), (0.3, 0.06), (0.5, 0.015), (1.0, 0.015), (1.5, 0.015), (2.0, 0.01)]
)
def test_gaussian_blur_of_pil_pictures(sigma, atol, record_property):
    """PIL's three box filters, which MoCo v2, SwAV and DINO use, away from the border, which PIL repeats outwards."""
    pil, pil_filter = pytest.importorskip("PIL.Image"), pytest.importorskip("PIL.ImageFilter")
    pixels = np.round(picture(64, 64) * 255).astype(np.uint8)
    theirs = np.asarray(pil.fromarray(pixels).filter(pil_filter.GaussianBlur(sigma))) / 255
    radius = augment.presets.DINO["blur_radius"]
    ours = augment.gaussian_blur(augment.to_float(jnp.asarray(pixels)), sigma, radius=radius)
    inner = torch.from_numpy(np.moveaxis(theirs[8:-8, 8:-8], -1, 0))
    compared = f"deviation of {sigma} pixels, whole values, away from the border"
    reason = (
        "PIL's blur is three box filters, of the variance that is asked for; a Gaussian taken at whole pixels has less "
        "where it is narrow (0.008, not 0.09, at a deviation of 0.3). PIL also rounds to whole values"
    )
    reason = "" if sigma == 0.1 else reason  # where neither changes anything
    check(record_property, "gaussian_blur", compared, "PIL GaussianBlur", ours[8:-8, 8:-8], inner, atol, reason)


def test_solarize(record_property):
    image = picture()
    theirs = functional.solarize(to_torch(image), 0.5)
    ours = augment.solarize(jnp.asarray(image), True)
    check(record_property, "solarize", "threshold 0.5", "torchvision solarize", ours, theirs, 1e-7)
    np.testing.assert_array_equal(augment.solarize(jnp.asarray(image), False), image)


def test_normalize(record_property):
    image, mean, std = picture(), augment.presets.IMAGENET_MEAN, augment.presets.IMAGENET_STD
    theirs = functional.normalize(to_torch(image), mean, std)
    ours = augment.Normalize(3, mean, std)(jnp.asarray(image))
    compared = "ImageNet's; the error is in deviations"
    check(record_property, "Normalize", compared, "torchvision normalize", ours, theirs, 1e-6)


@pytest.mark.parametrize("box", BOXES[:3])
def test_erase(box, record_property):
    image = picture()
    theirs = functional.erase(to_torch(image), *box[0], torch.tensor(0.3))
    floats = augment.Box(*(jnp.float32(v) for v in box[0]))
    ours = augment.erase(jnp.asarray(image), floats, 0.3)
    check(record_property, "erase", "a box, one value", "torchvision erase", ours, theirs, 0)


@pytest.mark.parametrize("name", ["MixUp", "CutMix"])
def test_mixing(name, record_property):
    """With the one drawn number of torchvision for each row."""
    v2 = pytest.importorskip("torchvision.transforms.v2")
    images, labels = np.stack([picture(), picture()[::-1], 1 - picture()]), torch.tensor([0, 2, 1])
    peer = getattr(v2, name)(alpha=1.0, num_classes=3)
    pairs = []
    for seed in range(5):
        torch.manual_seed(seed)
        drawn = peer.make_params([to_torch(images)])
        torch.manual_seed(seed)
        theirs, their_targets = peer(to_torch(images), labels)
        if name == "MixUp":
            ours, targets = augment.mixup(jnp.asarray(images), jnp.eye(3)[labels.numpy()], jnp.full(3, drawn["lam"]))
        else:
            left, top, right, bottom = drawn["box"]
            boxes = augment.Box(*(jnp.full(3, float(x)) for x in (top, left, bottom - top, right - left)))
            ours, targets = augment.cutmix(jnp.asarray(images), jnp.eye(3)[labels.numpy()], boxes)
        pairs.append((ours, theirs))
        np.testing.assert_allclose(targets, their_targets, atol=1e-6)
    ours, theirs = zip(*pairs)
    compared = "images and targets of a batch"
    check(record_property, name.lower(), compared, f"torchvision {name}", np.stack(ours), torch.stack(theirs), 1e-6)


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
    ours = augment.affine(jnp.asarray(image), parameters, out_size=32, fill=fill)
    check(record_property, "affine", "bilinear", "torchvision affine", ours, theirs, 1e-5)


COUNT = 4000


def drawn(draw, count=COUNT):
    """Each parameter, drawn `count` times: a list of [count] arrays."""
    return [np.asarray(x) for x in jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(1), count))]


def check_distributions(names, ours, theirs):
    """Kolmogorov-Smirnov distances of each parameter; each fails by chance once in 1000."""
    stats = pytest.importorskip("scipy.stats")
    for name, a, b in zip(names, ours, np.asarray(theirs, np.float64).T, strict=True):
        assert stats.ks_2samp(a, b).statistic < 1.95 * np.sqrt(1 / len(a) + 1 / len(b)), name


@pytest.mark.parametrize("height, width, scale", [(32, 32, (0.08, 1.0)), (60, 25, (0.2, 1.0)), (8, 8, (0.08, 1.0))])
def test_crops_are_drawn_as_often(height, width, scale):
    torch.manual_seed(0)
    draw = transforms.RandomResizedCrop.get_params
    theirs = [draw(torch.zeros(3, height, width), scale, (3 / 4, 4 / 3)) for _ in range(COUNT)]
    ours = drawn(lambda key: augment.draw_crop(key, jnp.array([height, width]), scale=scale))
    np.testing.assert_array_equal(ours, np.round(ours))
    check_distributions(augment.Box._fields, ours, theirs)


def test_jitter_is_drawn_as_often():
    torch.manual_seed(0)
    peer = transforms.ColorJitter(0.4, 0.8, 1.5, 0.2)
    params = [peer.get_params(peer.brightness, peer.contrast, peer.saturation, peer.hue) for _ in range(COUNT)]
    orders = list(itertools.permutations(range(4)))
    theirs = [(*values, orders.index(tuple(order.tolist()))) for order, *values in params]
    settings = dict(brightness=0.4, contrast=0.8, saturation=1.5, hue=0.2)
    ours = drawn(lambda key: augment.draw_color_jitter(key, **settings))
    check_distributions(augment.Jitter._fields, ours, theirs)


def test_blur_is_drawn_as_often():
    torch.manual_seed(0)
    theirs = [[transforms.GaussianBlur.get_params(0.1, 2.0)] for _ in range(COUNT)]
    ours = drawn(lambda key: (augment.draw_blur(key, probability=1.0),))
    check_distributions(["sigma"], ours, theirs)


def test_affine_is_drawn_as_often():
    torch.manual_seed(0)
    draw = transforms.RandomAffine.get_params
    params = [draw([-20, 20], (0.1, 0.1), (0.8, 1.2), (-15, 15), [1000, 1000]) for _ in range(COUNT)]
    # torchvision rounds shifts to whole pixels, hence the large image.
    theirs = [
        (np.deg2rad(angle), down / 1000, right / 1000, scale, np.deg2rad(shear))
        for angle, (right, down), scale, (shear, _) in params
    ]
    settings = dict(degrees=20, translate=0.1, scale=(0.8, 1.2), shear=15)
    check_distributions(augment.Affine._fields, drawn(lambda key: augment.draw_affine(key, **settings)), theirs)


@pytest.mark.parametrize("height, width", [(32, 32), (60, 25)])
def test_erasing_is_drawn_as_often(height, width):
    torch.manual_seed(0)
    image, value = torch.zeros(3, height, width), [0.0]
    params = [transforms.RandomErasing.get_params(image, (0.02, 0.33), (0.3, 3.3), value)[:4] for _ in range(COUNT)]
    theirs = [(top, left, *((0, 0) if (h, w) == (height, width) else (h, w))) for top, left, h, w in params]
    ours = drawn(lambda key: augment.draw_erasing(key, (height, width), probability=1.0))
    placed = np.asarray(ours)[:, ours[2] * ours[3] > 0]
    check_distributions(augment.Box._fields, placed, [row for row in theirs if row[2] * row[3] > 0])


def test_cutmix_is_drawn_as_often():
    v2 = pytest.importorskip("torchvision.transforms.v2")
    torch.manual_seed(0)
    peer, image = v2.CutMix(alpha=1.0, num_classes=2), torch.zeros(2, 3, 40, 60)
    boxes = [[int(x) for x in peer.make_params([image])["box"]] for _ in range(COUNT)]
    theirs = [(top, left, bottom - top, right - left) for left, top, right, bottom in boxes]
    ours = drawn(lambda key: augment.draw_cutmix(key, (40, 60), alpha=1.0))
    check_distributions(augment.Box._fields, ours, theirs)
