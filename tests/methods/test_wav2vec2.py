"""wav2vec 2.0's masks, temperatures and settings; its loss is compared in tests/fidelity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import sounds

METHOD = sounds.method("wav2vec2")
VIEWS = sounds.views(METHOD)


def test_hidden_frames_are_real_and_distractors_are_other_hidden_frames():
    mask, negatives = np.asarray(VIEWS["mask"]), np.asarray(VIEWS["negatives"])
    frames = np.asarray(METHOD.backbone.frames(VIEWS["length"]))
    assert mask.sum() > 0 and not mask[np.arange(mask.shape[1])[None] >= frames[:, None]].any()
    for row in range(len(mask)):
        hidden = np.flatnonzero(mask[row])
        for place in hidden if len(hidden) > 1 else ():
            assert set(negatives[row, place]) <= set(hidden) - {place}


def test_what_lies_behind_the_end_changes_nothing():
    heard = sounds.batch()
    behind = jnp.arange(sounds.SAMPLES)[None] >= heard["length"][:, None]
    noisy = heard | {"waveform": jnp.where(behind, jnp.int16(9000), heard["waveform"])}
    clean, dirty = (sounds.loss(METHOD, sounds.views(METHOD, each))[0] for each in (heard, noisy))
    np.testing.assert_allclose(clean, dirty, rtol=1e-6)


def test_temperature_comes_down_by_its_factor_to_its_end():
    method = sounds.method("wav2vec2", gumbel_start=2.0, gumbel_end=0.5, gumbel_decay=0.999995)
    for done, expected in ((0, 2.0), (1, 1.99999), (100_000, 2 * 0.999995**100_000), (400_000, 0.5)):
        if done:
            method.follow(jnp.int32(done - 1))
        np.testing.assert_allclose(method.gumbel_temperature(), expected, rtol=1e-6)


def test_codes_are_drawn_in_training_alone():
    losses = [sounds.loss(METHOD, VIEWS, train=train)[1]["code_perplexity"] for train in (True, False, False)]
    assert losses[0] != losses[1] and losses[1] == losses[2]


def test_penalty_is_the_mean_square_of_features():
    plain, squared = (sounds.method("wav2vec2", feature_penalty=penalty) for penalty in (0.0, 2.0))
    added = sounds.loss(squared, VIEWS, train=False)[0] - sounds.loss(plain, VIEWS, train=False)[0]
    raw = np.asarray(jax.jit(plain.backbone.convolve)(VIEWS["waveform"], VIEWS["length"]))
    frames = np.asarray(plain.backbone.frames(VIEWS["length"]))
    real = raw[np.arange(raw.shape[1])[None] < frames[:, None]]
    np.testing.assert_allclose(added, 2 * np.mean(np.square(real)), rtol=1e-3)


def test_layers_end_with_the_embedding():
    layers, whole = (jax.jit(embed)(sounds.batch()) for embed in (METHOD.embed_layers, METHOD.embed))
    assert layers.shape == (6, 2, 16)
    np.testing.assert_allclose(layers[:, -1], whole, atol=1e-5)


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(gumbel_start=0.4), "gumbel_start 0.4 is below gumbel_end 0.5"),
        (dict(start_rate=0.0), "start_rate 0.0 is not in 0 < start_rate <= 1"),
        (dict(negatives=0), "negatives 0 is below 1"),
        (dict(code_width=7), "width 7 is not divisible by groups 2"),
        (dict(code_start="zeros"), "start 'zeros' is not one of uniform, normal"),
        (dict(temperature=0.0), "temperature 0.0 must be positive"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        sounds.method("wav2vec2", **settings)
