"""Losses that predict what follows in a sequence: CPC among candidates, APC by regression."""

import jax
import jax.numpy as jnp

from ssl_jax.losses.across import AxisName, gather_rows, weighted_mean
from ssl_jax.losses.candidates import check_negatives, true_among
from ssl_jax.losses.checks import check_same, check_shape
from ssl_jax.losses.places import mean_of_places, only_counted
from ssl_jax.losses.rows import absolute


def cpc(
    predictions: jax.Array,
    encodings: jax.Array,
    negatives: jax.Array,
    weights: jax.Array,
    *,
    across_batch: bool = False,
    axis_name: AxisName = None,
) -> jax.Array:
    """InfoNCE for several steps ahead, the loss of contrastive predictive coding (CPC).

    With the prediction p_tk of the encoding z at time t + k (in the paper W_k c_t, so that the score is log-bilinear),
    and the negatives of t::

        loss = -mean_tk log( exp(p_tk . z_(t+k)) / (exp(p_tk . z_(t+k)) + sum_j exp(p_tk . z_j)) )

    Source: van den Oord et al., "Representation Learning with Contrastive Predictive Coding", 2018, equations 3 and 4:
    a plain dot product, without temperature. The mean over all (t, k) of the global batch for which both t and t + k
    are frames that count. CPC_audio, the reimplementation of Rivière et al. 2020, has each step predicted from the
    first T - K frames only (give it `predictions` of those: S = T - K), *adds* the means of the K steps (K times this
    value), and divides the dot product by D (divide `predictions` by D). As there, one draw of negatives serves all
    steps, and one that happens to be the true frame of a step stays.

    Args:
      predictions: [N, S, K, D], any float type; entry [n, t, k - 1] predicts `encodings[n, t + k]`. S may be smaller
        than T, and those that point behind the end do not count.
      encodings: what is predicted, [N, T, D].
      negatives: int [N, S, M], for each t: positions 0 to T - 1 in its own sequence, as `masking.sample_negatives`
        draws them. Indices outside of that range, and of frames of weight 0, are left out.
      weights: 1 where there is a frame, 0 for padding, [N, T].
      across_batch: whether `negatives` are instead `sequence * T + position`, with the sequence's number in the global
        batch, so that they may be taken from any sequence.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar in nats; 0 where nothing is predicted.

    Raises:
      ValueError: the shapes do not fit, or `negatives` are not integers.
    """
    _check_cpc(predictions, encodings, negatives, weights)
    weights = jnp.asarray(weights, jnp.float32)
    encodings = only_counted(encodings, weights)
    futures, paired = _futures(encodings, weights, *predictions.shape[1:3])
    predictions = only_counted(predictions, paired)
    others, counted = _negatives(encodings, weights, negatives, axis_name if across_batch else None, across_batch)
    scores = jnp.einsum("nskd,nsmd->nskm", predictions, others, precision=jax.lax.Precision.HIGHEST)
    losses = true_among(jnp.sum(predictions * futures, axis=-1), scores, counted[:, :, None])
    return weighted_mean(losses, paired, axis_name)


def _futures(encodings, weights, starts, steps):
    """What is predicted, [N, S, K, D], and the weights of the pairs, [N, S, K]."""
    length = weights.shape[1]
    ahead = jnp.arange(starts)[:, None] + jnp.arange(1, steps + 1)[None, :]
    inside = (ahead < length)[None]
    ahead = jnp.minimum(ahead, length - 1)
    return encodings[:, ahead], jnp.where(inside, weights[:, :starts, None] * weights[:, ahead], 0.0)


def _negatives(encodings, weights, index, axis_name, across_batch):
    """The vectors that `cpc` is given the places of, [N, S, M, D], and which of them count."""
    length, dim = encodings.shape[1:]
    encodings, weights = gather_rows(encodings, axis_name), gather_rows(weights, axis_name)
    size = weights.size if across_batch else length
    inside = (index >= 0) & (index < size)
    index = jnp.where(inside, index, 0)
    if not across_batch:
        index = index + length * jnp.arange(index.shape[0])[:, None, None]
    return encodings.reshape(-1, dim)[index], inside & (weights.reshape(-1)[index] > 0)


def _check_cpc(predictions, encodings, negatives, weights):
    if predictions.ndim != 4 or encodings.ndim != 3:
        raise ValueError(
            f"predictions must be [N, S, K, D] and encodings [N, T, D], not {predictions.shape} and {encodings.shape}"
        )
    n, starts, steps, dim = predictions.shape
    check_shape("encodings", encodings, (n, encodings.shape[1], dim))
    check_shape("weights", weights, encodings.shape[:2])
    check_negatives(negatives, (n, starts))
    if starts > encodings.shape[1] or not steps:
        raise ValueError(f"{starts} predictions of {steps} steps do not fit {encodings.shape[1]} encodings")


def apc(
    predictions: jax.Array, frames: jax.Array, weights: jax.Array, *, shift: int, axis_name: AxisName = None
) -> jax.Array:
    """L1 error of the frame `shift` steps ahead, the loss of autoregressive predictive coding (APC)::

        loss = mean_t mean_d |predictions[t, d] - frames[t + shift, d]|

    Source: Chung et al., "An Unsupervised Autoregressive Model for Speech Representation Learning", 2019. The paper
    adds the errors of an utterance. The authors' code (`L1Loss`) averages over all values of the batch, padding
    included; this averages over a frame's values, then over all pairs of frames of the global batch of which both
    count, which is the same without padding.

    Args:
      predictions: [N, T, D], any float type; the last `shift` of each sequence are of no consequence.
      frames: the input, [N, T, D].
      weights: 1 where there is a frame, 0 for padding, [N, T].
      shift: how many steps lie between a frame and what is predicted from it. The paper tries 1 to 20.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar; 0 where nothing is predicted.

    Raises:
      ValueError: the shapes do not fit, or `shift` is not between 1 and T - 1.
    """
    check_same("[N, T, D]", predictions=predictions, frames=frames)
    check_shape("weights", weights, frames.shape[:2])
    if not 1 <= shift < frames.shape[1]:
        raise ValueError(f"shift {shift} is not between 1 and {frames.shape[1] - 1}, the last of the frames")
    weights = weights.astype(jnp.float32)
    paired = weights[:, :-shift] * weights[:, shift:]
    distance = lambda predictions, frames: jnp.mean(absolute(predictions - frames), axis=-1)
    return mean_of_places(distance, (predictions[:, :-shift], frames[:, shift:]), paired, axis_name)
