"""Sound to frames of logarithmic mel energies and cepstra: pure functions of one recording, vmapped over a batch.

Two families of settings are in use. librosa's (`log_mel`) puts the middle of frame t at sample t * hop and takes what
is before the beginning and behind the end for silence; Kaldi's (`kaldi_log_mel`, and torchaudio.compliance.kaldi)
begins frame t at sample t * hop, drops frames that are not whole, and emphasises high frequencies in each of them.
"""

import functools
import math
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

Scale = Literal["slaney", "htk"]
Window = Literal["hann", "povey"]
_KALDI_FLOOR = float(np.finfo(np.float32).eps)


def log_mel(
    waveform: jax.Array,
    *,
    sample_rate: int,
    window: int,
    hop: int,
    mels: int,
    n_fft: int | None = None,
    low: float = 0.0,
    high: float | None = None,
    scale: Scale = "slaney",
    area: bool = True,
    floor: float = 1e-10,
    decibels: bool = False,
) -> jax.Array:
    """Logarithms of mel energies as librosa computes them; 1 + T // hop frames.

    Periodic Hann window in the middle of `n_fft` samples, power spectrum, triangular filters. Equal to the logarithm of
    `librosa.feature.melspectrogram(pad_mode='constant')` and of torchaudio's `MelSpectrogram(pad_mode='constant')`
    (scale 'htk' and no `area` by default), in float32: a logarithm differs by 1e-5 on noise, and where recorded speech
    is almost silent by 3e-4 and 9e-4.

    Args:
      waveform: float [T], as a rule in -1..1.
      sample_rate: in Hz.
      window: samples of the window, e.g. 0.025 * sample_rate.
      hop: samples from one frame to the next, e.g. 0.01 * sample_rate.
      mels: number of filters.
      n_fft: samples of a Fourier transform; None: the power of 2 from `window` on.
      low: where the first filter begins, in Hz.
      high: where the last filter ends, in Hz; None: half the sample rate.
      scale: of pitch: Slaney's (linear below 1 kHz) or that of HTK.
      area: filters have equal areas (librosa's norm='slaney'), not equal heights of 1.
      floor: energies below count as this.
      decibels: 10 log10, as librosa.power_to_db(top_db=None), in place of the natural logarithm.

    Returns:
      float32 [1 + T // hop, mels].

    Raises:
      ValueError: a setting is impossible.
    """
    n_fft = _fft_size(n_fft, window, hop)
    filters = mel_filters(sample_rate, n_fft, mels, low=low, high=high, scale=scale, area=area)
    before = (n_fft - window) // 2
    padded = jnp.pad(waveform.astype(jnp.float32), (n_fft // 2, n_fft // 2))
    frames = _frames(padded, n_fft, hop)
    shape = np.pad(_hann(window + 1)[:-1], (before, n_fft - window - before))
    energies = _energies(frames * shape[None, :], n_fft, filters)
    logarithms = jnp.log(jnp.maximum(energies, floor))
    return logarithms * (10 / math.log(10)) if decibels else logarithms


def kaldi_log_mel(
    waveform: jax.Array,
    *,
    sample_rate: int,
    window: int,
    hop: int,
    mels: int,
    low: float = 20.0,
    high: float | None = None,
    shape: Window = "povey",
    preemphasis: float = 0.97,
) -> jax.Array:
    """Logarithms of mel energies as Kaldi computes them; 1 + (T - window) // hop frames.

    Each frame has its mean taken out, is pre-emphasised, windowed and filled up to a power of 2. Triangles are straight
    on HTK's mel scale. Equal to `torchaudio.compliance.kaldi.fbank(dither=0)`: a logarithm differs by 5e-5 on speech
    and noise. Kaldi itself takes samples in -32768..32767, which adds 20.8 to all but energies at the floor, 1.2e-7.
    Audio-MAE and AST: 128 filters, window 25 ms, hop 10 ms, shape 'hann', of the waveform without its mean.

    Args:
      waveform: float [T].
      sample_rate: in Hz.
      window: samples of a frame, at most T; Kaldi: 25 ms.
      hop: samples from one frame to the next; Kaldi: 10 ms.
      mels: number of filters; Kaldi: 23.
      low: where the first filter begins, in Hz.
      high: where the last filter ends, in Hz; None: half the sample rate.
      shape: of the window: 'povey' is Hann's to the power of 0.85; 'hann' is Kaldi's 'hanning'.
      preemphasis: how much of the sample before is taken off each.

    Returns:
      float32 [1 + (T - window) // hop, mels].

    Raises:
      ValueError: a setting is impossible.
    """
    if shape not in get_args(Window):
        raise ValueError(f"shape {shape!r} is not one of {', '.join(get_args(Window))}")
    if window > waveform.shape[0]:
        raise ValueError(f"window {window} is longer than the {waveform.shape[0]} samples")
    n_fft = _fft_size(None, window, hop)
    filters = mel_filters(sample_rate, n_fft, mels, low=low, high=high, scale="htk", area=False, straight_in_mel=True)
    frames = _frames(waveform.astype(jnp.float32), window, hop)
    frames = frames - frames.mean(axis=1, keepdims=True)
    frames = frames - preemphasis * jnp.pad(frames, ((0, 0), (1, 0)), mode="edge")[:, :-1]
    weights = _hann(window) ** (0.85 if shape == "povey" else 1.0)
    return jnp.log(jnp.maximum(_energies(frames * weights[None, :], n_fft, filters), _KALDI_FLOOR))


def cepstra(log_mel: jax.Array, count: int, *, lifter: float = 0.0) -> jax.Array:
    """Mel-frequency cepstral coefficients: the first of an orthonormal discrete cosine transform (type 2).

    Args:
      log_mel: [frames, mels]: natural logarithms give Kaldi's coefficients (with lifter 22) and those of torchaudio's
        MFCC(log_mels=True), decibels those of librosa and of torchaudio otherwise (both with top_db=None).
      count: coefficients to keep.
      lifter: coefficient n is multiplied by 1 + lifter / 2 * sin(pi n / lifter); 0: not.

    Returns:
      float32 [frames, count].

    Raises:
      ValueError: `count` is not between 1 and the number of mels.
    """
    mels = log_mel.shape[1]
    if not 1 <= count <= mels:
        raise ValueError(f"count {count} is not between 1 and the {mels} mels")
    n = np.arange(count)
    basis = np.cos(np.pi / mels * (np.arange(mels)[:, None] + 0.5) * n) * math.sqrt(2 / mels)
    basis[:, 0] *= math.sqrt(0.5)
    if lifter:
        basis = basis * (1 + lifter / 2 * np.sin(np.pi * n / lifter))
    return _matmul(log_mel, basis)


def deltas(frames: jax.Array, real: jax.Array | int | None = None, *, width: int = 5) -> jax.Array:
    """The slope of each coefficient over `width` frames (least squares), the end frames repeated beyond the ends.

    As `torchaudio.functional.compute_deltas` and `librosa.feature.delta(mode='nearest')`; HuBERT's targets are cepstra,
    their deltas, and the deltas of those.

    Args:
      frames: [frames, features].
      real: how many frames are real; those behind are not looked at. None: all.
      width: odd, at least 3.

    Returns:
      float32 [frames, features].

    Raises:
      ValueError: `width` is even or below 3.
    """
    if width < 3 or width % 2 == 0:
        raise ValueError(f"width {width} is not an odd number from 3 on")
    reach, count = width // 2, frames.shape[0]
    last = (count if real is None else real) - 1
    steps = np.arange(-reach, reach + 1)
    weights = steps / np.sum(steps**2)
    index = jnp.clip(jnp.arange(count)[:, None] + steps[None, :], 0, jnp.maximum(last, 0))
    return jnp.einsum("fwd,w->fd", frames[index], jnp.asarray(weights, jnp.float32), precision="highest")


def frame_count(length: jax.Array | int, *, window: int, hop: int, kaldi: bool = False) -> jax.Array:
    """How many frames so many real samples have, int32: as many as `log_mel` or `kaldi_log_mel` gives of them."""
    if kaldi:
        return jnp.where(length >= window, 1 + (length - window) // hop, 0)
    return jnp.where(length > 0, 1 + length // hop, 0)


@functools.cache
def mel_filters(
    sample_rate: int,
    n_fft: int,
    mels: int,
    *,
    low: float = 0.0,
    high: float | None = None,
    scale: Scale = "slaney",
    area: bool = True,
    straight_in_mel: bool = False,
) -> np.ndarray:
    """Triangular filters, evenly spaced on a mel scale, each from its neighbour's middle to the other's.

    Slaney's scale and areas are those of `librosa.filters.mel(htk=False, norm='slaney')`. A filter that lies between
    two frequencies of the transform lets nothing through, as happens with many mels and few samples (AST's 128 of 512).

    Args:
      sample_rate: in Hz.
      n_fft: samples of the Fourier transform.
      mels: number of filters.
      low, high: where the first begins and the last ends, in Hz; None: at half the sample rate.
      scale: Slaney's or HTK's.
      area: equal areas (2 over the width in Hz), not equal heights of 1.
      straight_in_mel: the sides are straight lines over mels, as in Kaldi, not over Hz.

    Returns:
      float32 [1 + n_fft // 2, mels].

    Raises:
      ValueError: a setting is impossible.
    """
    high = sample_rate / 2 if high is None else high
    if scale not in get_args(Scale):
        raise ValueError(f"scale {scale!r} is not one of {', '.join(get_args(Scale))}")
    if not 0 <= low < high <= sample_rate / 2:
        raise ValueError(f"low {low} and high {high} Hz are not in 0 <= low < high <= {sample_rate / 2}")
    if mels < 1:
        raise ValueError(f"mels {mels} is below 1")
    to_mel, to_hz = _SCALES[scale]
    points = np.linspace(to_mel(np.float64(low)), to_mel(np.float64(high)), mels + 2)
    bins = np.arange(1 + n_fft // 2) * (sample_rate / n_fft)
    edges, bins = (points, to_mel(bins)) if straight_in_mel else (to_hz(points), bins)
    rising = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0, np.minimum(rising, falling))
    return (filters * (2 / (edges[2:] - edges[:-2])) if area else filters).astype(np.float32)


def _htk(hertz):
    return 2595 * np.log10(1 + hertz / 700)


def _from_htk(mel):
    return 700 * (10 ** (mel / 2595) - 1)


_LINEAR, _KNEE, _STEP = 200 / 3, 1000.0, math.log(6.4) / 27  # Hz a mel below the knee; above, the logarithm of a step


def _slaney(hertz):
    return np.where(hertz < _KNEE, hertz / _LINEAR, _KNEE / _LINEAR + np.log(np.maximum(hertz, _KNEE) / _KNEE) / _STEP)


def _from_slaney(mel):
    return np.where(mel < _KNEE / _LINEAR, mel * _LINEAR, _KNEE * np.exp(_STEP * (mel - _KNEE / _LINEAR)))


_SCALES = {"slaney": (_slaney, _from_slaney), "htk": (_htk, _from_htk)}


def _fft_size(n_fft: int | None, window: int, hop: int) -> int:
    if window < 1 or hop < 1:
        raise ValueError(f"window {window} and hop {hop} must be at least one sample")
    size = 1 << (window - 1).bit_length() if n_fft is None else n_fft
    if size < window:
        raise ValueError(f"n_fft {size} is below window {window}")
    return size


def _hann(points: int) -> np.ndarray:
    """Hann's window with zeros at both ends."""
    if points == 1:
        return np.ones(1, np.float32)
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(points) / (points - 1))).astype(np.float32)


def _frames(waveform: jax.Array, size: int, hop: int) -> jax.Array:
    """[T] -> [1 + (T - size) // hop, size]."""
    starts = np.arange(1 + (waveform.shape[0] - size) // hop) * hop
    return waveform[starts[:, None] + np.arange(size)[None, :]]


def _energies(frames: jax.Array, n_fft: int, filters: np.ndarray) -> jax.Array:
    """Windowed frames [frames, samples] -> what each filter lets through of their power spectra [frames, mels]."""
    spectrum = jnp.fft.rfft(frames, n=n_fft, axis=1)
    return _matmul(spectrum.real**2 + spectrum.imag**2, filters)


def _matmul(x: jax.Array, matrix: np.ndarray) -> jax.Array:
    # Accelerators multiply float32 in fewer bits by default.
    return jnp.matmul(x, jnp.asarray(matrix, jnp.float32), precision=jax.lax.Precision.HIGHEST)
