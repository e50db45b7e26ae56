"""Front ends of sound, by hand; tests/fidelity/test_augment_sound.py compares them with librosa and torchaudio."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import augment

SETTINGS = dict(sample_rate=8000, window=200, hop=80, mels=20, low=100.0)


def tone(hertz, samples=4000, rate=8000):
    return jnp.asarray(np.sin(2 * np.pi * hertz * np.arange(samples) / rate), jnp.float32)


@pytest.mark.parametrize("make", [augment.log_mel, augment.kaldi_log_mel])
@pytest.mark.parametrize("hertz", [300, 1000, 2500])
def test_a_tone_is_loudest_in_the_filter_around_it(make, hertz):
    mels = make(tone(hertz), **SETTINGS)
    points = np.linspace(*(2595 * np.log10(1 + f / 700) for f in (100, 4000)), 22)
    middles = 700 * (10 ** (points[1:-1] / 2595) - 1)
    if make is augment.log_mel:
        mels = make(tone(hertz), scale="htk", **SETTINGS)
    found = middles[np.asarray(mels[20]).argmax()]
    assert abs(found - hertz) <= np.diff(middles).max() and np.argmax(mels[20]) == np.argmin(abs(middles - hertz))


def test_the_energy_of_a_frame_by_hand():
    """One frame in the middle: the discrete Fourier transform written out, and every filter's sum."""
    wave = jnp.asarray(np.random.default_rng(0).normal(size=400), jnp.float32)
    settings = dict(SETTINGS, window=100, n_fft=128)
    mels = np.asarray(augment.log_mel(wave, **settings))
    n = np.arange(128)
    window = np.where((n >= 14) & (n < 114), 0.5 - 0.5 * np.cos(2 * np.pi * (n - 14) / 100), 0)
    piece = np.asarray(wave, np.float64)[160 - 64 : 160 + 64] * window
    power = [abs(np.sum(piece * np.exp(-2j * np.pi * k * n / 128))) ** 2 for k in range(65)]
    expected = np.log(np.array(power) @ augment.mel_filters(8000, 128, 20, low=100.0))
    np.testing.assert_allclose(mels[2], expected, rtol=1e-4)


def test_shapes_and_numbers_of_frames():
    for samples in (200, 279, 280, 281, 4000):
        wave = jnp.ones(samples)
        assert augment.log_mel(wave, **SETTINGS).shape == (1 + samples // 80, 20)
        assert augment.kaldi_log_mel(wave, **SETTINGS).shape == (1 + (samples - 200) // 80, 20)
        for kaldi, make in ((False, augment.log_mel), (True, augment.kaldi_log_mel)):
            count = augment.frame_count(jnp.int32(samples), window=200, hop=80, kaldi=kaldi)
            assert int(count) == len(make(wave, **SETTINGS))
    assert int(augment.frame_count(0, window=200, hop=80)) == 0
    assert int(augment.frame_count(199, window=200, hop=80, kaldi=True)) == 0


@pytest.mark.parametrize(("make", "kaldi"), [(augment.log_mel, False), (augment.kaldi_log_mel, True)])
@pytest.mark.parametrize("length", [650, 800, 2001])
def test_silence_behind_the_end_changes_no_real_frame(make, kaldi, length):
    wave = jnp.asarray(np.random.default_rng(1).normal(size=length), jnp.float32)
    alone, padded = make(wave, **SETTINGS), make(jnp.pad(wave, (0, 4000 - length)), **SETTINGS)
    real = int(augment.frame_count(length, window=200, hop=80, kaldi=kaldi))
    assert len(alone) == real
    np.testing.assert_allclose(padded[:real], alone, atol=1e-5)


def test_silence_is_at_the_floor():
    np.testing.assert_allclose(augment.log_mel(jnp.zeros(800), floor=1e-6, **SETTINGS), np.log(1e-6), rtol=1e-6)
    np.testing.assert_allclose(augment.log_mel(jnp.zeros(800), decibels=True, **SETTINGS), -100, rtol=1e-6)
    np.testing.assert_allclose(augment.kaldi_log_mel(jnp.zeros(800), **SETTINGS), np.log(2.0**-23), rtol=1e-6)


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_filters_are_triangles_side_by_side(scale):
    filters = augment.mel_filters(16000, 1024, 30, scale=scale, area=False)
    assert filters.shape == (513, 30) and filters.min() == 0 and filters.max() <= 1
    between = slice(filters[:, 0].argmax() + 1, filters[:, -1].argmax())
    np.testing.assert_allclose(filters[between].sum(axis=1), 1, atol=1e-6)
    areas = augment.mel_filters(16000, 1024, 30, scale=scale).sum(axis=0) * 16000 / 1024
    np.testing.assert_allclose(areas[15:], 1, rtol=0.05)


def test_cepstra_by_hand():
    mels = np.random.default_rng(2).normal(size=(3, 6)).astype(np.float32)
    m, expected = np.arange(6), np.zeros((3, 4))
    for n in range(4):
        scale = np.sqrt((1 if n == 0 else 2) / 6)
        expected[:, n] = scale * (mels * np.cos(np.pi * n * (2 * m + 1) / 12)).sum(axis=1)
    np.testing.assert_allclose(augment.cepstra(jnp.asarray(mels), 4), expected, atol=1e-5)
    lifted = expected * (1 + 11 * np.sin(np.pi * np.arange(4) / 22))
    np.testing.assert_allclose(augment.cepstra(jnp.asarray(mels), 4, lifter=22.0), lifted, atol=1e-5)


def test_deltas_are_slopes_and_do_not_look_behind_the_end():
    line = jnp.arange(10.0)[:, None] * jnp.array([[1.0, -2.0]])
    slopes = augment.deltas(line)
    np.testing.assert_allclose(slopes[2:-2], np.broadcast_to([1, -2], (6, 2)), atol=1e-6)
    np.testing.assert_allclose(slopes[0], [(1 * 1 + 2 * 2) / 10, -1], atol=1e-6)  # frames -1 and -2 count as frame 0
    noisy = jnp.concatenate([line[:6], jnp.full((4, 2), 1e6)])
    np.testing.assert_allclose(augment.deltas(noisy, 6)[:6], augment.deltas(line[:6]), atol=1e-6)
    assert np.all(np.isfinite(augment.deltas(line, 0)))


def test_gradients_are_finite():
    for wave in (jnp.zeros(800), tone(440, 800)):
        for make in (augment.log_mel, augment.kaldi_log_mel):
            assert np.all(np.isfinite(jax.grad(lambda w, make=make: make(w, **SETTINGS).sum())(wave)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: augment.log_mel(jnp.zeros(800), **dict(SETTINGS, high=5e3)), "low 100.0 and high 5000.0 Hz"),
        (lambda: augment.log_mel(jnp.zeros(800), **dict(SETTINGS, low=-1.0)), "low -1.0 and high"),
        (lambda: augment.log_mel(jnp.zeros(800), **dict(SETTINGS, scale="bark")), "scale 'bark' is not one of slaney"),
        (lambda: augment.log_mel(jnp.zeros(800), **dict(SETTINGS, n_fft=128)), "n_fft 128 is below window 200"),
        (lambda: augment.log_mel(jnp.zeros(800), **dict(SETTINGS, hop=0)), "window 200 and hop 0 must be at least one"),
        (lambda: augment.log_mel(jnp.zeros(800), **dict(SETTINGS, mels=0)), "mels 0 is below 1"),
        (lambda: augment.kaldi_log_mel(jnp.zeros(100), **SETTINGS), "window 200 is longer than the 100 samples"),
        (lambda: augment.kaldi_log_mel(jnp.zeros(800), shape="box", **SETTINGS), "shape 'box' is not one of hann"),
        (lambda: augment.cepstra(jnp.zeros((3, 5)), 6), "count 6 is not between 1 and the 5 mels"),
        (lambda: augment.deltas(jnp.zeros((3, 5)), width=4), "width 4 is not an odd number from 3 on"),
    ],
)  # fmt: skip
def test_impossible_settings(call, message):
    with pytest.raises(ValueError, match=message):
        call()
