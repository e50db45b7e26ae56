"""CLAP: sounds and texts find each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.errors import UserError
from ssl_jax.experiment import build
from ssl_jax.experiment.scores import Scorer
from ssl_jax.models import matching
from tests import probe, tiny


@pytest.fixture(scope="module")
def made(data_dir):
    return probe.made("clap", data_dir)


def test_loss_is_equation_5_of_both_towers(made):
    method, views = made
    sounds = method.sound_map(method.backbone(views["image"]))
    attend = views["tokens"] != method.pad_id
    texts = method.text_map(method.text(views["tokens"], jnp.zeros_like(views["tokens"]), attend)[:, 0])
    unit = lambda x: x / jnp.linalg.norm(x, axis=1, keepdims=True)
    logits = unit(sounds) @ unit(texts).T * jnp.exp(method.log_scale[...])
    there, back = (jnp.diag(jax.nn.log_softmax(x, axis=1)).mean() for x in (logits, logits.T))
    np.testing.assert_allclose(probe.loss(method, views, train=False), -(there + back) / 2, rtol=1e-4)


def test_every_parameter_learns(made):
    probe.check_gradients(*made)


def test_what_is_padding_in_a_text_changes_nothing(made):
    method, _ = made
    tokens = np.full((2, 8), method.pad_id, np.int32)
    tokens[:, :3] = 7, 9, 8
    read = lambda tokens: np.asarray(method.read(jnp.asarray(tokens)))
    short = read(tokens[:, :5])
    np.testing.assert_allclose(read(tokens), short, atol=1e-5)


def test_the_temperature_is_learnt_and_stays_above_a_hundredth(data_dir):
    for temperature in (0.1, 0.007):
        method, views = probe.made("clap", data_dir, temperature=temperature)
        _, metrics = method.loss(views, probe.KEY, train=False)
        np.testing.assert_allclose(metrics["temperature"], max(temperature, 0.01), rtol=1e-5)
        assert probe.gradients(method, views)["log_scale"] != 0
    method.log_scale[...] += 1.0
    method.follow(jnp.int32(0))
    np.testing.assert_allclose(method.loss(views, probe.KEY, train=False)[1]["temperature"], 0.01, rtol=1e-5)
    method.log_scale[...] -= 1.0
    method.follow(jnp.int32(0))
    np.testing.assert_allclose(method.log_scale[...], np.log(100) - 1, rtol=1e-5)


def test_retrieval_counts_any_of_equal_texts():
    sounds, texts = jnp.eye(4), jnp.eye(4)[jnp.array([1, 0, 2, 3])]
    tokens = jnp.array([[5, 1], [5, 1], [5, 2], [5, 3]])
    found = lambda share, chance: {
        f"{way}{name}": value
        for way in ("sound_to_text", "text_to_sound")
        for name, value in (("", share), ("_chance", chance))
    }
    assert matching.retrieved("sound", sounds, texts, tokens) == found(1.0, 6 / 16)
    other = jnp.array([[5, 1], [5, 4], [5, 2], [5, 3]])
    assert matching.retrieved("sound", sounds, texts, other) == found(0.5, 4 / 16)


def test_blocks_change_nothing(made, data_dir):
    method, views = made
    blocks, _ = probe.made("clap", data_dir, block_size=8)
    np.testing.assert_allclose(
        probe.loss(blocks, views, train=False), probe.loss(method, views, train=False), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (dict(data=dict(text_key=None)), "'clap' learns from sounds and texts: set config.data.text_key"),
        (dict(method=dict(temperature=0.0)), "config.method.temperature: .*0.0 must be positive|temperature 0.0"),
        (dict(method=dict(joint_width=0)), "joint_width 0 is below 1"),
    ],
)
def test_what_does_not_fit(parts, message, data_dir):
    method = parts.pop("method", {})
    with pytest.raises(UserError, match=message):
        probe.made("clap", data_dir, parts, **method)


def test_retrieval_over_the_test_split_is_a_task(data_dir):
    config = tiny.config("clap", evaluate=dict(tasks=("retrieval",), diagnostics=False))
    experiment = build(config, data_dir=data_dir)
    scorer, state = Scorer(experiment), experiment.initial_state()
    matched = scorer.matched(state, ("retrieval",))
    assert (matched.kind, matched.names, matched.classes) == ("sound", ("text",), None)
    assert matched.texts.shape == (64, 1, 8) and matched.tokens.shape == (64, 1, 8)
    method, batch = experiment.module(state), experiment.data.eval.read(np.arange(64))
    np.testing.assert_allclose(matched.examples, method.project(batch), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(matched.texts[:, 0], method.project_texts(batch["tokens"]), rtol=1e-4, atol=1e-5)
    scores = scorer.full(state)
    assert 0 <= scores["sound_to_text_top_1"] <= scores["sound_to_text_top_10"] <= 1
    assert 1 / 64 <= scores["text_to_sound_top_1_chance"] < 0.1


def test_it_learns_pairs(made):
    """On one batch the loss falls far below that of sounds and texts that are all alike."""
    method, views = made
    assert probe.descended(method, views, apart=("log_scale",)) < np.log(len(views["tokens"])) / 2
