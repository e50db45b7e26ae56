"""Retrieval and zero-shot classification on embeddings whose answers are worked out by hand."""

import math

import numpy as np
import pytest

from ssl_jax.errors import RunError
from ssl_jax.evaluate import Evaluation, Matched, matching_texts, retrieval, score_names, zero_shot


def on_circle(*degrees):
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1).astype(np.float32)


def matched(examples, *texts, tokens=None, written=None, **settings):
    """Texts of one or more kinds, all different unless `tokens` says otherwise."""
    count = len(examples)
    tokens = np.stack([np.arange(count)] * len(texts), 1)[:, :, None] if tokens is None else tokens
    written = np.ones((count, len(texts)), bool) if written is None else written
    names = tuple("ab"[: len(texts)])
    return Matched(
        kind="image",
        examples=examples,
        texts=np.stack(texts, 1),
        tokens=tokens,
        written=written,
        names=names,
        **settings,
    )


# By angle, the first picture's own text (10) is the nearest, the second's (95) is behind that of the third (31), and
# the third's is behind that of the first. Of the texts, the first finds its own picture, the second too, and the third
# finds the second before its own.
PICTURES, TEXTS = on_circle(0, 60, 0.5), on_circle(10, 95, 31)


def test_the_rank_of_what_belongs_together_is_counted():
    found = matching_texts(matched(PICTURES, TEXTS))
    third = pytest.approx(1 / 3)
    assert found["image_to_text_top_1"] == third and found["text_to_image_top_1"] == third
    assert found["image_to_text_top_5"] == found["text_to_image_top_10"] == 1
    assert found["image_to_text_top_1_chance"] == found["text_to_image_top_1_chance"] == third
    assert found["image_to_text_top_5_chance"] == 1


def test_any_of_equal_texts_is_right_and_texts_without_words_are_left_out():
    """Of four, two have one text; without words, the fourth is neither asked for nor in the way."""
    pictures, texts = on_circle(0, 90, 180, 45), on_circle(90, 0, 180, 45)
    tokens = np.array([1, 1, 2, 3])[:, None, None]
    written = np.array([True, True, True, False])[:, None]
    found = matching_texts(matched(pictures, texts, tokens=tokens, written=written))
    assert found["image_to_text_top_1"] == found["text_to_image_top_1"] == 1
    assert found["image_to_text_top_1_chance"] == pytest.approx((2 / 3 + 2 / 3 + 1 / 3) / 3)
    assert matching_texts(matched(pictures, texts, written=np.zeros((4, 1), bool))) == {}


def test_kinds_of_text_are_told_apart():
    found = matching_texts(matched(on_circle(0, 90), on_circle(0, 90), on_circle(90, 0)))
    assert (found["image_to_text_top_1_a"], found["image_to_text_top_1_b"], found["image_to_text_top_1"]) == (1, 0, 0.5)
    assert found["text_to_image_top_5_b"] == 1
    one = matching_texts(matched(on_circle(0, 90), on_circle(0, 90)))
    for scores, texts in ((found, "ab"), (one, "a")):
        names = score_names(("retrieval",), labelled=False, texts=tuple(texts))
        assert set(names) == {name for name in scores if "chance" not in name}


def test_blocks_and_chance_agree_with_counting(monkeypatch):
    random = np.random.default_rng(0)
    pictures, texts = random.normal(size=(2, 30, 6)).astype(np.float32)
    tokens = random.integers(0, 12, 30)[:, None, None]
    unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)
    similarity, same = unit(pictures) @ unit(texts).T, tokens[:, 0] == tokens[None, :, 0, 0]
    best = lambda s: np.array([np.flatnonzero(same[i][np.argsort(-s[i])])[0] for i in range(30)])
    missed = lambda m, k: math.comb(30 - m, k) / math.comb(30, k)
    monkeypatch.setattr(retrieval, "_BLOCK", 7)
    found = matching_texts(matched(pictures, texts, tokens=tokens))
    for k in retrieval.TOP:
        assert found[f"image_to_text_top_{k}"] == pytest.approx(np.mean(best(similarity) < k))
        assert found[f"text_to_image_top_{k}"] == pytest.approx(np.mean(best(similarity.T) < k))
        chance = np.mean([1 - missed(int(m), k) for m in same.sum(1)])
        assert found[f"text_to_image_top_{k}_chance"] == pytest.approx(chance)


def test_embeddings_that_are_all_alike_find_nothing():
    same = np.ones((20, 3), np.float32)
    found = matching_texts(matched(same, same))
    assert found["image_to_text_top_1"] == found["text_to_image_top_10"] == 0
    assert zero_shot(same, np.arange(20) % 2, np.ones((2, 1, 3), np.float32))["zero_shot"] == 0


def test_a_class_is_the_mean_of_unit_vectors_of_what_is_said_of_it():
    """The first class is said at 0 and 80 degrees, so at 40; without unit length the longer would draw it to 80."""
    classes = np.stack([on_circle(0, 80) * [[1], [100]], on_circle(120, 120)])
    pictures, labels = on_circle(10, 70, 90, 110), np.array([0, 0, 0, 1])
    found = zero_shot(pictures, labels, classes.astype(np.float32))
    assert found == {"zero_shot": 0.75, "zero_shot_commonest": 0.75}  # 90 is nearer to 120 than to 40


def test_the_suite_runs_both_and_leaves_them_out_of_what_has_no_texts():
    plan = Evaluation(tasks=("zero_shot", "retrieval"), diagnostics=False)
    labels, classes = np.array([0, 1, 0]), on_circle(0, 60)[:, None]
    both = (PICTURES, labels), (PICTURES, labels)
    found = plan(*both, matched=matched(PICTURES, TEXTS, classes=classes))
    assert found["zero_shot"] == 1 and found["image_to_text_top_5"] == 1
    assert plan(*both) == {}
    broken = PICTURES * np.array([[1], [np.nan], [1]], np.float32)
    with pytest.raises(RunError, match="1 of 3 matched embeddings hold NaN"):
        plan(*both, matched=matched(broken, TEXTS, classes=classes))
