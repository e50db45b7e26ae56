"""SpecAugment: Park et al. 2019, arXiv:1904.08779."""

import jax
import jax.numpy as jnp


def spec_augment(
    key: jax.Array,
    spectrogram: jax.Array,
    frames: jax.Array,
    *,
    warp: int = 0,
    frequency_masks: int = 2,
    frequency_width: int = 27,
    time_masks: int = 2,
    time_width: int = 100,
    time_share: float = 1.0,
    value: jax.Array | float = 0.0,
) -> jax.Array:
    """Warps time, and hides bands of frequencies and stretches of time (section 2; the defaults are policy LD).

    A width is uniform in 0 to its largest value, both included, its beginning uniform among those where it fits (the
    paper's ranges leave out the largest width and the last place). Masks may overlap. Time is warped piecewise
    linearly: one frame, at least `warp` from both ends, is moved by up to `warp`; the paper's code bends a thin plate.

    Args:
      key: of this recording.
      spectrogram: float [F, mels].
      frames: how many of the F frames are real; nothing behind them changes.
      warp: W, the most frames that one is moved by; 0: time is not warped.
      frequency_masks: m_F, the number of bands.
      frequency_width: F, the most mels of a band.
      time_masks: m_T, the number of stretches.
      time_width: T, the most frames of a stretch.
      time_share: p, the most of a recording that a stretch may cover.
      value: what is put there; 0 is the mean of normalised spectrograms.

    Returns:
      As `spectrogram`.
    """
    count, mels = spectrogram.shape
    warp_key, band_key, time_key = jax.random.split(key, 3)
    if warp:
        spectrogram = _warped(warp_key, spectrogram, frames, warp)
    bands = _hidden(band_key, mels, mels, jnp.minimum(frequency_width, mels), frequency_masks)
    longest = jnp.minimum(time_width, jnp.floor(time_share * frames).astype(jnp.int32))
    stretches = _hidden(time_key, count, frames, longest, time_masks)
    real = jnp.arange(count) < frames
    return jnp.where((bands[None, :] | stretches[:, None]) & real[:, None], value, spectrogram)


def _hidden(key, size, fits, widest, masks):
    """Which of `size` places some of `masks` stretches cover, bool [size]; all lie in the first `fits`."""
    if not masks:
        return jnp.zeros(size, bool)
    width, place = jax.random.uniform(key, (2, masks))
    width = jnp.floor(width * (widest + 1)).astype(jnp.int32)
    start = jnp.floor(place * (fits - width + 1)).astype(jnp.int32)
    index = jnp.arange(size)[None, :]
    return jnp.any((index >= start[:, None]) & (index < (start + width)[:, None]), axis=0)


def _warped(key, spectrogram, frames, warp):
    """The real frames with one of them moved, and what lies between stretched and squeezed to fit."""
    place, by = jax.random.uniform(key, (2,))
    last = frames - 1
    fits = last - 2 * warp > 0
    origin = jnp.where(fits, warp + place * (last - 2 * warp), 1.0)
    target = jnp.where(fits, origin + (2 * by - 1) * warp, 1.0)
    index = jnp.arange(spectrogram.shape[0], dtype=jnp.float32)
    ahead = origin + (index - target) * (last - origin) / jnp.maximum(last - target, 1e-6)
    source = jnp.where(index < target, index * origin / jnp.maximum(target, 1e-6), ahead)
    source = jnp.where(fits & (index <= last), source, index)
    below = jnp.clip(jnp.floor(source).astype(jnp.int32), 0, spectrogram.shape[0] - 1)
    above = jnp.minimum(below + 1, jnp.where(index <= last, jnp.maximum(last, 0), spectrogram.shape[0] - 1))
    share = (source - below)[:, None]
    return spectrogram[below] * (1 - share) + spectrogram[above.astype(jnp.int32)] * share
