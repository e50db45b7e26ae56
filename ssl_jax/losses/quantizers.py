"""Codes as targets: how evenly they are used, and codes of a random quantizer."""

import jax
import jax.numpy as jnp

from ssl_jax.losses.across import AxisName, total, weighted_mean
from ssl_jax.losses.checks import check_positive, check_shape
from ssl_jax.losses.rows import unit_length


def codebook_diversity(probabilities: jax.Array, weights: jax.Array, *, axis_name: AxisName = None) -> jax.Array:
    """How unevenly codes are used, wav2vec 2.0's diversity loss.

    With G codebooks of V codes and the mean p_g of the probabilities over all places that count::

        loss = (G V - sum_g exp(entropy(p_g))) / (G V)

    Source: Baevski et al., "wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations", 2020,
    section 3.2, in the form of the authors' code and of transformers, with perplexities in place of equation 4's
    negative entropies. Both of them take p_g over a device's own batch; here it is that of the global batch. fairseq
    adds 1e-7 inside the logarithm, transformers and this do not. Both multiply by the number of masked places
    because their contrastive loss is a sum; the mean that `wav2vec2` returns needs no factor:
    `wav2vec2(...) + 0.1 * codebook_diversity(...)`.

    Args:
      probabilities: softmax over each codebook (without Gumbel noise), [N, T, G, V], any float type.
      weights: 1 (or how much it counts) where a place counts (the masked ones), else 0, [N, T].
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar between 0, all codes equally often, and 1 - 1 / V, a single code; 0 where nothing counts. A
      code of mean probability 0 has no gradient.

    Raises:
      ValueError: the shapes do not fit.
    """
    perplexity = codebook_perplexity(probabilities, weights, axis_name=axis_name)
    codes = probabilities.shape[2] * probabilities.shape[3]
    loss = (codes - jnp.sum(perplexity)) / codes
    return jnp.where(total(weights.astype(jnp.float32), axis_name) > 0, loss, 0.0)


def codebook_perplexity(probabilities: jax.Array, weights: jax.Array, *, axis_name: AxisName = None) -> jax.Array:
    """How many codes of each codebook are in use: the exponential of the entropy of their mean probabilities.

    Source: Baevski et al., "wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations", 2020, as
    in `codebook_diversity`, and fairseq, which reports it.

    Args:
      probabilities: [N, T, G, V]: of the softmax (fairseq's `prob_perplexity`), or one-hot of the chosen codes
        (`code_perplexity`).
      weights: 1 (or how much it counts) where a place counts, else 0, [N, T].
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      float32 [G], between 1 and V; 1 where nothing counts. transformers' `codevector_perplexity` is their sum.

    Raises:
      ValueError: the shapes do not fit.
    """
    if probabilities.ndim != 4:
        raise ValueError(f"probabilities must be [N, T, G, V], not {probabilities.shape}")
    check_shape("weights", weights, probabilities.shape[:2])
    probabilities, weights = probabilities.astype(jnp.float32), weights.astype(jnp.float32)
    for_each_code = lambda over: jax.vmap(over, in_axes=-1, out_axes=-1)
    mean = for_each_code(for_each_code(lambda p: weighted_mean(p, weights, axis_name)))(probabilities)
    used = mean > 0
    logs = jnp.log(jnp.where(used, mean, 1.0))  # not of 0, which has an infinite gradient
    return jnp.exp(-jnp.sum(mean * logs, axis=-1))


def random_projection_quantizer(frames: jax.Array, projection: jax.Array, codebook: jax.Array) -> jax.Array:
    """Codes of a quantizer that is never trained, BEST-RQ's targets.

    With both sides scaled to length one, `argmin_i |codebook_i - frame @ projection|`; of equally near codes the first.

    Source: Chiu et al., "Self-supervised Learning with Random-projection Quantizer for Speech Recognition", 2022. As
    in google/praxis with both of its normalisations on. The paper finds it critical that the frames have mean 0 and
    standard deviation 1, or few codes are ever chosen: see to that before.

    Args:
      frames: what the model is to predict the codes of, before it is masked, [..., F], any float type. Where the
        model subsamples by 4 in time, 4 consecutive frames stacked as one: `frames.reshape(n, t // 4, 4 * f)`.
      projection: [F, P], see `init_random_projection_quantizer`.
      codebook: [V, P].

    Returns:
      int32 [...], without gradient.

    Raises:
      ValueError: the shapes do not fit.
    """
    if projection.ndim != 2 or codebook.ndim != 2 or projection.shape[1] != codebook.shape[1]:
        raise ValueError(f"projection {projection.shape} and codebook {codebook.shape} are not [F, P] and [V, P]")
    check_shape("frames", frames, (*frames.shape[:-1], projection.shape[0]))
    precise = dict(precision=jax.lax.Precision.HIGHEST)
    projected = jnp.matmul(frames.astype(jnp.float32), projection.astype(jnp.float32), **precise)
    # Of unit vectors the nearest is the one of the largest product; the frame's own length does not change which.
    nearness = jnp.matmul(projected, unit_length(codebook).T, **precise)
    return jnp.argmax(nearness, axis=-1).astype(jnp.int32)


def init_random_projection_quantizer(
    key: jax.Array, features: int, *, codes: int = 8192, code_dim: int = 16
) -> tuple[jax.Array, jax.Array]:
    """The projection (Xavier uniform) and codebook (standard normal) of `random_projection_quantizer`.

    Source: Chiu et al., "Self-supervised Learning with Random-projection Quantizer for Speech Recognition", 2022,
    whose codebook has 8192 codes of 16 dimensions. Of the two Xavier initialisations the uniform one, as espnet.

    Args:
      key: keep it, or what comes out, for the whole of training.
      features: F, the size of a (stacked) frame.
      codes: V.
      code_dim: P.

    Returns:
      float32 [F, P] and [V, P].

    Raises:
      ValueError: a size is not positive.
    """
    check_positive(features=features, codes=codes, code_dim=code_dim)
    projection_key, codebook_key = jax.random.split(key)
    projection = jax.nn.initializers.glorot_uniform()(projection_key, (features, code_dim), jnp.float32)
    return projection, jax.random.normal(codebook_key, (codes, code_dim), jnp.float32)
