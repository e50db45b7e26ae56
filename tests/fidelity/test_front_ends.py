"""Front ends of sound against librosa and torchaudio."""

import sys
import types

import jax
import numpy as np
import pytest

from ssl_jax import augment

torch = pytest.importorskip("torch")
librosa = pytest.importorskip("librosa")

RATES = (8000, 16000)


def _torchaudio():
    """torchaudio, whose front ends are Python alone, without its compiled library, which is for another torch."""
    pytest.importorskip("torchaudio.version")
    extension = types.ModuleType("torchaudio._extension")
    extension.fail_if_no_align = lambda function: function
    extension._check_cuda_version = lambda: None
    extension._IS_ALIGN_AVAILABLE = extension._IS_TORCHAUDIO_EXT_AVAILABLE = False
    sys.modules["torchaudio._extension"] = extension
    import torchaudio
    import torchaudio.compliance.kaldi

    return torchaudio


@pytest.fixture(scope="module")
def torchaudio():
    if "torchaudio" in sys.modules and "torchaudio._extension" in sys.modules:
        return sys.modules["torchaudio"]
    for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
        del sys.modules[name]
    return _torchaudio()


def sound(rate):
    """Noise, a rising tone, and a pause between them."""
    time = np.arange(rate // 2) / rate
    tone = 0.3 * np.sin(2 * np.pi * (200 + 1500 * time) * time)
    noise = np.random.default_rng(rate).normal(0, 0.1, rate // 2)
    return np.concatenate([noise, np.zeros(rate // 10), tone]).astype(np.float32)


def frames(rate):
    return dict(sample_rate=rate, window=rate // 40, hop=rate // 100)


@pytest.mark.parametrize("area", [True, False])
@pytest.mark.parametrize("scale", ["slaney", "htk"])
@pytest.mark.parametrize("rate", RATES)
def test_filters_are_those_of_librosa(rate, scale, area):
    theirs = librosa.filters.mel(
        sr=rate, n_fft=512, n_mels=40, fmin=50, htk=scale == "htk", norm="slaney" if area else None
    )
    ours = augment.mel_filters(rate, 512, 40, low=50.0, scale=scale, area=area)
    np.testing.assert_allclose(ours.T, theirs, atol=1e-6 * theirs.max())


@pytest.mark.parametrize("scale", ["slaney", "htk"])
@pytest.mark.parametrize("rate", RATES)
def test_log_mel_is_that_of_librosa(rate, scale):
    wave = sound(rate)
    sizes = dict(sr=rate, n_fft=512, win_length=rate // 40, hop_length=rate // 100, n_mels=40, fmin=50)
    theirs = np.log(np.maximum(librosa.feature.melspectrogram(y=wave, htk=scale == "htk", **sizes), 1e-10)).T
    ours = jax.jit(lambda w: augment.log_mel(w, n_fft=512, mels=40, low=50.0, scale=scale, **frames(rate)))(wave)
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    loud = theirs > -10
    np.testing.assert_allclose(np.asarray(ours)[loud], theirs[loud], atol=1e-4)


@pytest.mark.parametrize("rate", RATES)
def test_cepstra_are_those_of_librosa(rate):
    wave = sound(rate)
    mels = librosa.feature.melspectrogram(
        y=wave, sr=rate, n_fft=512, win_length=rate // 40, hop_length=rate // 100, n_mels=40
    )
    theirs = librosa.feature.mfcc(S=librosa.power_to_db(mels, top_db=None), n_mfcc=13).T
    ours = augment.cepstra(augment.log_mel(wave, n_fft=512, mels=40, decibels=True, **frames(rate)), 13)
    np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(theirs).max())


def test_deltas_are_those_of_librosa():
    values = np.random.default_rng(0).normal(size=(30, 13)).astype(np.float32)
    theirs = librosa.feature.delta(values.T, width=5, mode="nearest").T
    np.testing.assert_allclose(augment.deltas(values), theirs, atol=1e-5)


@pytest.mark.parametrize("rate", RATES)
def test_log_mel_is_that_of_torchaudio(rate, torchaudio):
    wave = sound(rate)
    sizes = dict(n_fft=512, win_length=rate // 40, hop_length=rate // 100, n_mels=40, f_min=50.0)
    make = torchaudio.transforms.MelSpectrogram(rate, pad_mode="constant", **sizes)
    theirs = np.log(np.maximum(make(torch.tensor(wave)).numpy().T, 1e-10))
    ours = augment.log_mel(wave, n_fft=512, mels=40, low=50.0, scale="htk", area=False, **frames(rate))
    loud = theirs > -8
    assert loud.mean() > 0.5
    np.testing.assert_allclose(np.asarray(ours)[loud], theirs[loud], atol=1e-3)


@pytest.mark.parametrize(("shape", "called"), [("povey", "povey"), ("hann", "hanning")])
@pytest.mark.parametrize("rate", RATES)
def test_kaldi_log_mel_is_that_of_torchaudio(rate, shape, called, torchaudio):
    wave = sound(rate)
    settings = dict(sample_frequency=rate, num_mel_bins=23, window_type=called, dither=0.0)
    theirs = torchaudio.compliance.kaldi.fbank(torch.tensor(wave)[None], **settings).numpy()
    ours = jax.jit(lambda w: augment.kaldi_log_mel(w, mels=23, shape=shape, **frames(rate)))(wave)
    np.testing.assert_allclose(ours, theirs, atol=2e-3)
    loud = theirs > -8
    np.testing.assert_allclose(np.asarray(ours)[loud], theirs[loud], atol=1e-4)


@pytest.mark.parametrize("rate", RATES)
def test_cepstra_and_deltas_are_those_of_torchaudio(rate, torchaudio):
    """13 cepstra with their deltas, and the deltas of those, as HuBERT's first targets have them."""
    wave = np.random.default_rng(1).normal(0, 0.1, rate).astype(np.float32)
    theirs = torchaudio.compliance.kaldi.mfcc(torch.tensor(wave)[None], sample_frequency=rate, dither=0.0).T
    slopes = torchaudio.functional.compute_deltas(theirs)
    theirs = torch.cat([theirs, slopes, torchaudio.functional.compute_deltas(slopes)]).T.numpy()
    cepstra = augment.cepstra(augment.kaldi_log_mel(wave, mels=23, **frames(rate)), 13, lifter=22.0)
    slopes = augment.deltas(cepstra)
    ours = np.concatenate([cepstra, slopes, augment.deltas(slopes)], axis=1)
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
