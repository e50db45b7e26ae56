"""The presets' numbers beside those that lightly gives the papers' views."""

import types
from collections.abc import Iterator
from typing import Any

import pytest

from ssl_jax import augment

transforms = pytest.importorskip("lightly.transforms", reason="needs lightly")
COLORS = ("brightness", "contrast", "saturation", "hue")
NAMES = {
    "RandomResizedCrop": lambda t: {"scale": t.scale, "ratio": t.ratio},
    "RandomHorizontalFlip": lambda t: {"flip": t.p},
    "RandomApply": lambda t: {"jitter": t.p},
    "ColorJitter": lambda t: {name: getattr(t, name)[1] for name in COLORS if getattr(t, name)},  # one does nothing
    "RandomGrayscale": lambda t: {"gray": t.p},
    "GaussianBlur": lambda t: {"blur": t.prob, "sigma": t.sigmas},
    "RandomSolarization": lambda t: {"solarize": t.prob},
    "Normalize": lambda t: {"mean": t.mean, "std": t.std},
}


def parts(transform: Any) -> Iterator[Any]:
    """A transform and all that are in it."""
    yield transform
    inside = getattr(transform, "transforms", None) or [getattr(transform, "transform", None)]
    for part in inside:
        if part is not None:
            yield from parts(part)


def theirs(transform: Any) -> dict[str, Any]:
    found = {"solarize": 0.0}
    for part in parts(transform):
        found |= NAMES.get(type(part).__name__, lambda _: {})(part)
    return found


def ours(draw: Any) -> dict[str, Any]:
    jitter = draw.jitter
    colors = {name: jitter[name] + (name != "hue") for name in COLORS}
    normalize = {"mean": draw.normalize.mean, "std": draw.normalize.std}
    chances = dict(flip=draw.flip, jitter=jitter["probability"], gray=draw.gray, blur=draw.blur, solarize=draw.solarize)
    return dict(scale=draw.scale, ratio=draw.ratio, sigma=draw.sigma) | colors | normalize | chances


@pytest.mark.parametrize(
    ("preset", "peer", "different"),
    [
        ("simclr", "SimCLRTransform", {"mean", "std"}),  # SimCLR's code does not normalise
        ("moco_v2", "MoCoV2Transform", set()),
        ("byol", "BYOLTransform", set()),
        ("swav", "SwaVTransform", {"std"}),  # begins with 0.228 in SwAV's code
        ("dino", "DINOTransform", set()),
    ],
)
def test_numbers_are_lightlys(preset, peer, different):
    view = augment.VIEWS[preset](types.SimpleNamespace(shapes={"image": (320, 320, 3)}), out_size=224)
    kinds = [view.train, view.second, *([view.local] if view.local_crops else [])]
    for kind, transform in zip(kinds, getattr(transforms, peer)().transforms):
        found, expected = ours(kind), theirs(transform)
        assert found.keys() == expected.keys()
        for name in found.keys() - different:
            assert found[name] == pytest.approx(expected[name]), (preset, name)
