"""What is done to the samples of one recording. Whatever lies behind its end is silent afterwards."""

import jax
import jax.numpy as jnp
import numpy as np

_LOUDEST = 2**15
_VARIANCE_FLOOR = 1e-7
_TAPS = 8  # samples on each side that a resampled one is made of


def to_samples(waveform: jax.Array, length: jax.Array) -> jax.Array:
    """Samples as float32 in -1..1, and 0 behind the end.

    Args:
      waveform: [T]; int16 is divided by 32768, floats are taken to be in that range already.
      length: how many samples are real.

    Raises:
      ValueError: the samples are other integers, whose range is not known.
    """
    if waveform.dtype == jnp.int16:
        waveform = waveform.astype(jnp.float32) * (1 / _LOUDEST)
    elif not jnp.issubdtype(waveform.dtype, jnp.floating):
        raise ValueError(f"samples must be int16 or floats (-1..1), not {waveform.dtype}")
    return silent_behind(waveform.astype(jnp.float32), length)


def silent_behind(waveform: jax.Array, length: jax.Array) -> jax.Array:
    """The waveform [T] with 0 from sample `length` on."""
    return jnp.where(jnp.arange(waveform.shape[0]) < length, waveform, 0)


def standardize(waveform: jax.Array, length: jax.Array) -> jax.Array:
    """Mean 0 and variance 1 over the real samples, as wav2vec 2.0 has its input; 1e-7 is added to the variance."""
    count = jnp.maximum(length, 1)
    centred = silent_behind(waveform - jnp.sum(silent_behind(waveform, length)) / count, length)
    return centred * jax.lax.rsqrt(jnp.sum(centred**2) / count + _VARIANCE_FLOOR)


def draw_start(key: jax.Array, length: jax.Array, size: int) -> jax.Array:
    """The first sample of a stretch of `size` samples, uniform among those from which it fits; 0 if none fits."""
    places = jnp.maximum(length - size, 0) + 1
    return jnp.minimum(jnp.floor(jax.random.uniform(key) * places).astype(jnp.int32), places - 1)


def stretch(waveform: jax.Array, length: jax.Array, start: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """`size` samples from `start` on, 0 behind the end, and how many of them are real."""
    padded = jnp.pad(waveform, (0, size))
    return jax.lax.dynamic_slice(padded, (start,), (size,)), jnp.clip(length - start, 0, size)


def repeated(waveform: jax.Array, length: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The real samples over and over until they fill [T], and T; silence stays silence of length 0."""
    size = waveform.shape[0]
    return waveform[jnp.arange(size) % jnp.maximum(length, 1)], jnp.where(length > 0, size, 0)


def gain(waveform: jax.Array, decibels: jax.Array) -> jax.Array:
    """The waveform louder by so many decibels: 20 are a factor of 10. It is not clipped."""
    return waveform * 10 ** (decibels / 20)


def white_noise(key: jax.Array, waveform: jax.Array, length: jax.Array, ratio: jax.Array) -> jax.Array:
    """Adds Gaussian noise over the real samples.

    Args:
      key: of the noise.
      waveform: float [T], 0 behind the end.
      length: how many samples are real.
      ratio: of the power of the signal to that of the noise, in decibels: 20 makes the noise's a hundredth.

    Returns:
      float32 [T].
    """
    power = jnp.sum(waveform**2) / jnp.maximum(length, 1)
    noise = jax.random.normal(key, waveform.shape) * jnp.sqrt(power * 10 ** (-ratio / 10))
    return waveform + silent_behind(noise, length)


def change_speed(waveform: jax.Array, length: jax.Array, factor: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Plays a recording faster, which raises its pitch, or slower (Ko et al. 2015, Audio Augmentation for Speech
    Recognition).

    Each sample is interpolated from 16 by a sinc under Hann's window, cut off below the Nyquist frequency of both.

    Args:
      waveform: float [T], 0 behind the end.
      length: how many samples are real.
      factor: 1.1 is a tenth faster; above 0.

    Returns:
      float32 [T], of which what no longer fits is cut off, and how many samples are real.
    """
    count = waveform.shape[0]
    place = jnp.arange(count) * factor
    nearest = jnp.floor(place).astype(jnp.int32)
    taps = np.arange(1 - _TAPS, _TAPS + 1)
    apart = taps[None, :] - (place - nearest)[:, None]
    cutoff = jnp.minimum(1.0, 1 / factor)
    weights = cutoff * jnp.sinc(cutoff * apart) * jnp.cos(jnp.pi * apart / (2 * _TAPS)) ** 2
    padded = jnp.pad(waveform, _TAPS)
    index = jnp.clip(nearest[:, None] + taps[None, :], -_TAPS, count + _TAPS - 1) + _TAPS
    played = jnp.minimum(jnp.ceil(length / factor).astype(jnp.int32), count)
    return silent_behind(jnp.sum(padded[index] * weights, axis=1), played), played
