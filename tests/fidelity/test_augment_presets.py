"""The presets' numbers, as they reach the operations, beside those of lightly's views and of the official codes."""

import functools
import types
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from ssl_jax import augment
from ssl_jax.augment import views

COLORS = ("brightness", "contrast", "saturation", "hue")
THEIRS = {
    "RandomResizedCrop": lambda t: {
        "size": t.size[0],
        "scale": t.scale,
        "ratio": t.ratio,
        "interpolation": getattr(t.interpolation, "value", t.interpolation),  # torchvision's default is a plain word
    },
    "RandomHorizontalFlip": lambda t: {"flip": t.p},
    "RandomApply": lambda t: {"jitter": t.p},
    "ColorJitter": lambda t: {name: getattr(t, name)[1] for name in COLORS if getattr(t, name)},  # one does nothing
    "RandomGrayscale": lambda t: {"gray": t.p},
    "GaussianBlur": lambda t: {"blur": t.prob, "sigma": t.sigmas},
    "RandomSolarization": lambda t: {"solarize": t.prob},
    "Normalize": lambda t: {"mean": t.mean, "std": t.std},
}
OURS = {
    "draw_crop": {"scale": "scale", "ratio": "ratio"},
    "crop_and_resize": {"out_size": "size", "interpolation": "interpolation"},
    "draw_auto_augment": {"policy": "policy"},
    "draw_rand_augment": {"magnitude": "magnitude", "deviation": "deviation"},
    "draw_color_jitter": {name: name for name in COLORS} | {"probability": "jitter"},
    "draw_blur": {"sigma": "sigma", "probability": "blur"},
    "gaussian_blur": {"radius": "radius"},
    "draw_erasing": {"probability": "erase"},
}


def parts(transform: Any) -> Iterator[Any]:
    """A transform and all that are in it."""
    yield transform
    inside = getattr(transform, "transforms", None) or [getattr(transform, "transform", None)]
    for part in inside:
        if part is not None:
            yield from parts(part)


def theirs(transform: Any) -> dict[str, Any]:
    found = {}
    for part in parts(transform):
        found |= THEIRS.get(type(part).__name__, lambda _: {})(part)
    return found


def noted(draw: Any) -> dict[str, Any]:
    """The settings with which a kind of view calls its operations; those that it does not call have none."""
    found = {}

    def note(names, operation, *args, **settings):
        found.update({names[name]: value for name, value in settings.items() if name in names})
        return operation(*args, **settings)

    with pytest.MonkeyPatch.context() as patch:
        for operation, names in OURS.items():
            patch.setattr(views, operation, functools.partial(note, names, getattr(views, operation)))
        example = {"image": jnp.zeros((320, 320, 3), jnp.uint8)}
        # A new function each time: `second` may be `train`, which would not be traced again.
        jax.eval_shape(lambda key, example: draw(key, example), jax.random.key(0), example)
    return found


def ours(view: Any, draw: Any) -> dict[str, Any]:
    """All numbers of one kind of view; factors of colour are the largest, as torchvision has them."""
    found = noted(draw)
    found |= {name: 1 + found[name] for name in COLORS[:3] if name in found}
    chances = dict(flip=draw.flip, gray=draw.gray, solarize=draw.solarize)
    return found | chances | dict(mean=draw.normalize.mean, std=draw.normalize.std, crops=view.local_crops)


def view_of(preset: str) -> Any:
    return augment.VIEWS[preset](types.SimpleNamespace(shapes={"image": (320, 320, 3)}), out_size=224)


def kinds_of(view: Any) -> list[Any]:
    return [view.train, view.second, *([view.local] if view.local_crops else [])]


def check(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name in found:
        assert found[name] == pytest.approx(expected[name]), name


# Where lightly's numbers are not the official code's, or it has none, the latter's.
# A kernel that reaches 11 pixels each way is 224 / 10 wide. PIL blurs with three boxes, each of which reaches 2 pixels
# at a deviation of 2: its radius is (sqrt(12 * 2**2 / 3 + 1) - 1) / 2 = 1.6, with the last pixel taken in part.
PIL = dict(radius=6)
LIGHTLY = {
    # google-research/simclr, data_util.py: `crop_and_resize`, `random_blur`; pixels stay in 0..1.
    "simclr": ("SimCLRTransform", dict(interpolation="bicubic", radius=11, mean=(0,) * 3, std=(1,) * 3)),
    # facebookresearch/moco, moco/loader.py: `GaussianBlur` is PIL's.
    "moco_v2": ("MoCoV2Transform", PIL),
    # deepmind-research, byol/utils/dataset.py: `_preprocess_image`; augmentations.py: `blur_divider`.
    "byol": ("BYOLTransform", dict(interpolation="bicubic", radius=11)),
    # facebookresearch/swav, src/multicropdataset.py: its deviations begin with 0.228; the blur is PIL's.
    "swav": ("SwaVTransform", dict(std=(0.228, 0.224, 0.225), **PIL)),
    # facebookresearch/dino, main_dino.py: `--local_crops_number`; utils.py: `GaussianBlur` is PIL's.
    "dino": ("DINOTransform", dict(crops=8, **PIL)),
}


@pytest.mark.parametrize("preset", LIGHTLY)
def test_numbers_are_lightlys(preset):
    peers = pytest.importorskip("lightly.transforms", reason="needs lightly")
    peer, official = LIGHTLY[preset]
    view, transforms = view_of(preset), getattr(peers, peer)().transforms
    absent = dict(solarize=0.0, crops=len(transforms) - 2)
    for draw, transform in zip(kinds_of(view), transforms, strict=False):  # small crops are all alike
        check(ours(view, draw), absent | theirs(transform) | official)


def test_numbers_of_masked_autoencoders_are_lightlys():
    peers = pytest.importorskip("lightly.transforms", reason="needs lightly")
    view = view_of("mae")
    found = noted(view.train) | dict(flip=view._flip, mean=view._normalize.mean, std=view._normalize.std)
    check(found, theirs(peers.MAETransform()))


LEJEPA = dict(
    size=224,
    scale=(0.3, 1.0),
    ratio=(3 / 4, 4 / 3),
    interpolation="bicubic",
    flip=0.5,
    jitter=0.8,
    brightness=1.4,
    contrast=1.4,
    saturation=1.2,
    hue=0.1,
    gray=0.2,
    blur=0.5,
    sigma=(0.1, 2.0),
    radius=11,
    solarize=0.2,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    crops=6,
)
SUP_CON = dict(
    size=224,
    scale=(0.08, 1.0),
    ratio=(3 / 4, 4 / 3),
    interpolation="bilinear",
    flip=0.5,
    policy="v0",
    gray=0.0,
    solarize=0.0,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    crops=0,
)
STATED = {
    # rbalestr-lab/lejepa, README.md, "Data augmentation and views"; MINIMAL.md for the blur's deviations, mean and std.
    # The README is silent about the resize and the kernel's width, which are SimCLR's here; MINIMAL.md, with views of
    # 128 pixels and other crops and colours, resizes bilinearly and blurs with a kernel 7 wide.
    "lejepa": [LEJEPA, LEJEPA, LEJEPA | dict(size=98, scale=(0.05, 0.3), radius=4)],
    # google-research/google-research, supcon/: scripts/supcon_imagenet_resnet50.sh (AUTOAUGMENT), hparams.py
    # (`crop_area_range`), preprocessing.py (`_distorted_crop_window`, whose aspect ends at 1.33, `_resize_image`,
    # `_augment_image`, `_convert_image_dtype`: pixels over 127.5, less 1).
    "sup_con": [SUP_CON, SUP_CON],
}


@pytest.mark.parametrize("preset", STATED)
def test_numbers_are_those_that_the_authors_state(preset):
    view = view_of(preset)
    for draw, expected in zip(kinds_of(view), STATED[preset], strict=True):
        check(ours(view, draw), expected)


def test_every_paper_is_here():
    own = {"affine"}
    sound = {"waveform", "log_mel", "log_mel_frames", "byol_a"}  # test_front_ends.py, test_models_byol_a.py
    assert {*LIGHTLY, *STATED, "mae"} == augment.VIEWS.keys() - own - sound
