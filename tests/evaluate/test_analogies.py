"""Analogies and kinds of words, on vectors made by hand."""

import numpy as np
import pytest

from ssl_jax.evaluate import word_lists, word_scores
from ssl_jax.evaluate.words import analogies, answer_ranks, known_pairs

_WORDS = ("king", "queen", "man", "woman", "lad", "damsel", "bread", "wine")


def _vectors() -> dict[str, np.ndarray]:
    """What is male or female differs by one direction; food lies elsewhere."""
    rng = np.random.default_rng(0)
    female, vectors = np.eye(20)[0], {}
    for male, other in (("king", "queen"), ("man", "woman"), ("lad", "damsel")):
        base = np.concatenate([[0.0], rng.normal(size=19)])
        vectors |= {male: base - female, other: base + female}
    food = np.concatenate([[0.0], rng.normal(size=19)])
    return vectors | {"bread": food, "wine": food * 1.1 + 0.01}


def _scored(vectors: dict[str, np.ndarray], **lists) -> dict[str, float]:
    table = np.zeros((len(vectors) + 3, 20))
    rows = {word: row for row, word in enumerate(vectors, 3)}  # three special tokens in front
    for word, row in rows.items():
        table[row] = vectors[word]
    return word_scores(table, rows, **lists)


def test_what_differs_alike_is_an_analogy():
    lists = dict(
        relations={"sex": "king queen, man woman, lad damsel"}, kinds={"food": "bread wine", "man": "man woman"}
    )
    assert _scored(_vectors(), **lists) == {"analogy_accuracy": 1.0, "analogy_top_5": 1.0, "word_kind_accuracy": 1.0}


def test_ranks_by_hand():
    unit = np.array([[1, 0], [0, 1], [0.6, 0.8], [0.8, 0.6], [-1, 0], [0, -1]])
    # b - a + c = (-0.4, 1.8): of the words that were not asked about, 3 is nearest, then 4 and 5.
    questions = np.array([[0, 1, 2, 3], [0, 1, 2, 4], [0, 1, 2, 5]])
    assert answer_ranks(unit, questions).tolist() == [0, 1, 2]


def test_equal_words_come_before_the_right_one():
    """Vectors that know nothing answer nothing."""
    assert answer_ranks(np.ones((9, 1)), np.array([[0, 1, 2, 3]])).tolist() == [5]


def test_questions():
    pairs = known_pairs("go went, see saw, give gave", {"go", "went", "see", "saw", "give"})
    assert pairs == [("go", "went"), ("see", "saw")]
    assert set(analogies(pairs)) == {
        ("go", "went", "see", "saw"), ("see", "saw", "go", "went"),
        ("went", "go", "saw", "see"), ("saw", "see", "went", "go"),
    }  # fmt: skip
    assert analogies([("he", "his"), ("his", "him")]) == []  # of four different words


def test_words_that_are_not_known_are_not_asked_about():
    assert _scored({"stone": np.ones(20)}) == {}


def test_the_nearest_word_of_the_list_counts():
    vectors = {"gold": np.eye(20)[0], "silver": np.eye(20)[0] + 0.1, "bread": np.eye(20)[1], "wine": np.eye(20)[0] * 2}
    assert _scored(vectors, relations={}, kinds={"metals": "gold silver", "food": "bread wine"}) == {
        "word_kind_accuracy": pytest.approx(0.25)  # gold and wine are each other's nearest; silver's is gold
    }


def test_the_lists_are_whole():
    for pairs in word_lists.RELATIONS.values():
        assert all(len(pair.split()) == 2 for pair in pairs.split(","))
    pairs = [tuple(pair.split()) for pairs in word_lists.RELATIONS.values() for pair in pairs.split(",")]
    assert len(pairs) == len(set(pairs)) and all(one != other for one, other in pairs)
    for words in word_lists.KINDS.values():
        assert len(words.split()) == len(set(words.split())) > 3
