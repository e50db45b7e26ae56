"""Views of images, made on the device: pure functions of a key and one image, vmapped and compiled with the step.

Images are float32 [H, W, C] in 0..1 unless a docstring says otherwise. Each random operation is in two parts, one that
draws parameters from a key (`draw_...`) and one that applies them, so that either can be tested and reused alone.
`VIEWS` maps names to view makers::

    view = VIEWS["simclr"](spec, out_size=32)
    first = per_example(view.train, key, batch)  # float32 [B, 32, 32, C], batch["image"] being uint8 [B, H, W, C]

Mixup and CutMix work on batches, with one drawn number or box a row (`ssl_jax.augment.mix`).

A view maker has `train(key, example)`, one random view of one example, `evaluate(example)`, the fixed one,
`shape`, the (size, size, channels) of both, and `displayable(images)`, which undoes the normalisation for figures.
"""

import functools

from ssl_jax.augment import presets
from ssl_jax.augment.affine import Affine, affine, draw_affine
from ssl_jax.augment.auto_augment import Operations, auto_augment, draw_auto_augment
from ssl_jax.augment.blur import draw_blur, gaussian_blur
from ssl_jax.augment.color import Jitter, color_jitter, draw_color_jitter, draw_order, grayscale, solarize
from ssl_jax.augment.crop import Box, center_box, crop_and_resize, draw_crop, random_resized_crop
from ssl_jax.augment.erase import draw_erasing, erase
from ssl_jax.augment.examples import all_crops, each_view, multi_crop, per_example, two_views
from ssl_jax.augment.jigsaw import Jigsaw, draw_jigsaw, hamming_permutations, jigsaw_tiles
from ssl_jax.augment.mix import cutmix, draw_cutmix, draw_mixup, mix_batch, mixup
from ssl_jax.augment.neighbours import PatchPair, draw_patch_pair, patch_pair
from ssl_jax.augment.pixels import Normalize, add_noise, to_float
from ssl_jax.augment.turns import draw_quarter_turn, quarter_turn, quarter_turns
from ssl_jax.augment.views import AffineView, MAEView, PhotoView

VIEWS = {
    "simclr": functools.partial(PhotoView, **presets.SIMCLR),
    "moco_v2": functools.partial(PhotoView, **presets.MOCO_V2),
    "byol": functools.partial(PhotoView, **presets.BYOL),
    "swav": functools.partial(PhotoView, **presets.SWAV),
    "dino": functools.partial(PhotoView, **presets.DINO),
    "lejepa": functools.partial(PhotoView, **presets.LEJEPA),
    "sup_con": functools.partial(PhotoView, **presets.SUP_CON),
    "mae": MAEView,
    "affine": AffineView,
}

__all__ = [
    "Affine",
    "AffineView",
    "Box",
    "Jigsaw",
    "Jitter",
    "MAEView",
    "Normalize",
    "Operations",
    "PatchPair",
    "PhotoView",
    "VIEWS",
    "add_noise",
    "all_crops",
    "affine",
    "auto_augment",
    "center_box",
    "color_jitter",
    "crop_and_resize",
    "cutmix",
    "draw_affine",
    "draw_auto_augment",
    "draw_blur",
    "draw_color_jitter",
    "draw_crop",
    "draw_cutmix",
    "draw_erasing",
    "draw_jigsaw",
    "draw_mixup",
    "draw_order",
    "draw_patch_pair",
    "draw_quarter_turn",
    "each_view",
    "erase",
    "gaussian_blur",
    "grayscale",
    "hamming_permutations",
    "jigsaw_tiles",
    "mix_batch",
    "mixup",
    "multi_crop",
    "patch_pair",
    "per_example",
    "quarter_turn",
    "quarter_turns",
    "random_resized_crop",
    "solarize",
    "to_float",
    "two_views",
]
