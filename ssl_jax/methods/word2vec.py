"""word2vec: Mikolov et al. 2013, Distributed Representations of Words and Phrases and their Compositionality,
arXiv:1310.4546.

Skip-gram with negative sampling.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ssl_jax import augment, losses

_STEPS = 2**32 - 1  # into which the chances of all words are divided


class Word2Vec(nnx.Module):
    """A word's vector tells which words stand near it, apart from drawn ones (section 2.2)."""

    reads = ("words",)

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        negatives: int = 5,
        noise_power: float = 0.75,
        threshold: float = 1e-3,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: the words' vectors (`models.MODELS['word_vectors']`).
          view: pairs words (`masking.VIEWS['skip_gram']`).
          negatives: words drawn for each pair.
          noise_power: they are drawn as often as they occur, to this power (section 2.2).
          threshold: share of all words above which a word is thinned out (section 2.3, in the form of the authors'
            word2vec.c, see `losses.keep_probability`).
          rngs: source of the parameters.

        Raises:
          ValueError: the view pairs no words, or a setting is impossible.
        """
        if not hasattr(view, "counts"):
            raise ValueError("word2vec learns from pairs of words: set config.views.name to 'skip_gram'")
        if negatives < 1:
            raise ValueError(f"negatives {negatives} must be at least 1")
        if not 0 <= noise_power <= 1:
            raise ValueError(f"noise_power {noise_power} is not between 0 and 1")
        if threshold <= 0:
            raise ValueError(f"threshold {threshold} must be positive")
        del rngs  # the output vectors start at 0
        self.backbone, self.view = backbone, view
        self.negatives, self.threshold = negatives, threshold
        self.noise = Noise(view.counts, noise_power)
        self.output = nnx.Param(jnp.zeros((backbone.vocab_size, backbone.features)))

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Pairs of each sentence (`masking.skip_gram_pairs`), frequent words thinned out."""
        counts = jnp.asarray(self.view.counts, jnp.float32)
        keep = jnp.where(counts > 0, losses.keep_probability(counts, threshold=self.threshold), 0.0)
        return augment.per_example(
            lambda key, example: self.view.train(key, *example), key, (batch["tokens"], keep[batch["tokens"]])
        )

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Equation 4, averaged over the pairs of the batch. A drawn word that is the right one does not count.

        `context_accuracy` is the share of drawn words whose product with the given one is less than its neighbour's,
        `context_accuracy_frequency` of those that are less frequent in the training texts than the neighbour.
        """
        del train
        centers, contexts, weights = (views[name].ravel() for name in ("centers", "contexts", "weights"))
        drawn = self.noise(key, (centers.size, self.negatives))
        given, near, far = self.backbone(centers), self.output[...][contexts], self.output[...][drawn]
        others = (drawn != contexts[:, None]).astype(jnp.float32)
        loss = losses.skip_gram(given, near, far, weights=weights, negative_weights=others)
        lead = jnp.sum(given * near, -1)[:, None] - jnp.sum(given[:, None] * far, -1)
        often = jnp.asarray(self.view.counts)
        counted = others * weights[:, None]
        return loss, {
            "context_accuracy": _told(lead, counted),
            "context_accuracy_frequency": _told(often[contexts][:, None] - often[drawn], counted),
        }

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Mean of the vectors of a text's words: [B, F]."""
        tokens = inputs["tokens"]
        words = jnp.all(tokens[:, :, None] != jnp.asarray(self.view.special_ids)[None, None], axis=-1)
        vectors = self.backbone(tokens) * words[:, :, None]
        return vectors.sum(1) / jnp.maximum(words.sum(1), 1)[:, None]

    def word_vectors(self) -> jax.Array:
        """The vectors of all tokens, float32 [V, F], for evaluations of words."""
        return self.backbone.vectors


def _told(lead, counted):
    """The share of what counts where the lead is positive; half of those where there is none."""
    return jnp.sum(jnp.where(lead == 0, 0.5, lead > 0) * counted) / jnp.maximum(jnp.sum(counted), 1)


class Noise:
    """Draws words as often as they occur, to some power."""

    def __init__(self, counts: np.ndarray, power: float):
        """Args: counts: int [V], how often each word occurs; power: see `losses.unigram_noise`."""
        share = np.where(counts > 0, np.maximum(counts, 1.0) ** power, 0.0)
        self._ends = np.round(np.cumsum(share) / share.sum() * _STEPS).astype(np.uint32)

    def __call__(self, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Word ids, int32 `shape`. By integers: float32 is too coarse for the rare words of a large vocabulary."""
        drawn = jnp.minimum(jax.random.bits(key, shape, jnp.uint32), np.uint32(_STEPS - 1))
        return jnp.searchsorted(jnp.asarray(self._ends), drawn, side="right").astype(jnp.int32)
