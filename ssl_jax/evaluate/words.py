"""What vectors of words know: which words are alike, and which differ as others do."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from ssl_jax.evaluate.word_lists import KINDS, RELATIONS

Pair = tuple[str, str]
_QUESTIONS_AT_A_TIME = 512


def word_scores(
    vectors: np.ndarray,
    vocabulary: Mapping[str, int],
    *,
    relations: Mapping[str, str] = RELATIONS,
    kinds: Mapping[str, str] = KINDS,
) -> dict[str, float]:
    """Analogies and likeness of the listed words.

    A question of an analogy is made of two pairs of the same relation, king : queen = man : ?, in either order of the
    pairs and of the words. Words that are not in the vocabulary are left out, and scores for which none are left.

    Args:
      vectors: float [V, D], of all tokens.
      vocabulary: the words' rows in `vectors`; what is not in here is no answer.
      relations: by relation, pairs of words, separated by commas.
      kinds: by kind, words.

    Returns:
      `analogy_accuracy`, `analogy_top_5`: the share of questions whose answer comes first, or among the first five;
      `word_kind_accuracy`: the share of the listed words whose nearest one, among the others, is of their kind.
    """
    rows = np.array(sorted(vocabulary.values()))
    place = {word: int(np.searchsorted(rows, row)) for word, row in vocabulary.items()}
    unit = _unit(np.asarray(vectors)[rows])
    questions = [question for pairs in relations.values() for question in analogies(known_pairs(pairs, place.keys()))]
    scores = {}
    if questions:
        ranks = answer_ranks(unit, np.array([[place[word] for word in question] for question in questions]))
        scores = {"analogy_accuracy": float(np.mean(ranks < 1)), "analogy_top_5": float(np.mean(ranks < 5))}
    listed = {kind: [word for word in words.split() if word in place] for kind, words in kinds.items()}
    if sum(map(len, listed.values())) > 1:
        scores["word_kind_accuracy"] = _kind_accuracy(unit, place, listed)
    return scores


def known_pairs(pairs: str, known) -> list[Pair]:
    """'king queen, man woman' as pairs, without those of which a word is not `known`."""
    found = (tuple(pair.split()) for pair in pairs.split(","))
    return [pair for pair in found if known >= set(pair)]


def analogies(pairs: Sequence[Pair]) -> list[tuple[str, str, str, str]]:
    """All questions (a, b, c, d), 'a is to b as c to d', of four different words, made of pairs of one relation."""
    both_ways = [pairs, [pair[::-1] for pair in pairs]]
    questions = (one + other for way in both_ways for one, other in itertools.permutations(way, 2))
    return [question for question in questions if len(set(question)) == 4]


def answer_ranks(unit: np.ndarray, questions: np.ndarray) -> np.ndarray:
    """How many words come before the right one, by 3CosAdd: the cosine with b - a + c.

    Source: Mikolov et al., "Efficient Estimation of Word Representations in Vector Space", 2013, section 4: the words
    of the question are no answers. Levy and Goldberg, 2014, give it the name.

    Args:
      unit: vectors of length 1, [V, D].
      questions: int [Q, 4], the rows of a, b, c and d.

    Returns:
      int [Q], 0 where d comes first.
    """
    ranks = []
    for start in range(0, len(questions), _QUESTIONS_AT_A_TIME):
        a, b, c, d = questions[start : start + _QUESTIONS_AT_A_TIME].T
        similarity = (unit[b] - unit[a] + unit[c]) @ unit.T
        number = np.arange(len(a))
        right = similarity[number, d][:, None]
        for asked in (a, b, c):
            similarity[number, asked] = -np.inf
        similarity[number, d] = -np.inf
        ranks.append(np.sum(similarity >= right, axis=1))
    return np.concatenate(ranks)


def _kind_accuracy(unit: np.ndarray, place: Mapping[str, int], listed: Mapping[str, Sequence[str]]) -> float:
    words = sorted({word for words in listed.values() for word in words})
    member = np.array([[word in members for members in listed.values()] for word in words])
    vectors = unit[[place[word] for word in words]]
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = similarity.argmax(axis=1)
    return float(np.mean((member & member[nearest]).any(axis=1)))


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors.astype(np.float64)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1.0)
