"""Sound as 16-bit samples of one channel, and TFDS's features of it and of videos without TensorFlow."""

import contextlib
import importlib.util
import math
import types
from collections.abc import Iterator

import numpy as np

_LOUDEST = 2**15 - 1


def is_sound(feature) -> bool:
    """Whether a TFDS feature holds samples: an Audio, or a Tensor of any length of 16-bit integers."""
    import tensorflow_datasets as tfds

    if isinstance(feature, tfds.features.Audio):
        return True
    return type(feature) is tfds.features.Tensor and feature.shape == (None,) and feature.np_dtype == np.int16


@contextlib.contextmanager
def without_tensorflow() -> Iterator[None]:
    """Lets builders describe sound and videos (`tfds.features.Audio`, `Video`) where TensorFlow is not installed.

    When they are made, these features ask TensorFlow for one name, that of a type. Of sound it is used only where that
    is decoded anew each time it is read (`lazy_decode`); sound that was decoded when it was prepared, and the pictures
    of a video, are read without TensorFlow.
    """
    if importlib.util.find_spec("tensorflow") is not None:
        yield
        return
    from tensorflow_datasets.core.features import audio_feature, video_feature

    tensorflow = audio_feature.tf, video_feature.tf
    audio_feature.tf = video_feature.tf = types.SimpleNamespace(dtypes=types.SimpleNamespace(as_dtype=np.dtype))
    try:
        yield
    finally:
        audio_feature.tf, video_feature.tf = tensorflow


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
