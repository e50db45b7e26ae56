"""Alphabets, best paths and error rates, by hand."""

import numpy as np
import pytest

from ssl_jax.evaluate import transcripts
from ssl_jax.evaluate.transcripts import Alphabet


def test_alphabet_holds_each_character_once_and_spells_what_it_holds():
    alphabet = Alphabet.of(["cab", "a b"])
    assert alphabet.characters == " abc" and len(alphabet) == 5
    np.testing.assert_array_equal(alphabet.spell("bad cab"), [3, 2, 1, 4, 2, 3])
    assert alphabet.read([4, 2, 3]) == "cab"
    with pytest.raises(ValueError, match="empty"):
        Alphabet.of(["", ""])


def path(*classes, count=4):
    return np.eye(count, dtype=np.float32)[list(classes)]


def test_best_path_merges_repeats_and_drops_blanks_and_padding():
    logits = np.stack([path(0, 1, 1, 0, 1, 2), path(3, 3, 0, 0, 3, 3), path(1, 2, 2, 3, 3, 3)])
    assert transcripts.greedy(logits, np.array([6, 6, 3])) == [[1, 1, 2], [3, 3], [1, 2]]
    assert transcripts.greedy(logits[:1], np.array([0])) == [[]]


def test_rates_are_of_the_whole_set():
    """One of five words wrong, one missing; 'to' for 'two' and ' four' missing are 6 of 22 characters."""
    found = transcripts.error_rates(["one two three", "five  four "], ["one to three", "five"])
    assert found["word_error_rate"] == pytest.approx(2 / 5)
    assert found["character_error_rate"] == pytest.approx(6 / 22)
    silent = transcripts.error_rates(["one", ""], ["one", "two"])
    assert silent == {"word_error_rate": 1.0, "character_error_rate": 1.0}, "what nobody said is wrong"
    assert transcripts.error_rates(["a b"], ["a b"]) == {"word_error_rate": 0.0, "character_error_rate": 0.0}


@pytest.mark.parametrize(
    ("references", "guesses", "reason"), [(["a"], [], "0 guesses do not match 1"), ([" "], ["a"], "no reference")]
)
def test_what_cannot_be_compared_is_refused(references, guesses, reason):
    with pytest.raises(ValueError, match=reason):
        transcripts.error_rates(references, guesses)
