"""BERT's masking: what is chosen, how often, and what stands in its place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import masking

SPECIAL, MASK, VOCABULARY, LENGTH = (0, 1, 2, 3, 4), 4, 1000, 64
SETTINGS = dict(special_ids=SPECIAL, mask_id=MASK, vocab_size=VOCABULARY, max_predictions=12)


def sequence(ordinary=50):
    tokens = jnp.zeros(LENGTH, jnp.int32).at[1 : 1 + ordinary].set(jnp.arange(100, 100 + ordinary))
    return tokens.at[0].set(2).at[1 + ordinary].set(3).at[20].set(3)


def many(count, tokens, **settings):
    keys = jax.random.split(jax.random.key(0), count)
    return jax.jit(jax.vmap(lambda key: masking.bert_tokens(key, tokens, **{**SETTINGS, **settings})))(keys)


def test_what_comes_back_fits_together():
    tokens = sequence()
    hidden = jax.tree.map(np.asarray, many(200, tokens))
    columns = (hidden[name] for name in ("tokens", "positions", "targets", "weights"))
    for changed, positions, targets, weights in zip(*columns):
        used = positions[weights > 0]
        assert len(used) == 7  # 15% of 49 ordinary tokens, rounded
        assert np.all(np.diff(used) > 0) and not set(np.asarray(tokens)[used]) & set(SPECIAL)
        np.testing.assert_array_equal(targets[weights > 0], np.asarray(tokens)[used])
        untouched = np.setdiff1d(np.arange(LENGTH), used)
        np.testing.assert_array_equal(changed[untouched], np.asarray(tokens)[untouched])
        for unused in (positions, targets, weights):
            np.testing.assert_array_equal(unused[len(used) :], 0)


def test_shares_of_80_10_10():
    tokens = sequence()
    hidden = jax.tree.map(np.asarray, many(4000, tokens))
    used = hidden["weights"] > 0
    shown = np.take_along_axis(hidden["tokens"], hidden["positions"], 1)[used]
    kept = shown == hidden["targets"][used]
    n = used.sum()
    np.testing.assert_allclose((shown == MASK).mean(), 0.8 + 0.1 / VOCABULARY, atol=4.5 * np.sqrt(0.16 / n))
    np.testing.assert_allclose(kept.mean(), 0.1 + 0.1 / VOCABULARY, atol=4.5 * np.sqrt(0.09 / n))
    words = shown[(shown != MASK) & ~kept]
    np.testing.assert_allclose(words.mean(), (VOCABULARY - 1) / 2, atol=4.5 * VOCABULARY / np.sqrt(12 * len(words)))
    assert words.min() < 20 and words.max() >= VOCABULARY - 20


def test_every_position_is_as_likely():
    tokens = sequence()
    hidden = jax.tree.map(np.asarray, many(4000, tokens))
    counts = np.bincount(hidden["positions"][hidden["weights"] > 0], minlength=LENGTH) / 4000
    ordinary = ~np.isin(np.asarray(tokens), SPECIAL)
    np.testing.assert_allclose(counts[ordinary], 7 / 49, atol=4.5 * np.sqrt(7 / 49 * 42 / 49 / 4000))
    assert counts[~ordinary].sum() == 0


def test_first_and_last_positions_may_be_chosen_without_special_tokens():
    hidden = many(200, jnp.arange(100, 116, dtype=jnp.int32), max_predictions=4)
    assert {0, 15} <= set(np.asarray(hidden["positions"])[np.asarray(hidden["weights"]) > 0].tolist())


@pytest.mark.parametrize("ordinary, predictions", [(1, 1), (3, 1), (60, 9)])
def test_number_of_predictions(ordinary, predictions):
    tokens = jnp.zeros(LENGTH, jnp.int32).at[:ordinary].set(500)
    assert np.all(many(20, tokens)["weights"].sum(1) == predictions)


def test_no_more_than_max_predictions():
    assert np.all(many(20, jnp.full(LENGTH, 500), max_predictions=3)["weights"].sum(1) == 3)


def test_nothing_to_hide():
    hidden = many(5, jnp.zeros(LENGTH, jnp.int32))
    assert not hidden["weights"].any() and not hidden["tokens"].any()


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"max_predictions": 0}, "max_predictions 0"),
        ({"max_predictions": 65}, "sequence length 64"),
        ({"rate": 0.0}, "rate 0.0"),
        ({"rate": 1.5}, "rate 1.5"),
        ({"mask_share": 0.95}, "parts of 1"),
        ({"random_share": -0.1}, "parts of 1"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        masking.bert_tokens(jax.random.key(0), sequence(), **{**SETTINGS, **settings})
