"""Losses over the tokens of a text."""

import jax
import jax.numpy as jnp
from jax.scipy.special import xlogy

from ssl_jax.losses.across import AxisName, mean
from ssl_jax.losses.checks import check_range, check_shape
from ssl_jax.losses.places import mean_of_places


def masked_lm(logits: jax.Array, targets: jax.Array, weights: jax.Array, *, axis_name: AxisName = None) -> jax.Array:
    """Cross entropy of the hidden tokens, from logits at their M positions only.

    Source: Devlin et al., "BERT", 2019, section 3.1. The mean over all predictions of the global batch, as in
    transformers; the authors' code adds 1e-5 to the number of predictions.

    Args:
      logits: [B, M, V], any float type; one row for each prediction.
      targets: the token that stood there, int [B, M]; of no consequence (so also out of range) where the weight is 0.
      weights: 1 (or how much it counts) where there is a prediction, 0 for padding, [B, M].
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar in nats; 0 where nothing is predicted.

    Raises:
      ValueError: the shapes do not fit.
    """
    _check_tokens(logits, targets=targets, weights=weights)
    return mean_of_places(cross_entropy, (logits, targets), weights, axis_name)


def replaced_tokens(
    logits: jax.Array, replaced: jax.Array, weights: jax.Array, *, axis_name: AxisName = None
) -> jax.Array:
    """Binary cross entropy of "was this token replaced?", the loss of ELECTRA's discriminator.

    With y = 1 for a replaced token, over all tokens and not the masked ones alone::

        loss = -mean_t( y_t log sigmoid(logit_t) + (1 - y_t) log sigmoid(-logit_t) )

    Source: Clark et al., "ELECTRA: Pre-training Text Encoders as Discriminators Rather Than Generators", 2020,
    section 2. The paper's D(x, t) is the probability that token t is *original*; the logits of the authors' code and
    of transformers, as here, are those of a *replaced* one. Where the generator drew the right token, the label is 0.
    The mean is over all real tokens of the global batch, [CLS] and [SEP] among them; the authors' code averages alike
    and adds 1e-6 to their number. There it is added to the generator's `masked_lm` with a weight (lambda) of 50.

    Args:
      logits: [B, S], any float type.
      replaced: 1 (or True) where the token is not the original one, 0 elsewhere, [B, S].
      weights: 1 (or how much they count) for real tokens, 0 for padding, [B, S].
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar in nats; 0 where there is nothing but padding.

    Raises:
      ValueError: the shapes do not fit.
    """
    if logits.ndim != 2:
        raise ValueError(f"logits must be [B, S], not {logits.shape}")
    check_shape("replaced", replaced, logits.shape)
    check_shape("weights", weights, logits.shape)
    wrong = lambda logits, replaced: jax.nn.softplus(jnp.where(replaced > 0, -logits, logits))
    return mean_of_places(wrong, (logits, replaced), weights, axis_name)


def span_corruption(
    logits: jax.Array,
    targets: jax.Array,
    weights: jax.Array,
    *,
    z_loss: float = 0.0,
    label_smoothing: float = 0.0,
    axis_name: AxisName = None,
) -> jax.Array:
    """Cross entropy of the decoder's tokens, T5's loss; the targets are the hidden spans behind their sentinels.

    With log Z the log-sum-exp of a token's logits and q its target distribution (1 at the token; if smoothed,
    `1 - label_smoothing` there and `label_smoothing / (V - 1)` at every other)::

        loss = mean_t( -sum_v q_v log p_v - H(q) + z_loss * (log Z)^2 )

    Source: Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", 2020,
    sections 3.1.4 and 3.3.4; the auxiliary term on log Z and the entropy H(q), which makes 0 the least smoothed loss,
    are those of the authors' t5x. The mean over all real tokens of the global batch, as in transformers. t5x gives
    the *sum*, over a constant if one is set, and takes this mean with `NUM_REAL_TARGET_TOKENS`; its configurations
    of T5 set `z_loss` to 1e-4. Smoothing in PyTorch differs: `label_smoothing / V` at every token, and no H(q).

    Args:
      logits: of the decoder, [B, S, V], any float type.
      targets: the tokens to come, int [B, S]; of no consequence (so also out of range) where the weight is 0.
      weights: 1 (or how much they count) for real tokens, 0 for padding, [B, S].
      z_loss: weight of the term that keeps log Z near 0, a Python number.
      label_smoothing: what the target gives to all other tokens together, a Python number.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar in nats; 0 where there is nothing but padding.

    Raises:
      ValueError: the shapes do not fit, `z_loss` is negative, or `label_smoothing` is not between 0 and 1.
    """
    _check_tokens(logits, targets=targets, weights=weights)
    check_range(0, float("inf"), z_loss=z_loss)
    check_range(0, 1, label_smoothing=label_smoothing)

    def loss(logits, targets):
        exact = _smoothed(logits, targets, label_smoothing) if label_smoothing else cross_entropy(logits, targets)
        return exact + z_loss * jnp.square(jax.nn.logsumexp(logits, axis=-1)) if z_loss else exact

    return mean_of_places(loss, (logits, targets), weights, axis_name)


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """`-log softmax(logits)[label]`: [..., V], int [...] -> float32 [...]."""
    logits = logits.astype(jnp.float32)
    chosen = jnp.take_along_axis(logits, labels[..., None], axis=-1)[..., 0]
    return jax.nn.logsumexp(logits, axis=-1) - chosen


def mean_cross_entropy(
    name: str, logits: jax.Array, labels: jax.Array, classes: int | None, axis_name: AxisName
) -> jax.Array:
    """The mean over all rows of the global batch: [B, K] or [B, R, K], int [B] or [B, R] -> a float32 scalar.

    Args:
      name: of the labels, for the error that names misfits.
      logits: any float type.
      labels: 0 to K - 1.
      classes: what K must be; None: any number.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Raises:
      ValueError: shapes that do not go together.
    """
    if logits.ndim not in (2, 3) or labels.shape != logits.shape[:-1] or classes not in (None, logits.shape[-1]):
        form = "P" if classes is None else classes
        raise ValueError(
            f"logits must be [B, {form}] or [B, R, {form}], and {name} as they without the last axis, "
            f"not {logits.shape} and {labels.shape}"
        )
    return mean(cross_entropy(logits, labels), axis_name)


def _smoothed(logits, labels, smoothing):
    """Cross entropy with the smoothed targets, less their entropy."""
    others = max(logits.shape[-1] - 1, 1)
    right, wrong = 1 - smoothing, smoothing / others
    every = jnp.sum(jax.nn.logsumexp(logits, axis=-1, keepdims=True) - logits, axis=-1)
    entropy = -(xlogy(right, right) + others * xlogy(wrong, wrong))
    return (right - wrong) * cross_entropy(logits, labels) + wrong * every - entropy


def _check_tokens(logits, **arrays):
    if logits.ndim != 3:
        raise ValueError(f"logits must be [B, S, V], not {logits.shape}")
    for name, array in arrays.items():
        check_shape(name, array, logits.shape[:2])
