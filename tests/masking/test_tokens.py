"""BERT's masking: what is chosen, how often, and what stands in its place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

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
        ({"max_ngram": 0}, "max_ngram 0"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        masking.bert_tokens(jax.random.key(0), sequence(), **{**SETTINGS, **settings})


# Words of 1 to 4 pieces: 500 begins a word, 600 goes on; special tokens among them.
WORDS = [2, 500, 500, 600, 500, 600, 600, 600, 3, 600, 500, 500, 600, 500, 600, 600, 500, 500, 600, 500, 500, 3, 0, 0]
STARTS = np.arange(VOCABULARY) != 600
NUMBERS = [-1, 0, 1, 1, 2, 2, 2, 2, -1, 3, 4, 5, 5, 6, 6, 6, 7, 8, 8, 9, 10, -1, -1, -1]  # of the word at each place


def chosen_words(draws, **settings):
    """bool [draws, S], of the tokens of `WORDS`."""
    tokens = jnp.asarray(WORDS, jnp.int32)
    hidden = jax.tree.map(np.asarray, many(draws, tokens, rate=0.3, word_starts=STARTS, **settings))
    chosen = np.zeros((draws, len(WORDS)), bool)
    np.put_along_axis(chosen, np.where(hidden["weights"] > 0, hidden["positions"], 0), True, axis=1)
    chosen[:, 0] = False  # where unused places point
    np.testing.assert_array_equal(chosen.sum(1), hidden["weights"].sum(1))
    return chosen


def test_words_are_hidden_whole_and_nothing_else():
    chosen = chosen_words(300)
    numbers = np.array(NUMBERS)
    assert not chosen[:, numbers < 0].any()
    for number in range(numbers.max() + 1):
        of_word = chosen[:, numbers == number]
        np.testing.assert_array_equal(of_word.all(1), of_word.any(1))
        assert of_word.any()


def plainly_chosen(rng, max_ngram):
    """The official codes' loop over words (BERT's of May 2019, ALBERT's), of 30 % of 19 tokens: 6."""
    words = [np.flatnonzero(np.array(NUMBERS) == number).tolist() for number in range(max(NUMBERS) + 1)]
    ngrams, chosen = np.arange(1, max_ngram + 1), []
    for first in rng.permutation(len(words)):
        n = rng.choice(ngrams, p=(1 / ngrams) / (1 / ngrams).sum())
        tokens = sum(words[first : first + n], [])
        while len(chosen) + len(tokens) > 6 and n > 1:
            n -= 1
            tokens = sum(words[first : first + n], [])
        if len(chosen) + len(tokens) <= 6 and not set(tokens) & set(chosen):
            chosen += tokens
    return np.isin(np.arange(len(WORDS)), chosen)


@pytest.mark.parametrize("max_ngram", [1, 3])
def test_words_are_chosen_as_in_a_plain_loop(max_ngram):
    """How many tokens, how often each, and how often both of two neighbours: the same in distribution."""
    draws, rng = 4000, np.random.default_rng(0)
    looks = lambda chosen: np.concatenate([chosen, chosen[:, 1:] & chosen[:, :-1], chosen.sum(1)[:, None]], 1)
    ours = looks(chosen_words(draws, max_ngram=max_ngram).astype(int))
    theirs = looks(np.stack([plainly_chosen(rng, max_ngram) for _ in range(draws)]).astype(int))
    error = np.sqrt((ours.var(0) + theirs.var(0)) / draws)
    np.testing.assert_array_less(np.abs(ours.mean(0) - theirs.mean(0)), 4.5 * error + 1e-9)
    assert ours[:, -1].max() == 6 and ours[:, -1].mean() > 5.7


def test_runs_of_single_tokens_need_no_words():
    hidden = jax.tree.map(np.asarray, many(2000, sequence(), max_ngram=3))
    assert (hidden["weights"].sum(1) == 7).all()
    places = np.where(hidden["weights"] > 0, hidden["positions"], -9)
    beside = (np.diff(places, axis=1) == 1).mean()
    alone = jax.tree.map(np.asarray, many(2000, sequence()))
    assert beside > 2 * (np.diff(np.where(alone["weights"] > 0, alone["positions"], -9), axis=1) == 1).mean()


@pytest.mark.parametrize("settings", [{}, {"word_starts": np.arange(VOCABULARY) % 3 > 0}, {"max_ngram": 3}])
def test_shares_of_papers_by_chi_squared(settings):
    """15 % of the tokens, and of those 80/10/10 (Devlin et al. 2019, section 3.1), however they are chosen."""
    tokens = sequence(61).at[20].set(500)  # no special token but at the ends: 61 ordinary ones
    hidden = jax.tree.map(np.asarray, many(2000, tokens, **settings))
    used = hidden["weights"] > 0
    predicted = round(0.15 * 61)
    assert (used.sum(1) <= predicted).all() and used.sum(1).mean() > 0.99 * predicted
    shown = np.take_along_axis(hidden["tokens"], hidden["positions"], 1)[used]
    kept = shown == hidden["targets"][used]
    counts = np.array([(shown == MASK).sum(), kept.sum(), ((shown != MASK) & ~kept).sum()])
    by_chance = 0.1 / VOCABULARY  # a random token may be [MASK] or the token itself
    expected = used.sum() * np.array([0.8 + by_chance, 0.1 + by_chance, 0.1 - 2 * by_chance])
    assert stats.chisquare(counts, expected).pvalue > 1e-4
    other = used.sum() * np.array([0.82, 0.1, 0.08])
    assert stats.chisquare(counts, other).pvalue < 1e-4, "a test that other shares fail"
