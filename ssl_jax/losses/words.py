"""Skip-gram with negative sampling, and how often words are drawn for it."""

import jax
import jax.numpy as jnp

from ssl_jax.losses.across import AxisName
from ssl_jax.losses.checks import check_positive, check_same, check_shape
from ssl_jax.losses.places import mean_of_places, only_counted


def skip_gram(
    centers: jax.Array,
    contexts: jax.Array,
    negatives: jax.Array,
    *,
    weights: jax.Array | None = None,
    negative_weights: jax.Array | None = None,
    axis_name: AxisName = None,
) -> jax.Array:
    """Negative sampling, the loss of skip-gram word vectors (word2vec).

    With u the vector of a word, v the output vector of a word near it, and v_1 to v_K those of drawn words::

        loss = mean( -log sigmoid(u . v) - sum_k log sigmoid(-u . v_k) )

    Source: Mikolov et al., "Distributed Representations of Words and Phrases and their Compositionality", 2013,
    equation 4: summed over the K negatives, averaged over the pairs of the global batch. The authors' word2vec.c takes
    a step of SGD after each pair, which is no mean: a learning rate for its sum is this one's times the pairs. It
    reads the sigmoid from a table, with gradients of 0 or 1 beyond +-6, and leaves out negatives that are the word
    itself (give them a `negative_weights` of 0). There u belongs to the word of the window and v to the word in
    the middle, the other way around than in the paper.

    Args:
      centers: input vectors of words, [N, D], any float type.
      contexts: output vectors of words near them, [N, D]; row i belongs with row i of `centers`.
      negatives: output vectors of words drawn from the noise distribution (see `unigram_noise`), [N, K, D].
      weights: 1 for pairs that count, 0 for padding, [N]; None: all count.
      negative_weights: 1 for negatives that count, 0 for those to leave out, [N, K]; None: all count.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar in nats; 0 where no pair counts.

    Raises:
      ValueError: the shapes do not fit.
    """
    check_same("[N, D]", centers=centers, contexts=contexts)
    (n, d), k = centers.shape, negatives.shape[1] if negatives.ndim == 3 else 0
    if negatives.shape != (n, k, d):
        raise ValueError(f"negatives must be ({n}, K, {d}), not {negatives.shape}")
    weights = jnp.ones(n) if weights is None else weights
    negative_weights = jnp.ones((n, k)) if negative_weights is None else negative_weights
    check_shape("weights", weights, (n,))
    check_shape("negative_weights", negative_weights, (n, k))
    negatives = only_counted(negatives, negative_weights)
    return mean_of_places(_pair_loss, (centers, contexts, negatives, negative_weights), weights, axis_name)


def _pair_loss(centers, contexts, negatives, negative_weights):
    near = jnp.sum(centers * contexts, axis=-1)
    drawn = jnp.sum(centers[:, None] * negatives, axis=-1)
    return jax.nn.softplus(-near) + jnp.sum(negative_weights * jax.nn.softplus(drawn), axis=-1)


def unigram_noise(counts: jax.Array, *, power: float = 0.75) -> jax.Array:
    """The probability of each word to be drawn as a negative: `counts^power / sum(counts^power)`.

    Source: Mikolov et al., "Distributed Representations of Words and Phrases and their Compositionality", 2013, section
    2.2. word2vec.c draws from a table of 1e8 entries filled so, except that it never draws word 0 (the end of a line)
    but puts another in its place, uniformly.

    Args:
      counts: how often each word of the vocabulary occurs, [V], any type.
      power: 1 draws words as often as they occur, 0 all that occur alike.

    Returns:
      float32 [V]; 0 for words that do not occur. Draw with `jax.random.choice(key, V, shape, p=...)`.

    Raises:
      ValueError: `counts` is not [V].
    """
    _check_counts(counts)
    counts = counts.astype(jnp.float32)
    raised = jnp.where(counts > 0, jnp.where(counts > 0, counts, 1.0) ** power, 0.0)
    total = jnp.sum(raised)
    return raised / jnp.where(total > 0, total, 1.0)


def keep_probability(counts: jax.Array, *, threshold: float = 1e-3) -> jax.Array:
    """The probability of each occurrence of a word to be kept when frequent words are thinned out.

    With f a word's share of all words and t the threshold: `min(1, sqrt(t / f) + t / f)`.

    Source: Mikolov et al., "Distributed Representations of Words and Phrases and their Compositionality", 2013, section
    2.3, in the form and with the threshold of the authors' word2vec.c. Equation 5 of the paper keeps only
    `sqrt(t / f)`, with t around 1e-5: the two are alike where words are very frequent, and the code's keeps a word
    whole up to f = 2.6 t, not t.

    Args:
      counts: how often each word of the vocabulary occurs, [V], any type.
      threshold: t, positive.

    Returns:
      float32 [V]; 1 for words that do not occur.

    Raises:
      ValueError: `counts` is not [V], or the threshold is not positive.
    """
    _check_counts(counts)
    check_positive(threshold=threshold)
    counts = counts.astype(jnp.float32)
    ratio = threshold * jnp.sum(counts) / jnp.where(counts > 0, counts, 1.0)
    return jnp.where(counts > 0, jnp.minimum(jnp.sqrt(ratio) + ratio, 1.0), 1.0)


def _check_counts(counts):
    if counts.ndim != 1:
        raise ValueError(f"counts must be [V], not {counts.shape}")
