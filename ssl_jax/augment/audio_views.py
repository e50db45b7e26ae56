"""Views of recordings: samples for encoders of waveforms, log-mel spectrograms for those of pictures and of frames."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp

from ssl_jax.augment import spectrogram, waveform
from ssl_jax.augment.spec_augment import spec_augment

Example = dict[str, jax.Array]


class WaveformView:
    """Samples: faster or slower, a random stretch of that, louder or softer, with noise, in this order; as asked for.

    What is played faster is shorter: where a view is as long as the examples, silence fills it up. Set `seconds` to
    less than `config.data.seconds` over the largest speed where that is not wanted.

    Args:
      spec: of the data; `spec.shapes['waveform']` and `spec.sample_rate` are used.
      seconds: length of a view; None: that of the examples.
      speed: range of the factor by which a recording is played faster (`waveform.change_speed`).
      gain: range of what is added to its loudness, in decibels.
      noise: range of the ratio of signal to white noise, in decibels; None: no noise.
      standardize: mean 0 and variance 1 over the real samples, as for the large models of wav2vec 2.0 and HuBERT.

    Attributes:
      gives: 'waveform'.
      shape: (samples,) of a view.
      sample_rate: of the data, in Hz.
      standardized: as given.

    Raises:
      ValueError: a setting is impossible or does not fit the data.
    """

    gives = "waveform"

    def __init__(
        self,
        spec: Any,
        *,
        seconds: float | None = None,
        speed: tuple[float, float] = (1.0, 1.0),
        gain: tuple[float, float] = (0.0, 0.0),
        noise: tuple[float, float] | None = None,
        standardize: bool = True,
    ):
        self._draw = _draw(spec, seconds=seconds, speed=speed, gain=gain, noise=noise)
        self.standardized = standardize
        self.sample_rate, self.shape = spec.sample_rate, (self._draw.size,)

    def train(self, key: jax.Array, example: Example) -> Example:
        """One random view of one example: `waveform` float32 [samples], `length` int32, how many of them are real."""
        return self._finished(*self._draw(key, example))

    def evaluate(self, example: Example) -> Example:
        """The beginning of one example, as `train` gives it."""
        return self._finished(*self._draw.beginning(example))

    def _finished(self, samples, length):
        samples = waveform.standardize(samples, length) if self.standardized else samples
        return {"waveform": samples, "length": length.astype(jnp.int32)}


class LogMelView:
    """Log-mel spectrograms as pictures of one channel, frames from top to bottom.

    What is done to samples is done as in `WaveformView`, then `spectrogram.log_mel` or `spectrogram.kaldi_log_mel`, the
    normalisation, and SpecAugment. Behind the end of a recording a picture is 0, which is the mean, whatever is there.
    Networks of pictures take these rows for a part of the picture, in means over it and in what a masked autoencoder
    paints too, as in the code of BYOL-A, Audio-MAE and CLAP: how long a recording is can be seen. With
    `short='repeat'` there are no such rows.

    Args:
      spec: of the data; `spec.shapes['waveform']` and `spec.sample_rate` are used.
      seconds, speed, gain, noise: as in `WaveformView`.
      short: what fills up an example behind the end of its recording: 'zeros', or the recording again ('repeat').
      window: of a frame, in milliseconds.
      hop: from one frame to the next, in milliseconds.
      mels: number of filters.
      low: where they begin, in Hz.
      high: where they end, in Hz; None: half the sample rate.
      scale: of pitch, 'slaney' or 'htk', with filters of equal areas; 'kaldi': Kaldi's energies under Hann's window.
      n_fft: samples of a Fourier transform; None: the power of 2 from the window on.
      frames: rows of the picture; None: the whole hops in it. Those that are too many are cut, 0 fills up.
      mean: subtracted from logarithms; None: the recording's own mean over its real frames.
      std: they are divided by it; None: the recording's own deviation.
      warp, frequency_masks, frequency_width, time_masks, time_width, time_share: of `spec_augment`; without masks and
        warp by default.

    Attributes:
      gives: 'image'.
      shape: (frames, mels, 1).
      spec: as given.

    Raises:
      ValueError: a setting is impossible or does not fit the data.
    """

    gives = "image"

    def __init__(
        self,
        spec: Any,
        *,
        seconds: float | None = None,
        speed: tuple[float, float] = (1.0, 1.0),
        gain: tuple[float, float] = (0.0, 0.0),
        noise: tuple[float, float] | None = None,
        short: Literal["zeros", "repeat"] = "zeros",
        window: float = 25.0,
        hop: float = 10.0,
        mels: int = 64,
        low: float = 60.0,
        high: float | None = None,
        scale: Literal["slaney", "htk", "kaldi"] = "htk",
        n_fft: int | None = None,
        frames: int | None = None,
        mean: float | None = None,
        std: float | None = None,
        warp: int = 0,
        frequency_masks: int = 0,
        frequency_width: int = 8,
        time_masks: int = 0,
        time_width: int = 16,
        time_share: float = 1.0,
    ):
        self.spec = spec
        self._draw = _draw(spec, seconds=seconds, speed=speed, gain=gain, noise=noise, short=short)
        settings = dict(window=window, hop=hop, mels=mels, low=low, high=high, scale=scale, n_fft=n_fft)
        self.front_end = FrontEnd(spec.sample_rate, frames=frames, mean=mean, std=std, **settings)
        masks = dict(frequency_masks=frequency_masks, time_masks=time_masks, warp=warp)
        widths = dict(frequency_width=frequency_width, time_width=time_width)
        _check_masks(time_share=time_share, **masks, **widths)
        self._masks = dict(masks, **widths, time_share=time_share) if any(masks.values()) else None
        self._frames_shape = jax.eval_shape(self.front_end, *_shapes(self._draw.size))[0].shape

    @property
    def shape(self) -> tuple[int, ...]:
        """That of a view."""
        return (*self._frames_shape, 1)

    def train(self, key: jax.Array, example: Example) -> jax.Array:
        """One random view of one example, float32 [frames, mels, 1]."""
        return self.frames(key, example)[0][..., None]

    def evaluate(self, example: Example) -> jax.Array:
        """The beginning of one example, float32 [frames, mels, 1]."""
        return self.front_end(*self._draw.beginning(example))[0][..., None]

    def frames(self, key: jax.Array, example: Example) -> tuple[jax.Array, jax.Array]:
        """The same random view as float32 [frames, mels], and how many of its frames are real."""
        draw_key, mask_key = jax.random.split(key)
        mels, real = self.front_end(*self._draw(draw_key, example))
        return (mels if self._masks is None else spec_augment(mask_key, mels, real, **self._masks)), real

    def displayable(self, images: jax.Array) -> jax.Array:
        """Spectrograms [..., frames, mels, 1] for looking at, in 0..1: from 2 deviations below the mean to 3 above."""
        return jnp.clip((images + 2) / 5, 0, 1)


class LogMelFramesView(LogMelView):
    """The same for encoders of sequences: the frames, and how many of them are real.

    Attributes:
      gives: 'frames'.
      shape: (frames, mels).
    """

    gives = "frames"

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the frames of a view."""
        return self._frames_shape

    def train(self, key: jax.Array, example: Example) -> Example:
        """One random view of one example: `frames` float32 [frames, mels], `length` int32, how many are real."""
        mels, real = self.frames(key, example)
        return {"frames": mels, "length": real}

    def evaluate(self, example: Example) -> Example:
        """The beginning of one example, as `train` gives it."""
        mels, real = self.front_end(*self._draw.beginning(example))
        return {"frames": mels, "length": real}


class FrontEnd:
    """Samples to normalised log-mel frames of one shape; for the settings see `LogMelView`.

    Raises:
      ValueError: a scale that does not exist; with Kaldi's an `n_fft` of its own; a mean or a deviation without the
        other; a deviation that is not positive; no frames.
    """

    def __init__(
        self,
        sample_rate: int,
        *,
        window: float,
        hop: float,
        mels: int,
        low: float,
        high: float | None,
        scale: str,
        n_fft: int | None,
        frames: int | None,
        mean: float | None,
        std: float | None,
    ):
        if scale not in ("slaney", "htk", "kaldi"):
            raise ValueError(f"scale {scale!r} is not 'slaney', 'htk' or 'kaldi'")
        if scale == "kaldi" and n_fft is not None:
            raise ValueError(f"n_fft {n_fft}: Kaldi's is the power of 2 from the window on; set None")
        if (mean is None) != (std is None):
            raise ValueError(f"mean {mean} and std {std}: give both, or None for both")
        if std is not None and std <= 0:
            raise ValueError(f"std {std} is not positive")
        if frames is not None and frames < 1:
            raise ValueError(f"frames {frames} is below 1")
        self.window, self.hop = (max(1, round(time * sample_rate / 1000)) for time in (window, hop))
        self.kaldi, self._rows, self._mean, self._std = scale == "kaldi", frames, mean, std
        self._settings = dict(
            sample_rate=sample_rate, window=self.window, hop=self.hop, mels=mels, low=low, high=high
        ) | (dict(shape="hann") if self.kaldi else dict(scale=scale, n_fft=n_fft))

    def __call__(self, samples: jax.Array, length: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Samples [T], 0 behind `length`, to float32 [frames, mels], 0 behind the real ones, and their number."""
        if self.kaldi:
            mean = jnp.sum(samples) / jnp.maximum(length, 1)
            samples = waveform.silent_behind(samples - mean, length)
        make = spectrogram.kaldi_log_mel if self.kaldi else spectrogram.log_mel
        mels = make(samples, **self._settings)
        rows = self._rows or (mels.shape[0] if self.kaldi else max(1, samples.shape[0] // self.hop))
        mels = jnp.pad(mels, ((0, max(0, rows - mels.shape[0])), (0, 0)))[:rows]
        real = jnp.minimum(
            spectrogram.frame_count(length, window=self.window, hop=self.hop, kaldi=self.kaldi), rows
        ).astype(jnp.int32)
        return self._normalized(mels, real), real

    def _normalized(self, mels, real):
        behind = (jnp.arange(mels.shape[0]) >= real)[:, None]
        if self._mean is not None:
            return jnp.where(behind, 0, (mels - self._mean) / self._std)
        count = jnp.maximum(real * mels.shape[1], 1)
        centred = jnp.where(behind, 0, mels - jnp.sum(jnp.where(behind, 0, mels)) / count)
        return centred * jax.lax.rsqrt(jnp.sum(centred**2) / count + 1e-5)


@dataclasses.dataclass(frozen=True)
class _Draw:
    """(key, example) -> a random stretch of it, float32 [size], 0 behind the end, and how many samples are real."""

    size: int
    speed: tuple[float, float]
    gain: tuple[float, float]
    noise: tuple[float, float] | None
    repeats: bool = False

    def __call__(self, key: jax.Array, example: Example) -> tuple[jax.Array, jax.Array]:
        start_key, speed_key, gain_key, ratio_key, noise_key = jax.random.split(key, 5)
        samples, length = waveform.to_samples(example["waveform"], example["length"]), example["length"]
        if self.speed != (1.0, 1.0):
            samples, length = waveform.change_speed(samples, length, _uniform(speed_key, self.speed))
        samples, length = self._filled(samples, length)
        start = waveform.draw_start(start_key, length, self.size)
        samples, length = waveform.stretch(samples, length, start, self.size)
        if self.gain != (0.0, 0.0):
            samples = waveform.gain(samples, _uniform(gain_key, self.gain))
        if self.noise is not None:
            samples = waveform.white_noise(noise_key, samples, length, _uniform(ratio_key, self.noise))
        return samples, length

    def beginning(self, example: Example) -> tuple[jax.Array, jax.Array]:
        """The first `size` samples as they are."""
        samples = waveform.to_samples(example["waveform"], example["length"])
        samples, length = self._filled(samples, example["length"])
        return waveform.stretch(samples, length, jnp.int32(0), self.size)

    def _filled(self, samples, length):
        return waveform.repeated(samples, length) if self.repeats else (samples, length)


def _uniform(key, between):
    return jax.random.uniform(key, minval=between[0], maxval=between[1])


def beginning(spec: Any, *, short: str) -> Callable[[Example], tuple[jax.Array, jax.Array]]:
    """A function of an example: all its samples, float32 [T], filled up as `short` says, and how many are real."""
    return _draw(spec, seconds=None, speed=(1.0, 1.0), gain=(0.0, 0.0), noise=None, short=short).beginning


def _draw(spec, *, seconds, speed, gain, noise, short="zeros") -> _Draw:
    if "waveform" not in spec.shapes:
        raise ValueError("these are views of sound, and the data has none; set config.data.modality to 'audio'")
    (samples,) = spec.shapes["waveform"]
    size = samples if seconds is None else round(seconds * spec.sample_rate)
    if not 1 <= size <= samples:
        has = f"config.data.seconds gives {samples / spec.sample_rate:g}"
        raise ValueError(f"seconds {seconds}: a view must have some, and {has}; lower it or raise that")
    for name, between in (("speed", speed), ("gain", gain), *([("noise", noise)] if noise is not None else [])):
        if len(between) != 2 or not between[0] <= between[1] or not all(map(math.isfinite, between)):
            raise ValueError(f"{name} {between} is not a range (low, high)")
    if short not in ("zeros", "repeat"):
        raise ValueError(f"short {short!r} is not 'zeros' or 'repeat'")
    if speed[0] <= 0:
        raise ValueError(f"speed {speed} is not positive")
    ranges = (None if between is None else tuple(map(float, between)) for between in (speed, gain, noise))
    return _Draw(size, *ranges, short == "repeat")


def _shapes(size: int) -> tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct]:
    return jax.ShapeDtypeStruct((size,), jnp.float32), jax.ShapeDtypeStruct((), jnp.int32)


def _check_masks(*, time_share: float, **counts: int) -> None:
    for name, value in counts.items():
        if value < 0:
            raise ValueError(f"{name} {value} is negative")
    if not 0 < time_share <= 1:
        raise ValueError(f"time_share {time_share} is not in (0, 1]")
