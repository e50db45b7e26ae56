"""Finding the sentences that stand next to a sentence: what embeddings know of the text around it."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ssl_jax.evaluate.neighbours import unit

TOP = (1, 5, 10)
NAMES = (*(f"neighbour_top_{k}" for k in TOP), "neighbour_rank")
"""The scores of `neighbouring_sentences`."""
_BLOCK = 256
_MOST = 20_000  # sentences: all are compared with all


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
    best = jnp.max(jnp.where(neighbour, similarity, -jnp.inf), axis=1, keepdims=True)
    return 1 + jnp.sum((similarity >= best) & ~neighbour & (number != place), axis=1)


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
