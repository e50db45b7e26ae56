"""Views of recordings: shapes, what is random, padding, settings."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import augment

SPEC = types.SimpleNamespace(shapes={"waveform": (8000,), "length": ()}, sample_rate=8000)
NAMES = ["waveform", "log_mel", "log_mel_frames"]
LOUD = dict(speed=(0.9, 1.1), gain=(-6.0, 6.0), noise=(5.0, 15.0))


def example(length=6000, behind=0, seed=0):
    pcm = np.random.default_rng(seed).integers(-8000, 8000, 8000, np.int16)
    pcm[length:] = behind
    return {"waveform": jnp.asarray(pcm), "length": jnp.int32(length), "label": jnp.int32(1)}


def arrays(view):
    return {"image": view} if not isinstance(view, dict) else view


@pytest.mark.parametrize("name", NAMES)
def test_shapes(name):
    view = augment.VIEWS[name](SPEC, seconds=0.5)
    for made in (view.train(jax.random.key(0), example()), view.evaluate(example())):
        made = arrays(made)
        key = {"waveform": "waveform", "log_mel": "image", "log_mel_frames": "frames"}[name]
        assert made[key].shape == view.shape and made[key].dtype == jnp.float32
        if view.gives != "image":
            assert made["length"].dtype == jnp.int32 and made["length"] == made[key].shape[0]
    assert view.gives == key


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({}, (100, 64, 1)),
        (dict(mels=40, hop=20.0), (50, 40, 1)),
        (dict(frames=96, seconds=0.5, window=50.0), (96, 64, 1)),
        (dict(scale="kaldi", mels=32), (98, 32, 1)),
        (dict(scale="kaldi", mels=32, frames=112), (112, 32, 1)),
    ],
)
def test_shapes_of_pictures(settings, shape):
    view = augment.LogMelView(SPEC, **settings)
    assert view.shape == shape and view.evaluate(example()).shape == shape


@pytest.mark.parametrize("name", NAMES)
def test_views_are_random_finite_and_repeatable(name):
    view = augment.VIEWS[name](SPEC, seconds=0.5, **LOUD)
    train = jax.jit(lambda key, example: next(iter(arrays(view.train(key, example)).values())))
    first, again, other = (np.asarray(train(jax.random.key(seed), example())) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.all(np.isfinite(first)) and np.abs(first - other).max() > 0.05


@pytest.mark.parametrize("settings", [{}, LOUD])
@pytest.mark.parametrize("length", [0, 700, 6000])
@pytest.mark.parametrize("name", NAMES)
def test_what_lies_behind_the_end_changes_nothing(name, length, settings):
    view = augment.VIEWS[name](SPEC, **settings)
    for made in (lambda x: view.train(jax.random.key(3), x), view.evaluate):
        silent, garbage = (arrays(made(example(length, behind=behind))) for behind in (0, 20_000))
        for key in silent:
            np.testing.assert_array_equal(silent[key], garbage[key])


@pytest.mark.parametrize("name", ["log_mel", "log_mel_frames", "byol_a"])
def test_a_short_recording_can_be_repeated_so_that_nothing_is_padding(name):
    view = augment.VIEWS[name](SPEC, short="repeat")
    picture = lambda made: np.asarray(next(iter(arrays(made).values()))).reshape(view.shape)
    whole, garbage = (picture(view.evaluate(example(3000, behind=behind))) for behind in (0, 20_000))
    np.testing.assert_array_equal(whole, garbage)
    pcm = np.resize(np.asarray(example(3000)["waveform"])[:3000], 8000)
    np.testing.assert_array_equal(whole, picture(view.evaluate(example(8000) | {"waveform": jnp.asarray(pcm)})))
    assert (whole.std(axis=1) > 0.1).all(), "no frame of zeros"
    if name != "byol_a":  # whose crops of a longer canvas have zeros around
        assert (picture(view.train(jax.random.key(0), example(3000))).std(axis=1) > 0.1).all()


@pytest.mark.parametrize("settings", [{}, dict(mean=-5.0, std=4.0), dict(scale="kaldi")])
def test_pictures_are_normalised_and_0_behind_the_end(settings):
    view = augment.LogMelFramesView(SPEC, **settings)
    made = view.evaluate(example(4000))
    real = int(made["length"])
    assert real == (48 if "scale" in settings else 51)
    frames = np.asarray(made["frames"])
    assert not frames[real:].any()
    if "mean" not in settings:
        np.testing.assert_allclose([frames[:real].mean(), frames[:real].std()], [0, 1], atol=1e-3)
    else:
        whole = np.asarray(augment.LogMelView(SPEC, mean=0.0, std=1.0).evaluate(example(4000)))[:real, :, 0]
        np.testing.assert_allclose(frames[:real], (whole + 5) / 4, atol=1e-5)


def test_evaluation_is_the_beginning_and_training_any_stretch():
    view = augment.WaveformView(SPEC, seconds=0.25, standardize=False)
    samples = np.asarray(example()["waveform"]) / 32768
    np.testing.assert_allclose(view.evaluate(example())["waveform"], samples[:2000], atol=1e-6)
    drawn = np.asarray(view.train(jax.random.key(5), example())["waveform"])
    places = [start for start in range(6001) if np.array_equal(drawn, samples[start : start + 2000].astype(np.float32))]
    assert len(places) == 1 and 0 < places[0] <= 4000


def test_masks_hide_frames_and_bands():
    view = augment.LogMelView(SPEC, frequency_masks=1, time_masks=1, frequency_width=20, time_width=40)
    plain = augment.LogMelView(SPEC)
    keys = jax.random.split(jax.random.key(0), 20)
    hidden = [np.asarray(view.train(key, example(8000))) == 0 for key in keys]
    assert all((np.asarray(plain.train(key, example(8000))) == 0).mean() < 0.01 for key in keys[:3])
    assert max(mask.all(axis=(1, 2)).sum() for mask in hidden) > 20
    assert max(mask.all(axis=(0, 2)).sum() for mask in hidden) > 10


def test_pictures_can_be_looked_at():
    shown = augment.LogMelView(SPEC).displayable(augment.LogMelView(SPEC).evaluate(example()))
    assert 0 <= shown.min() and shown.max() <= 1 and shown.std() > 0.05


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("waveform", dict(seconds=2.0), "seconds 2.0: a view must have some, and config.data.seconds gives 1"),
        ("waveform", dict(seconds=0.0), "seconds 0.0: a view must have some"),
        ("waveform", dict(speed=(0.0, 1.0)), r"speed \(0.0, 1.0\) is not positive"),
        ("waveform", dict(gain=(3.0, -3.0)), r"gain \(3.0, -3.0\) is not a range"),
        ("waveform", dict(noise=(1.0,)), r"noise \(1.0,\) is not a range"),
        ("log_mel", dict(short="loop"), "short 'loop' is not 'zeros' or 'repeat'"),
        ("byol_a", dict(short="loop"), "short 'loop' is not 'zeros' or 'repeat'"),
        ("log_mel", dict(scale="mel"), "scale 'mel' is not 'slaney', 'htk' or 'kaldi'"),
        ("log_mel", dict(scale="kaldi", n_fft=512), "n_fft 512: Kaldi's is the power of 2"),
        ("log_mel", dict(mean=1.0), "mean 1.0 and std None: give both"),
        ("log_mel", dict(mean=1.0, std=0.0), "std 0.0 is not positive"),
        ("log_mel", dict(frames=0), "frames 0 is below 1"),
        ("log_mel", dict(time_masks=-1), "time_masks -1 is negative"),
        ("log_mel", dict(time_share=0.0), r"time_share 0.0 is not in \(0, 1\]"),
        ("log_mel_frames", dict(high=5000.0), "low 60.0 and high 5000.0 Hz are not"),
    ],
)
def test_impossible_settings(name, settings, message):
    with pytest.raises(ValueError, match=message):
        augment.VIEWS[name](SPEC, **settings)


def test_pictures_are_no_sound():
    with pytest.raises(ValueError, match="set config.data.modality to 'audio'"):
        augment.WaveformView(types.SimpleNamespace(shapes={"image": (8, 8, 1)}))
    with pytest.raises(ValueError, match="set config.data.modality to 'image'"):
        augment.AffineView(SPEC)
