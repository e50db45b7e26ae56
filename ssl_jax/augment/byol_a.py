"""The views of BYOL-A: Niizumi et al. 2021, BYOL for Audio, arXiv:2103.06695, section III."""

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp

from ssl_jax.augment.audio_views import Example, FrontEnd, beginning
from ssl_jax.augment.crop import resize_matrix
from ssl_jax.augment.pixels import mix_pixels

VIRTUAL_TIME = 1.5  # the crop is drawn from a canvas so many times as long as the recording (section III-C)


class BYOLAView:
    """Log-mel spectrograms of one stretch of sound, mixed with another sound, cropped and resized, normalised.

    A view is of all samples of an example, so `config.data.seconds` is the length of a stretch (0.96 in the paper).
    Frames behind its end are 0, the mean. In this order:

    1. Pre-normalisation by the mean and deviation of the data.
    2. Mixup of energies, not of their logarithms (equation 4): a share, uniform in 0 to `mixup`, is another sound. It
       is a random other one of the batch; the paper's comes from a queue of the last 2048.
    3. Random resized crop from a canvas 1.5 times as long, 0 around the recording; sides are `crop` times those of the
       spectrogram. Smoothed where it shrinks, which the official code does not.
    4. Post-normalisation by mean and deviation over the batch; of both views together in the official code, here apart.

    `train` of one example alone leaves out what takes a batch, 2 and 4 (LiDAR draws views so).

    Args:
      spec: of the data; `spec.shapes['waveform']` and `spec.sample_rate` are used.
      short: what fills up an example behind the end of its recording: 'zeros' (which become the mean), or the recording
        again ('repeat').
      window: of a frame, in milliseconds.
      hop: from one frame to the next, in milliseconds.
      mels: number of filters.
      low: where they begin, in Hz.
      high: where they end, in Hz; None: half the sample rate.
      scale: of pitch, 'slaney' or 'htk'.
      mean: of the data's logarithms of energies; None: each recording's own.
      std: their deviation; None: each recording's own.
      mixup: the largest share of the other sound, alpha in the paper; 0: nothing is mixed.
      crop: range of the sides of the crop, relative to those of the spectrogram.

    Attributes:
      gives: 'image'.
      shape: (frames, mels, 1).
      train: (key, example) -> float32 [frames, mels, 1]; `augment.per_example` calls its `of_batch(key, batch)`.

    Raises:
      ValueError: a setting is impossible or does not fit the data.
    """

    gives = "image"

    def __init__(
        self,
        spec: Any,
        *,
        short: Literal["zeros", "repeat"] = "zeros",
        window: float = 64.0,
        hop: float = 10.0,
        mels: int = 64,
        low: float = 60.0,
        high: float | None = None,
        scale: Literal["slaney", "htk"] = "slaney",
        mean: float | None = None,
        std: float | None = None,
        mixup: float = 0.4,
        crop: tuple[float, float] = (0.6, 1.5),
    ):
        if not 0 <= mixup <= 1:
            raise ValueError(f"mixup {mixup} is not in 0 <= mixup <= 1")
        if len(crop) != 2 or not 0 < crop[0] <= crop[1]:
            raise ValueError(f"crop {crop} is not a range of positive numbers (low, high)")
        self._samples = beginning(spec, short=short)
        settings = dict(window=window, hop=hop, mels=mels, low=low, high=high, scale=scale)
        front_end = FrontEnd(spec.sample_rate, n_fft=None, frames=None, mean=mean, std=std, **settings)
        self._front_end = front_end
        self.train = _Draw(self.evaluate, mixup, tuple(map(float, crop)))
        of = lambda name, dtype: jax.ShapeDtypeStruct(spec.shapes[name], dtype)
        example = {"waveform": of("waveform", jnp.int16), "length": of("length", jnp.int32)}
        self.shape = jax.eval_shape(self.evaluate, example).shape

    def evaluate(self, example: Example) -> jax.Array:
        """The pre-normalised spectrogram of one example, float32 [frames, mels, 1]."""
        return self._front_end(*self._samples(example))[0][..., None]

    def displayable(self, images: jax.Array) -> jax.Array:
        """Spectrograms for looking at, in 0..1: from 2 deviations below the mean to 3 above."""
        return jnp.clip((images + 2) / 5, 0, 1)


@dataclasses.dataclass(frozen=True, eq=False)
class _Draw:
    """One random view of one example, or of each of a batch."""

    spectrogram: Any
    mixup: float
    crop: tuple[float, float]

    def __call__(self, key: jax.Array, example: Example) -> jax.Array:
        return random_resized_crop(key, self.spectrogram(example), self.crop)

    def of_batch(self, key: jax.Array, batch: Example) -> jax.Array:
        mix_key, crop_key = jax.random.split(key)
        images = jax.vmap(self.spectrogram)(batch)
        rows = jnp.arange(len(images))
        keys = lambda key: jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, rows)
        if self.mixup and len(images) > 1:
            other, share = jax.vmap(lambda key: jax.random.uniform(key, (2,)))(keys(mix_key)).T
            other = (rows + 1 + jnp.floor(other * (len(rows) - 1)).astype(jnp.int32)) % len(rows)
            images = jax.vmap(mixed)(images, images[other], share * self.mixup)
        images = jax.vmap(random_resized_crop, in_axes=(0, 0, None))(keys(crop_key), images, self.crop)
        return (images - images.mean()) * jax.lax.rsqrt(images.var() + 1e-8)


def mixed(x: jax.Array, other: jax.Array, share: jax.Array) -> jax.Array:
    """The logarithm of energies of which `share` is another sound's: log((1 - share) e^x + share e^other)."""
    return jnp.logaddexp(x + jnp.log1p(-share), other + jnp.log(jnp.maximum(share, 1e-30)))


def random_resized_crop(key: jax.Array, image: jax.Array, sides: tuple[float, float]) -> jax.Array:
    """A random part of a longer canvas with the spectrogram [frames, mels, 1] in its middle, resized to its shape."""
    frames, mels, _ = image.shape
    around = int(frames * VIRTUAL_TIME) - frames
    canvas = jnp.pad(image, ((around // 2, around - around // 2), (0, 0), (0, 0)))
    size, place = jax.random.uniform(key, (2, 2))
    scale = sides[0] + size * (sides[1] - sides[0])
    matrices = []
    for axis, length in enumerate((frames, mels)):
        side = jnp.clip(jnp.floor(scale[axis] * length), 1, canvas.shape[axis])
        start = jnp.floor(place[axis] * (canvas.shape[axis] - side + 1))
        matrices.append(resize_matrix(start, side, canvas.shape[axis], length, "bicubic"))
    return mix_pixels(matrices[0], canvas, matrices[1])
