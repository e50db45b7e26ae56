"""Likelihoods of texts by hand, and of a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import evaluate
from ssl_jax.experiment import build
from ssl_jax.experiment.scores import Scorer
from tests import tiny

CLS, SEP, PAD, MASK = 0, 1, 2, 3
TOKENS = jnp.array([[CLS, 5, 6, 5, SEP], [CLS, 7, SEP, PAD, PAD]])


def neighbourly(views):
    """A model that gives the sum of the tokens that it sees, plus 1, to the token of the same number as logits."""
    seen = jnp.where(views["tokens"] == MASK, 0, views["tokens"]).sum(1)
    hidden = jnp.sum(views["tokens"] == MASK, axis=1)
    return (jnp.arange(10)[None] * (seen + 1)[:, None] / 100 * hidden[:, None])[:, None, :]


def test_each_token_is_guessed_from_all_others_with_itself_masked():
    total, count = evaluate.masked_log_likelihoods(
        neighbourly, {"tokens": TOKENS}, mask_id=MASK, special_ids=(CLS, SEP, PAD, MASK)
    )
    np.testing.assert_array_equal(count, [3, 1])

    def chance(token, others):
        logits = np.arange(10) * (sum(others) + 1) / 100
        return logits[token] - np.log(np.exp(logits).sum())

    by_hand = [
        chance(5, [CLS, 6, 5, SEP]) + chance(6, [CLS, 5, 5, SEP]) + chance(5, [CLS, 5, 6, SEP]),
        chance(7, [CLS, SEP, PAD, PAD]),
    ]
    np.testing.assert_allclose(total, by_hand, rtol=1e-5)


def test_each_token_is_guessed_from_those_before_it():
    logits = jax.random.normal(jax.random.key(0), (2, 4, 10))
    views = {"targets": TOKENS[:, 1:], "weights": (TOKENS[:, 1:] != PAD).astype(jnp.float32)}
    total, count = evaluate.next_log_likelihoods(logits, views)
    chances = np.asarray(jax.nn.log_softmax(logits))
    by_hand = sum(chances[1, place, token] for place, token in enumerate([7, SEP]))
    np.testing.assert_allclose(total[1], by_hand, rtol=1e-6)
    np.testing.assert_array_equal(count, [4, 2])


@pytest.mark.parametrize("method, name", [("roberta", "pseudo_perplexity"), ("next_token", "perplexity")])
def test_an_untrained_network_finds_all_tokens_about_as_likely(method, name, data_dir):
    config = tiny.config(method, evaluate=dict(likelihood_limit=7, batch_size=4))
    experiment = build(config, data_dir=data_dir)
    found = Scorer(experiment).likelihood(experiment.initial_state())
    assert set(found) == {name} and found[name] == pytest.approx(512, rel=0.1)
