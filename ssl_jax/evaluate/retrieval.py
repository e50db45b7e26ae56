"""Finding what belongs together: sentences that stand next to each other, pictures or sounds and their texts."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ssl_jax.evaluate.neighbours import cosine, unit

TOP = (1, 5, 10)
NAMES = (*(f"neighbour_top_{k}" for k in TOP), "neighbour_rank")
"""The scores of `neighbouring_sentences`."""
_BLOCK = 256
_MOST = 20_000  # rows: all are compared with all


def neighbouring_sentences(embeddings: np.ndarray, documents: np.ndarray) -> dict[str, float]:
    """How early the sentence before or behind a sentence comes, when all others are sorted by their cosine with it.

    Of the two the one that comes first counts. Sentences that are as near as that one count as before it, so that
    embeddings that are all alike find nothing. A sentence alone in its document is not asked about, but is among those
    that are sorted.

    Args:
      embeddings: float [N, D], of consecutive sentences; of more than 20,000, the first are taken.
      documents: int [N], the document of each.

    Returns:
      `neighbour_top_1`, `neighbour_top_5`, `neighbour_top_10`: the share of sentences of which a neighbour is among
      the first 1, 5 or 10; `neighbour_rank`: the mean of 1 / rank. Nothing, where no two sentences are neighbours.

    Raises:
      ValueError: there is not one document number for each embedding.
    """
    if documents.shape != embeddings.shape[:1]:
        raise ValueError(f"documents {documents.shape} must be [{embeddings.shape[0]}], one for each embedding")
    embeddings, documents = embeddings[:_MOST], documents[:_MOST]
    follows = documents[1:] == documents[:-1]
    before, behind = np.append(False, follows), np.append(follows, False)
    asked = np.flatnonzero(before | behind)
    if not len(asked):
        return {}
    vectors = unit(jnp.asarray(embeddings))
    ranks = []
    for start in range(0, len(asked), _BLOCK):
        rows = np.resize(asked[start : start + _BLOCK], _BLOCK)  # a short block is filled up by repeating it
        found = _ranks(vectors, jnp.asarray(rows), jnp.asarray(before[rows]), jnp.asarray(behind[rows]))
        ranks.append(np.asarray(found)[: len(asked) - start])
    ranks = np.concatenate(ranks)
    top = {f"neighbour_top_{k}": float(np.mean(ranks <= k)) for k in TOP}
    return top | {"neighbour_rank": float(np.mean(1 / ranks))}


@jax.jit
def _ranks(vectors: jax.Array, rows: jax.Array, before: jax.Array, behind: jax.Array) -> jax.Array:
    """The rank, from 1, of the nearer neighbour of each of `rows`, int32 [R]."""
    similarity = jnp.matmul(vectors[rows], vectors.T, precision=lax.Precision.HIGHEST)
    number, place = jnp.arange(vectors.shape[0])[None], rows[:, None]
    neighbour = ((number == place - 1) & before[:, None]) | ((number == place + 1) & behind[:, None])
    return _rank(similarity, neighbour, number != place)


def _rank(similarity: jax.Array, right: jax.Array, compared: jax.Array | bool = True) -> jax.Array:
    """The rank, from 1, of the most similar of those that are `right` among those that are `compared`, int32 [R].

    All are [R, N]. What is as similar comes before it.
    """
    best = jnp.max(jnp.where(right, similarity, -jnp.inf), axis=1, keepdims=True)
    return 1 + jnp.sum((similarity >= best) & ~right & compared, axis=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Matched:
    """Held-out examples and what is said of them, in the common space of a method that matches the two.

    Attributes:
      kind: what the examples are, 'image' or 'sound'.
      examples: float [M, D].
      texts: float [M, K, D].
      tokens: int [M, K, S], of the texts; where they are the same, texts are.
      written: bool [M, K], False for texts without words, which are left out.
      names: K names of the kinds of text, such as languages.
      classes: float [C, T, D], what is said of each class in so many ways; None: it was not asked for.
    """

    kind: str
    examples: np.ndarray
    texts: np.ndarray
    tokens: np.ndarray
    written: np.ndarray
    names: tuple[str, ...]
    classes: np.ndarray | None = None


def match_names(kind: str, names: Sequence[str] = ()) -> tuple[str, ...]:
    """What the scores of `matching_texts` are called but for those of chance; `names` are of the kinds of text."""
    means = tuple(f"{way}_top_{k}" for way in (f"{kind}_to_text", f"text_to_{kind}") for k in TOP)
    return means + tuple(f"{score}_{name}" for name in names for score in means if len(names) > 1)


def matching_texts(matched: Matched) -> dict[str, float]:
    """How early the text of an example comes when all texts of its kind are sorted by their cosine, and the other way.

    Where several examples have one text, any of them is right. What is as near as the right one counts as before it, so
    that embeddings that are all alike find nothing. Of more than 20,000 examples, the first are taken.

    Returns:
      `image_to_text_top_1`, ... (`match_names`), the share of examples whose text is among the first 1, 5 or 10, and of
      texts whose example is, means over the kinds of text; beside each, with `_chance`, the share that a random order
      would find; and, where there are several kinds, the scores of each under its name: `image_to_text_top_1_NAME`.
      Nothing, where no text has words.
    """
    found = {}
    for number, name in enumerate(matched.names):
        rows = np.flatnonzero(matched.written[:, number])[:_MOST]
        if len(rows):
            found[name] = _both_ways(matched, rows, number)
    if not found:
        return {}
    means = {score: float(np.mean([of[score] for of in found.values()])) for score in next(iter(found.values()))}
    if len(matched.names) == 1:
        return means
    apart = {f"{score}_{name}": of[score] for name, of in found.items() for score in match_names(matched.kind)}
    return means | apart


def _both_ways(matched: Matched, rows: np.ndarray, number: int) -> dict[str, float]:
    """The scores of one kind of text."""
    _, same = np.unique(matched.tokens[rows, number], axis=0, return_inverse=True)
    same = same.reshape(-1)
    examples, texts = matched.examples[rows], matched.texts[rows, number]
    ways = {f"{matched.kind}_to_text": (examples, texts), f"text_to_{matched.kind}": (texts, examples)}
    scores, by_chance = {}, _by_chance(np.bincount(same)[same])
    for way, (asked, sorted_by) in ways.items():
        ranks = _ranks_of_same(asked, sorted_by, same)
        scores |= {f"{way}_top_{k}": float(np.mean(ranks <= k)) for k in TOP}
        scores |= {f"{way}_top_{k}_chance": by_chance[k] for k in TOP}
    return scores


def _by_chance(counts: np.ndarray) -> dict[int, float]:
    """How often one of `counts` [N] that are right is among the first of all N in a random order."""
    total = len(counts)
    wrong = lambda drawn: np.maximum(total - counts - drawn, 0) / (total - drawn)  # once so many were wrong
    missed = {k: np.prod([wrong(drawn) for drawn in range(min(k, total))], axis=0) for k in TOP}
    return {k: float(np.mean(1 - shares)) for k, shares in missed.items()}


def _ranks_of_same(asked: np.ndarray, others: np.ndarray, same: np.ndarray) -> np.ndarray:
    """The rank, from 1, of the nearest of `others` [N, D] with the same number as each of `asked` [N, D]: int [N]."""
    asked, others = unit(jnp.asarray(asked)), unit(jnp.asarray(others))
    ranks = []
    for start in range(0, len(asked), _BLOCK):
        rows = np.resize(np.arange(start, min(start + _BLOCK, len(asked))), _BLOCK)  # filled up by repeating
        right = same[rows][:, None] == same[None, :]
        ranks.append(np.asarray(_ranks_among(asked[rows], others, jnp.asarray(right)))[: len(asked) - start])
    return np.concatenate(ranks)


@jax.jit
def _ranks_among(asked: jax.Array, others: jax.Array, right: jax.Array) -> jax.Array:
    return _rank(jnp.matmul(asked, others.T, precision=lax.Precision.HIGHEST), right)


def zero_shot(examples: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> dict[str, float]:
    """Classes told by what is said of them, without training (Radford et al. 2021, section 3.1).

    What is said of a class in several ways is one vector, the mean of those of unit length (section 3.1.4). An example
    is told right where that of its class is nearer by cosine than all others, so that embeddings that are all alike
    tell nothing.

    Args:
      examples: float [M, D].
      labels: int [M], classes from 0.
      classes: float [C, T, D].

    Returns:
      `zero_shot`, the share that is told right, and `zero_shot_commonest`, the share of the commonest class.
    """
    similarity = np.asarray(cosine(jnp.asarray(examples), unit(jnp.asarray(classes)).mean(axis=1)))
    right = labels[:, None] == np.arange(len(classes))[None]
    ranks = np.asarray(_rank(jnp.asarray(similarity), jnp.asarray(right)))
    return {"zero_shot": float(np.mean(ranks == 1)), "zero_shot_commonest": float(right.mean(axis=0).max())}


def tf_idf(train: np.ndarray, *others: np.ndarray) -> tuple[np.ndarray, ...]:
    """Word counts weighted by how rare a word is, rows of unit length: scikit-learn's TF-IDF, with its defaults.

    Args:
      train: counts [N, V], of which the rarity of words is learnt.
      *others: more counts [M, V] to be weighted.

    Returns:
      float32 arrays in the same shapes.
    """
    from sklearn.feature_extraction.text import TfidfTransformer

    weighting = TfidfTransformer().fit(train)
    return tuple(weighting.transform(counts).toarray().astype(np.float32) for counts in (train, *others))
