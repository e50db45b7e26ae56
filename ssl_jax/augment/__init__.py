"""Views of images and of sound, made on the device: pure functions of a key and one example, vmapped and compiled with
the step.

Images are float32 [H, W, C] in 0..1 unless a docstring says otherwise. Each random operation is in two parts, one that
draws parameters from a key (`draw_...`) and one that applies them, so that either can be tested and reused alone.
`VIEWS` maps names to view makers::

    view = VIEWS["simclr"](spec, out_size=32)
    first = per_example(view.train, key, batch)  # float32 [B, 32, 32, C], batch["image"] being uint8 [B, H, W, C]

Mixup and CutMix work on batches, with one drawn number or box a row (`ssl_jax.augment.mix`).

Sound is one recording: int16 [T] and how many of its samples are real (`ssl_jax.augment.waveform`, `spectrogram`).

A view maker has `train(key, example)`, one random view of one example, `evaluate(example)`, the fixed one,
`shape`, the (size, size, channels) of both, and `displayable(images)`, which undoes the normalisation for figures.
Those of pictures have its inverse too, `normalized(pixels)`, and `evaluation`, what `evaluate` does in numbers, so that
it can be done elsewhere (`Evaluation`).
`gives` says what a backbone reads of it, where that is not what the data is.
"""

import functools

from ssl_jax.augment import presets
from ssl_jax.augment.affine import Affine, affine, draw_affine
from ssl_jax.augment.audio_views import LogMelFramesView, LogMelView, WaveformView
from ssl_jax.augment.auto_augment import Operations, auto_augment, draw_auto_augment
from ssl_jax.augment.blur import draw_blur, gaussian_blur
from ssl_jax.augment.byol_a import BYOLAView
from ssl_jax.augment.color import Jitter, color_jitter, draw_color_jitter, draw_order, grayscale, solarize
from ssl_jax.augment.crop import Box, center_box, crop_and_resize, draw_crop, random_resized_crop
from ssl_jax.augment.erase import draw_erasing, erase
from ssl_jax.augment.examples import all_crops, each_view, multi_crop, per_example, two_views
from ssl_jax.augment.jigsaw import Jigsaw, draw_jigsaw, hamming_permutations, jigsaw_tiles
from ssl_jax.augment.mix import cutmix, draw_cutmix, draw_mixup, mix_batch, mixup
from ssl_jax.augment.neighbours import PatchPair, draw_patch_pair, patch_pair
from ssl_jax.augment.pixels import Normalize, add_noise, to_float
from ssl_jax.augment.rand_augment import draw_rand_augment, rand_augment
from ssl_jax.augment.spec_augment import spec_augment
from ssl_jax.augment.spectrogram import cepstra, deltas, frame_count, kaldi_log_mel, log_mel, mel_filters
from ssl_jax.augment.turns import draw_quarter_turn, quarter_turn, quarter_turns
from ssl_jax.augment.views import AffineView, Evaluation, MAEView, PhotoView
from ssl_jax.augment.waveform import to_samples

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
    "waveform": WaveformView,
    "log_mel": LogMelView,
    "log_mel_frames": LogMelFramesView,
    "byol_a": BYOLAView,
}

__all__ = [
    "Affine",
    "AffineView",
    "BYOLAView",
    "Box",
    "Evaluation",
    "Jigsaw",
    "Jitter",
    "LogMelFramesView",
    "LogMelView",
    "MAEView",
    "Normalize",
    "Operations",
    "PatchPair",
    "PhotoView",
    "VIEWS",
    "WaveformView",
    "add_noise",
    "affine",
    "all_crops",
    "auto_augment",
    "center_box",
    "cepstra",
    "color_jitter",
    "crop_and_resize",
    "cutmix",
    "deltas",
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
    "draw_rand_augment",
    "each_view",
    "erase",
    "frame_count",
    "gaussian_blur",
    "grayscale",
    "hamming_permutations",
    "jigsaw_tiles",
    "kaldi_log_mel",
    "log_mel",
    "mel_filters",
    "mix_batch",
    "mixup",
    "multi_crop",
    "patch_pair",
    "per_example",
    "quarter_turn",
    "quarter_turns",
    "rand_augment",
    "random_resized_crop",
    "solarize",
    "spec_augment",
    "to_float",
    "to_samples",
    "two_views",
]
