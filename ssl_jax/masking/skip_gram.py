"""Which words of a sentence are to be told from which: the pairs of skip-gram."""

from typing import Any

import jax
import jax.numpy as jnp


def skip_gram_pairs(
    key: jax.Array, tokens: jax.Array, keep: jax.Array, *, window: int = 5, max_pairs: int | None = None
) -> dict[str, jax.Array]:
    """Pairs of words that stand near each other in one sentence.

    Words are left out at random, and those that are left close up. Then each of them is paired with the words up to r
    places before and behind it, with r drawn for it from 1 to `window`, so that near words count more.

    Source: Mikolov et al., "Efficient Estimation of Word Representations in Vector Space", 2013, section 3.2 (the
    random r), and the authors' word2vec.c, which thins the sentence out before it looks at windows.

    Args:
      key: of this sentence.
      tokens: int32 [S].
      keep: the probability of each token to be kept, [S]; 0 for what is no word.
      window: the largest distance.
      max_pairs: the most pairs of one sentence; of more, so many are drawn. None: room for all that there could be,
        2 * S * window.

    Returns:
      `centers` int32 [P], `contexts` int32 [P], P = max_pairs, and `weights` float32 [P], 1 for a pair; unused places
      come last where there is a `max_pairs`, and are 0 in all three.

    Raises:
      ValueError: a setting is impossible.
    """
    length = tokens.shape[0]
    _check(length, window, max_pairs)
    keep_key, window_key, drop_key = jax.random.split(key, 3)
    kept = jax.random.uniform(keep_key, (length,)) < keep
    words = tokens[jnp.argsort(~kept, stable=True)]
    reach = jax.random.randint(window_key, (length, 1), 1, window + 1)
    offsets = jnp.concatenate([jnp.arange(-window, 0), jnp.arange(1, window + 1)])[None, :]
    center = jnp.arange(length)[:, None]
    place, count = center + offsets, jnp.sum(kept)
    there = (jnp.abs(offsets) <= reach) & (center < count) & (0 <= place) & (place < count)
    pairs = jnp.broadcast_to(center, place.shape).ravel(), jnp.clip(place, 0, length - 1).ravel(), there.ravel()
    if max_pairs is not None:
        scores = jnp.where(pairs[2], jax.random.uniform(drop_key, pairs[2].shape), -1.0)
        chosen = jax.lax.top_k(scores, max_pairs)[1]
        pairs = tuple(array[chosen] for array in pairs)
    weights = pairs[2].astype(jnp.float32)
    centers, contexts = (jnp.where(pairs[2], words[place], 0).astype(jnp.int32) for place in pairs[:2])
    return {"centers": centers, "contexts": contexts, "weights": weights}


def _check(length: int, window: int, max_pairs: int | None) -> None:
    if window < 1:
        raise ValueError(f"window {window} must be at least 1 word")
    if max_pairs is not None and not 1 <= max_pairs <= 2 * length * window:
        raise ValueError(
            f"max_pairs {max_pairs} is not between 1 and {2 * length * window}, twice the window of {window} for each "
            f"of {length} tokens; or set None"
        )


class SkipGramView:
    """Pairs of near words of one sentence."""

    gives = "words"

    def __init__(self, spec: Any, *, window: int = 5, max_pairs: int | None = None):
        """
        Args:
          spec: of the data: the sequence's length, how often each word occurs, and the special tokens.
          window: the largest distance of two words that are near each other.
          max_pairs: the most pairs of one sentence, see `skip_gram_pairs`.

        Raises:
          ValueError: the data does not consist of single sentences of words, or a setting is impossible.
        """
        if spec.token_counts is None:
            raise ValueError(
                "name 'skip_gram' pairs words, and the data has none; set config.data.modality to 'text' and "
                "config.data.vocabulary to 'words'"
            )
        if spec.shapes.keys() & {"next", "order", "parts"}:
            raise ValueError("name 'skip_gram' pairs words of one sentence; set config.data.layout to 'sentences'")
        _check(spec.shapes["tokens"][0], window, max_pairs)
        self.window, self.max_pairs = window, max_pairs
        self.counts, self.special_ids = spec.token_counts.copy(), tuple(spec.special_ids)
        self.counts[list(self.special_ids)] = 0

    def train(self, key: jax.Array, tokens: jax.Array, keep: jax.Array) -> dict[str, jax.Array]:
        """`skip_gram_pairs` of one sentence, int32 [S], with the probability of each token to be kept, [S]."""
        return skip_gram_pairs(key, tokens, keep, window=self.window, max_pairs=self.max_pairs)
