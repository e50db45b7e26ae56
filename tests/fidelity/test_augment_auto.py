"""AutoAugment: each operation against torchvision's with the same parameters, and the policies against their tables."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.augment.auto_augment import OPERATIONS, WARPS, apply_operation
from ssl_jax.augment.policies import POLICIES
from tests.fidelity.pictures import check_pixels

torch = pytest.importorskip("torch")
transforms = pytest.importorskip("torchvision.transforms")
pil = pytest.importorskip("PIL.Image")
functional = transforms.functional

FILL = 128
NEAREST = functional.InterpolationMode.NEAREST
THEIR_NAMES = {
    "ShearX": "shear_x",
    "ShearY": "shear_y",
    "TranslateX": "translate_x",
    "TranslateY": "translate_y",
    "Rotate": "rotate",
    "Posterize": "posterize",
    "Solarize": "solarize",
    "SolarizeAdd": "solarize_add",
    "AutoContrast": "auto_contrast",
    "Equalize": "equalize",
    "Invert": "invert",
    "Color": "color",
    "Contrast": "contrast",
    "Brightness": "brightness",
    "Sharpness": "sharpness",
}
FACTORS = (0.1, 0.28, 0.5, 0.82, 1.0, 1.36, 1.72, 1.9)


def picture(kind):
    """Pixels, uint8 [60, 72, 3]: noise, a dull picture with few values, or one of smooth shapes."""
    rng = np.random.default_rng(0)
    if kind == "noise":
        return rng.integers(0, 256, (60, 72, 3)).astype(np.uint8)
    if kind == "dull":
        return rng.integers(90, 120, (60, 72, 3)).astype(np.uint8)
    y, x, c = np.mgrid[0:60, 0:72, 0:3]
    return np.round(127 + 110 * np.sin(x / 11 + c) * np.cos(y / 9 - c)).astype(np.uint8)


def affine(image, **settings):
    fixed = dict(angle=0.0, translate=[0, 0], scale=1.0, shear=[0.0, 0.0], interpolation=NEAREST, fill=[FILL] * 3)
    # Shear about the centre of the first pixel, as in TensorFlow's code; torchvision's AutoAugment takes its corner.
    center = [0.5, 0.5] if "shear" in settings else None
    return functional.affine(image, **{**fixed, **settings}, center=center)


def degrees(slope):
    return float(np.rad2deg(np.arctan(slope)))


THEIRS = {
    "shear_x": lambda image, m: affine(image, shear=[degrees(m), 0.0]),
    "shear_y": lambda image, m: affine(image, shear=[0.0, degrees(m)]),
    "translate_x": lambda image, m: affine(image, translate=[m, 0]),
    "translate_y": lambda image, m: affine(image, translate=[0, m]),
    "rotate": lambda image, m: functional.rotate(image, m, NEAREST, fill=[FILL] * 3),
    "posterize": functional.posterize,
    "solarize": functional.solarize,
    "auto_contrast": lambda image, m: functional.autocontrast(image),
    "equalize": lambda image, m: functional.equalize(image),
    "invert": lambda image, m: functional.invert(image),
    "color": functional.adjust_saturation,
    "contrast": functional.adjust_contrast,
    "brightness": functional.adjust_brightness,
    "sharpness": functional.adjust_sharpness,
}
MAGNITUDES = {
    **dict.fromkeys(("shear_x", "shear_y"), (-0.27, -0.12, 0.03, 0.21, 0.3)),
    **dict.fromkeys(("translate_x", "translate_y"), (-71, -9, 0, 1, 40, 225)),
    "rotate": (-30, -24, -6, 0, 15, 21, 27, 90),
    "posterize": (1, 2, 4, 7, 8),
    "solarize": (0, 51, 76, 113.33, 204, 255),
    **dict.fromkeys(("color", "contrast", "brightness", "sharpness"), FACTORS),
}
# Of 255, and why there is any.
GRAY = "the gray picture is rounded otherwise, here as in TensorFlow (`ssl_jax/augment/auto_augment.py`)"
WHOLE = "there rounding in float32 leaves what should be whole just below, and it is cut off; ours is exact"
TENSOR_TOLERANCES = {"color": (1, GRAY), "contrast": (1, GRAY), "sharpness": (1, WHOLE)}
PIL_TOLERANCES = {"color": (1, GRAY), "contrast": (1, GRAY), "auto_contrast": (1, WHOLE)}


def apply(name, pixels, magnitudes):
    """The operation with each magnitude: [M, H, W, C]."""
    index, among = jnp.int32(OPERATIONS.index(name)), {name}
    one = lambda pixels, m: apply_operation(pixels, index, m, among=among, fill=float(FILL))
    each = jax.jit(jax.vmap(one, in_axes=(None, 0)))
    return np.asarray(each(jnp.asarray(pixels, jnp.float32), jnp.asarray(magnitudes, jnp.float32)))


def is_halfway(name, magnitude, height, width):
    """Where a pixel comes from within 0.001 of the middle between two others, [H, W, 1]: rounding decides there."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    down, right = y - (height - 1) / 2, x - (width - 1) / 2
    cos, sin = np.cos(np.deg2rad(magnitude)), np.sin(np.deg2rad(magnitude))
    places = {
        "shear_x": [x + magnitude * y],
        "shear_y": [y + magnitude * x],
        "rotate": [cos * right - sin * down + (width - 1) / 2, sin * right + cos * down + (height - 1) / 2],
    }
    return np.any([np.abs(place % 1 - 0.5) < 1e-3 for place in places.get(name, [np.zeros_like(x)])], axis=0)[..., None]


def check(name, pixels, theirs, peer, tolerances, record_property):
    magnitudes = MAGNITUDES.get(name, (0,))
    difference = np.abs(apply(name, pixels, magnitudes) - theirs.astype(np.float32))
    halfway = np.stack([is_halfway(name, m, *pixels.shape[:2]) for m in magnitudes])
    assert halfway.mean() < 0.05
    tolerance, reason = tolerances.get(name, (0, ""))
    but = " (not where rounding decides between two pixels)" if halfway.any() else ""
    names = dict(operation="auto_augment", compared=f"{name}, whole values{but}", peer=peer)
    error = np.where(halfway, 0, difference)
    check_pixels(record_property, **names, difference=error, tolerance=tolerance, reason=reason)


@pytest.mark.parametrize("kind", ["noise", "dull", "smooth"])
@pytest.mark.parametrize("name", list(THEIRS))
def test_operation(name, kind, record_property):
    pixels = picture(kind)
    tensor = torch.from_numpy(np.moveaxis(pixels, -1, 0).copy())
    theirs = [np.moveaxis(THEIRS[name](tensor, m).numpy(), 0, -1) for m in MAGNITUDES.get(name, (0,))]
    check(name, pixels, np.stack(theirs), "torchvision", TENSOR_TOLERANCES, record_property)


@pytest.mark.parametrize("kind", ["noise", "dull", "smooth"])
@pytest.mark.parametrize("name", [name for name in THEIRS if name not in WARPS])
def test_operation_of_pil(name, kind, record_property):
    """PIL's, with which the paper's authors worked."""
    pixels = picture(kind)
    theirs = [np.asarray(THEIRS[name](pil.fromarray(pixels), m)) for m in MAGNITUDES.get(name, (0,))]
    check(name, pixels, np.stack(theirs), "PIL", PIL_TOLERANCES, record_property)


def their_argument(name, magnitude):
    """What torchvision's AutoAugment hands to the operation, from the magnitude in its table."""
    if name in ("color", "contrast", "brightness", "sharpness"):
        return 1 + magnitude
    return int(magnitude) if name.startswith("translate") or name == "posterize" else magnitude


@pytest.mark.parametrize("policy", ["imagenet", "cifar10"])
def test_policies_of_the_paper(policy):
    """torchvision's table and magnitudes; its fill is black by default, which is not of the table."""
    peer = transforms.AutoAugment(transforms.AutoAugmentPolicy(policy))
    space = peer._augmentation_space(10, [224, 200])
    assert len(peer.policies) == len(POLICIES[policy].pairs) == 25
    for theirs, ours in zip(peer.policies, POLICIES[policy].pairs, strict=True):
        for (their_name, probability, level), (name, our_probability, our_level) in zip(theirs, ours, strict=True):
            assert (THEIR_NAMES[their_name], probability) == (name, our_probability)
            if level is None:
                continue
            values, signed = space[their_name]
            value = float(values[level])
            expected = {their_argument(name, value), their_argument(name, -value if signed else value)}
            size = 224 if name == "translate_y" else 200
            found = set(POLICIES[policy].magnitudes(name, our_level, size))
            np.testing.assert_allclose(sorted(found), sorted(expected), rtol=1e-5, err_msg=f"{name} {level}")


def test_policy_v0():
    """timm's table and magnitudes of TensorFlow's policy; its translation is by a part of the side, and posterisation
    at level 2 keeps no bits."""
    timm = pytest.importorskip("timm.data.auto_augment")
    peer = timm.auto_augment_policy_v0(dict(translate_const=250, img_mean=(FILL,) * 3))
    assert len(peer) == len(POLICIES["v0"].pairs) == 25
    for theirs, ours in zip(peer, POLICIES["v0"].pairs, strict=True):
        for operation, (name, probability, level) in zip(theirs, ours, strict=True):
            their_name = operation.name.removesuffix("Rel")
            assert (THEIR_NAMES[their_name], operation.prob, operation.magnitude) == (name, probability, level)
            to_argument = timm.LEVEL_TO_ARG[their_name]
            if to_argument is None:
                continue
            drawn = {to_argument(level, operation.hparams)[0] for _ in range(40)}
            expected = {max(1, value) for value in drawn} if name == "posterize" else drawn
            found = set(POLICIES["v0"].magnitudes(name, level, 224))
            np.testing.assert_allclose(sorted(found), sorted(expected), rtol=1e-6, err_msg=f"{name} {level}")
