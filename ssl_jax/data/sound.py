"""Sound as 16-bit samples of one channel."""

import math

import numpy as np

_LOUDEST = 2**15 - 1


def is_sound(feature) -> bool:
    """Whether a TFDS feature holds samples: an Audio, or a Tensor of any length of 16-bit integers."""
    import tensorflow_datasets as tfds

    if isinstance(feature, tfds.features.Audio):
        return True
    return type(feature) is tfds.features.Tensor and feature.shape == (None,) and feature.np_dtype == np.int16


def to_pcm(samples: np.ndarray) -> np.ndarray:
    """Samples as a record holds them, int16 [samples].

    Args:
      samples: [samples] or [samples, channels], of which the mean is taken: integers of 16 bits in any type, or floats
        in -1..1.

    Raises:
      ValueError: values beyond, or of another type.
    """
    if samples.ndim not in (1, 2) or samples.dtype.kind not in "iuf":
        raise ValueError(f"{samples.dtype} {samples.shape} is not [samples] or [samples, channels]")
    scale, least, most = (_LOUDEST, -1, 1) if samples.dtype.kind == "f" else (1, -_LOUDEST - 1, _LOUDEST)
    low, high = samples.min(initial=0), samples.max(initial=0)
    if not least <= low <= high <= most:
        raise ValueError(f"its values go from {low} to {high}, not {least} to {most}")
    if samples.ndim == 1 and scale == 1:
        return samples.astype(np.int16)
    mono = samples.astype(np.float64) if samples.ndim == 1 else samples.mean(axis=1, dtype=np.float64)
    return np.round(mono * scale).astype(np.int16)


def resample(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Resamples int16 [samples] from `rate` to `wanted` Hz, rounded; `scipy.signal.resample_poly` with its own filter.

    Returns:
      int16 [ceil(samples * wanted / rate)]; what the filter makes louder than 16 bits can say is clipped.
    """
    if rate == wanted or not len(samples):
        return samples
    from scipy import signal

    divisor = math.gcd(rate, wanted)
    resampled = signal.resample_poly(samples.astype(np.float64), wanted // divisor, rate // divisor)
    return np.clip(np.round(resampled), -_LOUDEST - 1, _LOUDEST).astype(np.int16)
