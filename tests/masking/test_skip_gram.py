"""Skip-gram's pairs: who is paired with whom, how often, and what is left out."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import masking

TOKENS = jnp.array([2, 10, 11, 12, 13, 14, 15, 16, 3, 0, 0, 0])  # [CLS], seven words, [SEP], padding
WORDS = jnp.where(TOKENS >= 10, 1.0, 0.0)


def many(count, keep=WORDS, **settings):
    keys = jax.random.split(jax.random.key(0), count)
    drawn = jax.vmap(lambda key: masking.skip_gram_pairs(key, TOKENS, keep, **settings))(keys)
    return jax.tree.map(np.asarray, drawn)


def pairs_of(drawn, row):
    used = drawn["weights"][row] > 0
    return list(zip(drawn["centers"][row][used].tolist(), drawn["contexts"][row][used].tolist()))


def test_a_window_of_one_pairs_neighbours():
    drawn = many(3, window=1)
    expected = [(a, b) for a in range(10, 17) for b in (a - 1, a + 1) if 10 <= b <= 16]
    for row in range(3):
        assert sorted(pairs_of(drawn, row)) == sorted(expected)
    assert drawn["centers"].shape == (3, 24)
    assert not drawn["centers"][drawn["weights"] == 0].any() and not drawn["contexts"][drawn["weights"] == 0].any()


def test_near_words_are_paired_more_often():
    """At distance d with the chance that r is at least d; a word reaches as far back as forth."""
    draws, window = 4000, 3
    drawn = many(draws, window=window)
    seen = collections.Counter(pair for row in range(draws) for pair in pairs_of(drawn, row))
    for center in range(10, 17):
        for context in range(10, 17):
            distance = abs(center - context)
            chance = max(0, window + 1 - distance) / window if distance else 0
            assert abs(seen[center, context] / draws - chance) <= 4.5 * np.sqrt(chance * (1 - chance) / draws)
    for row in range(50):
        reach = collections.Counter()
        for center, context in pairs_of(drawn, row):
            reach[center] = max(reach[center], abs(center - context))
        expected = {(a, b) for a, r in reach.items() for b in range(a - r, a + r + 1) if b != a and 10 <= b <= 16}
        assert set(pairs_of(drawn, row)) == expected


def test_words_left_out_close_up():
    keep = WORDS.at[2].set(0.0).at[3].set(0.0)  # 11 and 12
    for row, pairs in enumerate([pairs_of(many(5, keep, window=1), row) for row in range(5)]):
        assert (10, 13) in pairs and (13, 10) in pairs, row
        assert not {11, 12} & {word for pair in pairs for word in pair}


def test_words_are_kept_as_often_as_they_should_be():
    draws = 4000
    drawn = many(draws, WORDS * 0.3, window=6)
    seen = np.array([[word in {a for a, _ in pairs_of(drawn, row)} for word in range(10, 17)] for row in range(draws)])
    chance = 0.3 * (1 - 0.7**6)  # kept, with another to be paired with
    assert (abs(seen.mean(0) - chance) < 4.5 * np.sqrt(chance / draws)).all()


def test_of_too_many_pairs_some_are_drawn():
    drawn, whole = many(2000, window=2, max_pairs=6), many(2000, window=2)
    counts = drawn["weights"].sum(1)
    np.testing.assert_array_equal(counts, 6)
    assert (np.diff(drawn["weights"], axis=1) <= 0).all()
    for row in range(50):
        assert len(set(pairs_of(drawn, row))) == 6 and set(pairs_of(drawn, row)) <= set(pairs_of(whole, row))
    seen = collections.Counter(pair for row in range(2000) for pair in pairs_of(drawn, row))
    share = collections.Counter(pair for row in range(2000) for pair in pairs_of(whole, row))
    for pair in share:  # none is preferred: 6 of 16.5 on average
        assert abs(seen[pair] / share[pair] - 6 / whole["weights"].sum(1).mean()) < 0.08
    room = many(10, window=2, max_pairs=40)
    np.testing.assert_array_equal(room["weights"].sum(1), whole["weights"][:10].sum(1))


@pytest.mark.parametrize("keep", [WORDS * 0, WORDS.at[2:].set(0.0)])
def test_without_two_words_there_is_no_pair(keep):
    assert not many(4, keep, window=2)["weights"].any()


@pytest.mark.parametrize(
    "settings, message",
    [(dict(window=0), "window 0"), (dict(window=2, max_pairs=49), "max_pairs 49 .* between 1 and 48")],
)
def test_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        masking.skip_gram_pairs(jax.random.key(0), TOKENS, WORDS, **settings)
