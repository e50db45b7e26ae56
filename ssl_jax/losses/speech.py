"""Losses of masked speech: the true one among distractors (wav2vec 2.0), or the right code (HuBERT, BEST-RQ)."""

import jax
import jax.numpy as jnp

from ssl_jax.losses.across import AxisName, weighted_mean
from ssl_jax.losses.candidates import check_negatives, true_among
from ssl_jax.losses.checks import check_positive, check_range, check_same, check_shape
from ssl_jax.losses.places import mean_of_places, only_counted
from ssl_jax.losses.rows import unit_length
from ssl_jax.losses.tokens import cross_entropy, masked_lm


def wav2vec2(
    predictions: jax.Array,
    targets: jax.Array,
    negatives: jax.Array,
    weights: jax.Array,
    *,
    temperature: float | jax.Array = 0.1,
    axis_name: AxisName = None,
) -> jax.Array:
    """Cross entropy of the true quantized frame among distractors, the contrastive loss of wav2vec 2.0.

    With the context c_t, the quantized frame q_t, and s(q) = exp(cos(c_t, q) / temperature)::

        loss = -mean_t log( s(q_t) / (s(q_t) + sum of s(q) over the distractors of t) )

    Source: Baevski et al., "wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations", 2020,
    equation 3. As in the authors' code and in transformers, a distractor that equals the target is left out, which
    happens when few codes are in use. The mean over the masked places of the global batch: fairseq divides the sum by
    their number, too; transformers returns the sum. `codebook_diversity` is the other part of the loss.

    Args:
      predictions: projected outputs of the context network, [N, T, D], any float type.
      targets: projected quantized frames, [N, T, D]; gradients flow into them.
      negatives: int [N, T, M], for each t positions 0 to T - 1 of its own sequence, as `masking.sample_negatives`
        draws them. Indices outside of that range, and of places of weight 0, are left out.
      weights: 1 at masked places, else 0, [N, T].
      temperature: what similarities are divided by; a positive number or a scalar array.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar in nats; 0 where nothing is masked.

    Raises:
      ValueError: the shapes do not fit, `negatives` are not integers, or `temperature` is not positive.
    """
    check_same("[N, T, D]", predictions=predictions, targets=targets)
    check_shape("weights", weights, targets.shape[:2])
    check_negatives(negatives, targets.shape[:2])
    check_positive(temperature=temperature)
    masked = weights > 0
    predictions, targets = only_counted(predictions, weights), only_counted(targets, weights)
    same = _equal_pairs(targets)
    predictions, targets = unit_length(predictions), unit_length(targets)
    # All pairs of a sequence, and of those the drawn ones: smaller than M vectors for each place.
    scores = jnp.einsum("ntd,nsd->nts", predictions, targets, precision=jax.lax.Precision.HIGHEST)
    inside = (negatives >= 0) & (negatives < masked.shape[1])
    index = jnp.where(inside, negatives, 0)
    drawn = lambda pairs: jnp.take_along_axis(pairs, index, axis=2)
    counted = inside & drawn(masked[:, None] & ~same)
    positives = jnp.sum(predictions * targets, axis=-1)
    losses = true_among(positives / temperature, drawn(scores) / temperature, counted)
    return weighted_mean(losses, weights.astype(jnp.float32), axis_name)


def _equal_pairs(rows):
    """Which rows of a sequence are equal: [N, T, D] -> bool [N, T, T]. One column at a time, in memory for N T T."""
    columns = jnp.moveaxis(jax.lax.stop_gradient(rows), -1, 0)
    equal = lambda column: column[:, :, None] == column[:, None]
    return jax.lax.scan(lambda same, column: (same & equal(column), None), equal(columns[0]), columns, unroll=8)[0]


def hubert(
    logits: jax.Array,
    labels: jax.Array,
    mask: jax.Array,
    weights: jax.Array,
    *,
    alpha: float = 1.0,
    axis_name: AxisName = None,
) -> jax.Array:
    """Cross entropy of each frame's cluster, at masked and unmasked places, the loss of HuBERT::

        loss = (alpha * sum_masked + (1 - alpha) * sum_unmasked) / (number of places that have a part in it)

    Source: Hsu et al., "HuBERT: Self-Supervised Speech Representation Learning by Masked Prediction of Hidden Units",
    2021, section "Representation Learning via Masked Prediction", in which both parts are sums. The normalisation is
    that of the authors' code: by the number of masked places where alpha is 1, of unmasked ones where it is 0, and of
    both in between (so it is not the sum of two means). Their `pred_masked_weight` is alpha, and
    `pred_nomask_weight` is 1 - alpha.

    Args:
      logits: [N, T, C], any float type: of a linear layer, or `codeword_logits`.
      labels: cluster of each frame, int [N, T]; of no consequence (so also out of range) at places that do not count.
      mask: 1 (or True) where a frame was hidden, [N, T].
      weights: 1 where there is a frame, 0 for padding, [N, T].
      alpha: the part of the masked places, between 0 and 1.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar in nats; 0 where nothing counts.

    Raises:
      ValueError: the shapes do not fit, or `alpha` is not between 0 and 1.
    """
    if logits.ndim != 3:
        raise ValueError(f"logits must be [N, T, C], not {logits.shape}")
    for name, array in dict(labels=labels, mask=mask, weights=weights).items():
        check_shape(name, array, logits.shape[:2])
    check_range(0, 1, alpha=alpha)
    share = jnp.where(mask > 0, alpha, 1 - alpha)
    weights = jnp.where(share > 0, weights, 0)
    loss = lambda logits, labels, share: share * cross_entropy(logits, labels)
    return mean_of_places(loss, (logits, labels, share), weights, axis_name)


def codeword_logits(features: jax.Array, codewords: jax.Array, *, temperature: float | jax.Array = 0.1) -> jax.Array:
    """Cosine similarities to every codeword over the temperature, HuBERT's logits.

    Source: Hsu et al., "HuBERT: Self-Supervised Speech Representation Learning by Masked Prediction of Hidden Units",
    2021. The authors' code leaves out codewords that are identical to the true one; as codewords are learned, no two
    of them are.

    Args:
      features: projected outputs, [..., D], any float type.
      codewords: one learned vector for each cluster, [C, D].
      temperature: a positive number or a scalar array.

    Returns:
      float32 [..., C].

    Raises:
      ValueError: the shapes do not fit, or `temperature` is not positive.
    """
    check_shape("codewords", codewords, (codewords.shape[0], features.shape[-1]))
    check_positive(temperature=temperature)
    precise = dict(precision=jax.lax.Precision.HIGHEST)
    return jnp.matmul(unit_length(features), unit_length(codewords).T, **precise) / temperature


def best_rq(logits: jax.Array, labels: jax.Array, weights: jax.Array, *, axis_name: AxisName = None) -> jax.Array:
    """Cross entropy of the codes of masked frames, the loss of BEST-RQ.

    Source: Chiu et al., "Self-supervised Learning with Random-projection Quantizer for Speech Recognition", 2022. The
    mean over all masked frames of the global batch.

    Args:
      logits: [N, T, V], any float type.
      labels: codes of the frames before masking (`random_projection_quantizer`), int [N, T]; of no consequence where
        the weight is 0.
      weights: 1 where a frame is masked, 0 elsewhere and for padding, [N, T].
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar in nats; 0 where nothing is masked.

    Raises:
      ValueError: the shapes do not fit.
    """
    if logits.ndim != 3:
        raise ValueError(f"logits must be [N, T, V], not {logits.shape}")
    check_shape("labels", labels, logits.shape[:2])
    return masked_lm(logits, labels, weights, axis_name=axis_name)
