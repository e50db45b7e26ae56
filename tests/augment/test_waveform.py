"""What is done to samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.augment import waveform


def noise(length, size, seed=0):
    samples = np.zeros(size, np.float32)
    samples[:length] = np.random.default_rng(seed).normal(size=length)
    return jnp.asarray(samples)


def test_samples_are_scaled_and_silent_behind_the_end():
    pcm = jnp.array([-32768, 16384, 0, 99, -99], jnp.int16)
    np.testing.assert_array_equal(waveform.to_samples(pcm, 3), [-1, 0.5, 0, 0, 0])
    np.testing.assert_array_equal(waveform.to_samples(jnp.array([0.5, 2.0, 7.0]), 2), [0.5, 2, 0])
    with pytest.raises(ValueError, match="samples must be int16 or floats"):
        waveform.to_samples(pcm.astype(jnp.int32), 3)


def test_standardized_samples_have_mean_0_and_variance_1():
    samples = noise(50, 80) * 3 + jnp.where(jnp.arange(80) < 50, 5.0, 0.0)
    done = np.asarray(waveform.standardize(samples, 50))
    np.testing.assert_allclose([done[:50].mean(), done[:50].var()], [0, 1], atol=1e-5)
    assert not done[50:].any()
    np.testing.assert_array_equal(waveform.standardize(jnp.zeros(8), 0), 0)


def test_stretches_begin_anywhere_they_fit():
    starts = jax.vmap(lambda key: waveform.draw_start(key, 12, 8))(jax.random.split(jax.random.key(0), 500))
    counts = np.bincount(starts, minlength=5)
    assert len(counts) == 5 and counts.min() > 60  # 100 each are expected
    for length in (0, 5, 8):
        assert int(waveform.draw_start(jax.random.key(1), length, 8)) == 0


def test_a_stretch_is_cut_out():
    samples = jnp.arange(1.0, 13.0)
    cut, length = waveform.stretch(samples, 12, 4, 8)
    np.testing.assert_array_equal(cut, np.arange(5, 13))
    assert int(length) == 8
    cut, length = waveform.stretch(waveform.silent_behind(samples, 6), 6, 0, 8)
    np.testing.assert_array_equal(cut, [1, 2, 3, 4, 5, 6, 0, 0])
    assert int(length) == 6


def test_a_recording_is_repeated_until_it_fills():
    samples, length = waveform.repeated(jnp.array([1.0, 2.0, 3.0, 0, 0, 0, 0]), jnp.int32(3))
    np.testing.assert_array_equal(samples, [1, 2, 3, 1, 2, 3, 1])
    assert length == 7
    silence, length = waveform.repeated(jnp.zeros(4), jnp.int32(0))
    assert length == 0 and not silence.any()


def test_twenty_decibels_are_a_factor_of_ten():
    np.testing.assert_allclose(waveform.gain(jnp.array([1.0, -2.0]), 20.0), [10, -20], rtol=1e-6)
    np.testing.assert_allclose(waveform.gain(jnp.array([1.0, -2.0]), -20.0), [0.1, -0.2], rtol=1e-6)


@pytest.mark.parametrize("ratio", [0.0, 10.0, 20.0])
def test_noise_has_the_power_that_is_asked_for(ratio):
    samples = noise(9000, 10_000) * 0.3
    added = np.asarray(waveform.white_noise(jax.random.key(0), samples, 9000, ratio) - samples)
    assert not added[9000:].any()
    measured = 10 * np.log10(np.mean(np.asarray(samples)[:9000] ** 2) / np.mean(added[:9000] ** 2))
    assert abs(measured - ratio) < 0.3  # 4 deviations: the power of 9,000 samples is known to 1.5 %


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_a_tone_played_faster_is_higher(factor):
    time = np.arange(4000)
    samples = waveform.silent_behind(jnp.asarray(np.sin(2 * np.pi * 0.05 * time), jnp.float32), 3000)
    played, length = waveform.change_speed(samples, 3000, factor)
    assert int(length) == min(4000, int(np.ceil(3000 / factor))) and not np.asarray(played)[int(length) :].any()
    middle = slice(100, int(length) - 100)
    np.testing.assert_allclose(played[middle], np.sin(2 * np.pi * 0.05 * factor * time)[middle], atol=0.02)


def test_what_would_fold_is_filtered_out():
    """0.45 of the sample rate, played 1.5 times as fast, is above half of it."""
    whistle = jnp.asarray(np.sin(2 * np.pi * 0.45 * np.arange(4000)), jnp.float32)
    played, length = waveform.change_speed(whistle, 4000, 1.5)
    assert np.abs(np.asarray(played)[100 : int(length) - 100]).max() < 0.1
