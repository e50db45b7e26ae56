"""Sentences that find those next to them, on embeddings whose similarities are known."""

import numpy as np
import pytest

from ssl_jax.evaluate import neighbouring_sentences, retrieval, tf_idf


def _on_circle(*degrees: float) -> np.ndarray:
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32) * 3


def test_ranks_by_hand():
    """Documents of 3, 2 and 1 sentences.

    Sorted by angle: of 0, 1 is next and first; of 1, 0 is before and first; of 2, at 90: 5, 3, 4, then 1, before:
    fourth; of 3, at 105: 5, 2, then 4, next: third; of 4, at 121: 5, then 3, before: second. 5 is alone.
    """
    found = neighbouring_sentences(_on_circle(0, 10, 90, 105, 121, 112.5), np.array([0, 0, 0, 1, 1, 2]))
    ranks = np.array([1, 1, 4, 3, 2])
    assert found == {
        "neighbour_top_1": pytest.approx(2 / 5), "neighbour_top_5": 1.0, "neighbour_top_10": 1.0,
        "neighbour_rank": pytest.approx(np.mean(1 / ranks)),
    }  # fmt: skip


def test_it_is_what_sorting_gives(monkeypatch):
    monkeypatch.setattr(retrieval, "_BLOCK", 7)
    rng = np.random.default_rng(0)
    documents = np.sort(rng.integers(0, 12, 60))
    embeddings = rng.normal(size=(60, 5)).astype(np.float32)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    ranks = []
    for row in range(60):
        others = [n for n in np.argsort(-(unit @ unit[row]), kind="stable") if n != row]
        beside = [n for n in (row - 1, row + 1) if 0 <= n < 60 and documents[n] == documents[row]]
        ranks += [1 + min(others.index(n) for n in beside)] if beside else []
    found = neighbouring_sentences(embeddings, documents)
    assert found["neighbour_rank"] == pytest.approx(np.mean(1 / np.array(ranks)), rel=1e-6)
    for k in (1, 5, 10):
        assert found[f"neighbour_top_{k}"] == pytest.approx(np.mean(np.array(ranks) <= k))


def test_what_is_all_alike_finds_nothing():
    found = neighbouring_sentences(np.ones((50, 3), np.float32), np.zeros(50, int))
    assert found["neighbour_top_10"] == 0 and found["neighbour_rank"] < 1 / 40


def test_sentences_alone_are_not_asked_about():
    assert neighbouring_sentences(np.eye(4, dtype=np.float32), np.arange(4)) == {}


def test_of_too_many_the_first_are_taken(monkeypatch):
    monkeypatch.setattr(retrieval, "_MOST", 4)
    found = neighbouring_sentences(_on_circle(0, 1, 90, 91, 0.5, 0.5, 0.5), np.zeros(7, int))
    assert found["neighbour_top_1"] == 1


def test_one_document_number_each():
    with pytest.raises(ValueError, match=r"documents \(3,\) must be \[4\]"):
        neighbouring_sentences(np.ones((4, 2)), np.zeros(3, int))


def test_rare_words_weigh_more():
    """Row by row: count * (1 + log((1 + rows) / (1 + rows with the word))), then of unit length."""
    train, test = np.array([[2.0, 1, 0], [1, 0, 0], [3, 0, 0]]), np.array([[1.0, 1, 0], [0, 0, 0]])
    rarity = 1 + np.log(4 / (1 + np.array([3, 1, 0])))
    one, other = tf_idf(train, test)
    np.testing.assert_allclose(one, train * rarity / np.linalg.norm(train * rarity, axis=1, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(other[0], test[0] * rarity / np.linalg.norm(test[0] * rarity), rtol=1e-6)
    assert not other[1].any() and one.dtype == np.float32
