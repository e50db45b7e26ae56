"""Samples of any kind to 16 bits and another rate."""

import numpy as np
import pytest

from ssl_jax.data import sound


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.array([1, -32768, 32767], np.int16), [1, -32768, 32767]),
        (np.array([1, -32768, 32767], np.int64), [1, -32768, 32767]),
        (np.array([0.0, 1.0, -1.0, 0.25], np.float32), [0, 32767, -32767, 8192]),
        (np.array([[1, 3], [-2, -6]], np.int64), [2, -4]),
        (np.array([[0.5, -0.5], [1.0, 0.0]], np.float32), [0, 16384]),
        (np.zeros(0, np.int64), []),
    ],
)
def test_samples_become_16_bits_of_one_channel(samples: np.ndarray, expected: list[int]):
    pcm = sound.to_pcm(samples)
    assert pcm.dtype == np.int16
    np.testing.assert_array_equal(pcm, expected)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.array([40_000]), "its values go from 0 to 40000, not -32768 to 32767"),
        (np.array([0.5, -1.5]), "its values go from -1.5 to 0.5, not -1 to 1"),
        (np.array([np.nan]), "its values go from nan to nan"),
        (np.zeros((2, 2, 2)), r"float64 \(2, 2, 2\) is not \[samples\]"),
        (np.array([b"RIFF"]), "is not"),
    ],
)
def test_what_is_no_sound_is_refused(samples: np.ndarray, message: str):
    with pytest.raises(ValueError, match=message):
        sound.to_pcm(samples)


@pytest.mark.parametrize(("rate", "wanted"), [(8000, 16000), (16000, 8000), (44100, 16000), (8000, 11025)])
def test_a_tone_stays_a_tone(rate: int, wanted: int):
    """440 Hz sampled at one rate and at the other: far from the ends, where the filter sees silence, they agree."""
    tone = lambda hertz: 10_000 * np.sin(2 * np.pi * 440 * np.arange(hertz // 2) / hertz)
    resampled = sound.resample(np.round(tone(rate)).astype(np.int16), rate, wanted)
    assert resampled.dtype == np.int16 and len(resampled) == -(-(rate // 2) * wanted // rate)
    middle = slice(len(resampled) // 4, 3 * len(resampled) // 4)
    np.testing.assert_allclose(resampled[middle], tone(wanted)[middle], atol=30)


def test_what_a_lower_rate_cannot_hold_is_filtered_out():
    whistle = np.round(10_000 * np.sin(2 * np.pi * 6000 * np.arange(16000) / 16000)).astype(np.int16)
    assert np.abs(sound.resample(whistle, 16000, 8000)[1000:-1000]).max() < 30


def test_the_same_rate_changes_nothing():
    samples = np.arange(-5, 5, dtype=np.int16)
    np.testing.assert_array_equal(sound.resample(samples, 8000, 8000), samples)
