"""The policies of AutoAugment (Cubuk et al. 2019, arXiv:1805.09501): tables of operations, probabilities and levels.

- 'v0' is that of tensorflow/models, official/vision/image_classification/augment.py, with which google-research/supcon
  trains on ImageNet. Its pairs are not those of the paper's table for ImageNet. Its translation is by 225 pixels,
  whatever the picture's size. What comes in from outside is the picture mirrored: the code means to fill with 128, but
  the resampling that it calls, Keras's, has mirrored by default since 2020 (tensorflow/models, issue 10493). Two levels
  leave 8 bits: posterisation at level 2 keeps no bits, of which TensorFlow's shift makes one; solarisation at level 10
  begins at 256, and changes nothing here.
- 'imagenet' and 'cifar10' are the tables of the paper's appendix, with torchvision's reading of levels: ten values
  evenly over each range, and a factor of colour, contrast, brightness or sharpness up or down alike. What comes in from
  outside is 128, gray; torchvision's default is black.
"""

from collections.abc import Callable
from typing import NamedTuple


class Policy(NamedTuple):
    """A table of AutoAugment.

    Attributes:
      pairs: of operations; each is its name, the probability of applying it, and its level (0 where it needs none; in
        "v0" as published).
      magnitudes: (name, level, size of the picture along the operation's axis) -> two magnitudes, equally likely.
      fill: the pixel value that comes in from outside; None: the picture mirrored.
    """

    pairs: tuple[tuple[tuple[str, float, int], tuple[str, float, int]], ...]
    magnitudes: Callable[[str, int, int], tuple[float, float]]
    fill: float | None


_SIGNED = {"shear_x": 0.3, "shear_y": 0.3, "rotate": 30.0}
_ENHANCE = ("color", "contrast", "brightness", "sharpness")


def _v0_magnitudes(name, level, size):
    """Levels are tenths of each range: `level_to_arg` of the official code."""
    if name in ("translate_x", "translate_y"):
        return 25.0 * level, -25.0 * level
    if name in _SIGNED:
        return _SIGNED[name] * level / 10, -_SIGNED[name] * level / 10
    value = {
        "posterize": max(1, 4 * level // 10),
        "solarize": 256 * level // 10,
        "solarize_add": 110 * level // 10,
        **dict.fromkeys(_ENHANCE, 0.18 * level + 0.1),
    }.get(name, 0)
    return value, value


def _paper_magnitudes(name, level, size):
    """Levels are ninths of each range: `_augmentation_space` of torchvision's `AutoAugment`."""
    if name in ("translate_x", "translate_y"):
        shift = int(150 / 331 * size * level / 9)
        return shift, -shift
    if name in _SIGNED:
        return _SIGNED[name] * level / 9, -_SIGNED[name] * level / 9
    if name in _ENHANCE:
        return 1 + level / 10, 1 - level / 10
    value = {"posterize": 8 - round(4 * level / 9), "solarize": 255 - 255 / 9 * level}.get(name, 0)
    return value, value


_V0 = (
    (("equalize", 0.8, 1), ("shear_y", 0.8, 4)),
    (("color", 0.4, 9), ("equalize", 0.6, 3)),
    (("color", 0.4, 1), ("rotate", 0.6, 8)),
    (("solarize", 0.8, 3), ("equalize", 0.4, 7)),
    (("solarize", 0.4, 2), ("solarize", 0.6, 2)),
    (("color", 0.2, 0), ("equalize", 0.8, 8)),
    (("equalize", 0.4, 8), ("solarize_add", 0.8, 3)),
    (("shear_x", 0.2, 9), ("rotate", 0.6, 8)),
    (("color", 0.6, 1), ("equalize", 1.0, 2)),
    (("invert", 0.4, 9), ("rotate", 0.6, 0)),
    (("equalize", 1.0, 9), ("shear_y", 0.6, 3)),
    (("color", 0.4, 7), ("equalize", 0.6, 0)),
    (("posterize", 0.4, 6), ("auto_contrast", 0.4, 7)),
    (("solarize", 0.6, 8), ("color", 0.6, 9)),
    (("solarize", 0.2, 4), ("rotate", 0.8, 9)),
    (("rotate", 1.0, 7), ("translate_y", 0.8, 9)),
    (("shear_x", 0.0, 0), ("solarize", 0.8, 4)),
    (("shear_y", 0.8, 0), ("color", 0.6, 4)),
    (("color", 1.0, 0), ("rotate", 0.6, 2)),
    (("equalize", 0.8, 4), ("equalize", 0.0, 8)),
    (("equalize", 1.0, 4), ("auto_contrast", 0.6, 2)),
    (("shear_y", 0.4, 7), ("solarize_add", 0.6, 7)),
    (("posterize", 0.8, 2), ("solarize", 0.6, 10)),
    (("solarize", 0.6, 8), ("equalize", 0.6, 1)),
    (("color", 0.8, 6), ("rotate", 0.4, 5)),
)

_IMAGENET = (
    (("posterize", 0.4, 8), ("rotate", 0.6, 9)),
    (("solarize", 0.6, 5), ("auto_contrast", 0.6, 0)),
    (("equalize", 0.8, 0), ("equalize", 0.6, 0)),
    (("posterize", 0.6, 7), ("posterize", 0.6, 6)),
    (("equalize", 0.4, 0), ("solarize", 0.2, 4)),
    (("equalize", 0.4, 0), ("rotate", 0.8, 8)),
    (("solarize", 0.6, 3), ("equalize", 0.6, 0)),
    (("posterize", 0.8, 5), ("equalize", 1.0, 0)),
    (("rotate", 0.2, 3), ("solarize", 0.6, 8)),
    (("equalize", 0.6, 0), ("posterize", 0.4, 6)),
    (("rotate", 0.8, 8), ("color", 0.4, 0)),
    (("rotate", 0.4, 9), ("equalize", 0.6, 0)),
    (("equalize", 0.0, 0), ("equalize", 0.8, 0)),
    (("invert", 0.6, 0), ("equalize", 1.0, 0)),
    (("color", 0.6, 4), ("contrast", 1.0, 8)),
    (("rotate", 0.8, 8), ("color", 1.0, 2)),
    (("color", 0.8, 8), ("solarize", 0.8, 7)),
    (("sharpness", 0.4, 7), ("invert", 0.6, 0)),
    (("shear_x", 0.6, 5), ("equalize", 1.0, 0)),
    (("color", 0.4, 0), ("equalize", 0.6, 0)),
    (("equalize", 0.4, 0), ("solarize", 0.2, 4)),
    (("solarize", 0.6, 5), ("auto_contrast", 0.6, 0)),
    (("invert", 0.6, 0), ("equalize", 1.0, 0)),
    (("color", 0.6, 4), ("contrast", 1.0, 8)),
    (("equalize", 0.8, 0), ("equalize", 0.6, 0)),
)

_CIFAR10 = (
    (("invert", 0.1, 0), ("contrast", 0.2, 6)),
    (("rotate", 0.7, 2), ("translate_x", 0.3, 9)),
    (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)),
    (("shear_y", 0.5, 8), ("translate_y", 0.7, 9)),
    (("auto_contrast", 0.5, 0), ("equalize", 0.9, 0)),
    (("shear_y", 0.2, 7), ("posterize", 0.3, 7)),
    (("color", 0.4, 3), ("brightness", 0.6, 7)),
    (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
    (("equalize", 0.6, 0), ("equalize", 0.5, 0)),
    (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
    (("color", 0.7, 7), ("translate_x", 0.5, 8)),
    (("equalize", 0.3, 0), ("auto_contrast", 0.4, 0)),
    (("translate_y", 0.4, 3), ("sharpness", 0.2, 6)),
    (("brightness", 0.9, 6), ("color", 0.2, 8)),
    (("solarize", 0.5, 2), ("invert", 0.0, 0)),
    (("equalize", 0.2, 0), ("auto_contrast", 0.6, 0)),
    (("equalize", 0.2, 0), ("equalize", 0.6, 0)),
    (("color", 0.9, 9), ("equalize", 0.6, 0)),
    (("auto_contrast", 0.8, 0), ("solarize", 0.2, 8)),
    (("brightness", 0.1, 3), ("color", 0.7, 0)),
    (("solarize", 0.4, 5), ("auto_contrast", 0.9, 0)),
    (("translate_y", 0.9, 9), ("translate_y", 0.7, 9)),
    (("auto_contrast", 0.9, 0), ("solarize", 0.8, 3)),
    (("equalize", 0.8, 0), ("invert", 0.1, 0)),
    (("translate_y", 0.7, 9), ("auto_contrast", 0.9, 0)),
)

POLICIES = {
    "v0": Policy(_V0, _v0_magnitudes, None),
    "imagenet": Policy(_IMAGENET, _paper_magnitudes, 128.0),
    "cifar10": Policy(_CIFAR10, _paper_magnitudes, 128.0),
}
