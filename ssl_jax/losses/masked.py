"""Losses that ask for what was hidden: patches of an image, tokens of a text."""

import jax
import jax.numpy as jnp

from ssl_jax.losses.across import AxisName, weighted_mean
from ssl_jax.losses.checks import check_same, check_shape


def masked_patches(
    predictions: jax.Array,
    targets: jax.Array,
    mask: jax.Array,
    *,
    normalize_targets: bool = True,
    axis_name: AxisName = None,
) -> jax.Array:
    """Mean squared error of the hidden patches, the loss of masked autoencoders (MAE).

    Source: He et al., "Masked Autoencoders Are Scalable Vision Learners", 2022, section 3 and Table 1d; the authors'
    code (also in transformers' ViTMAE): squared errors are averaged over a patch's values, then over the hidden
    patches of the whole batch. Some reimplementations average over an image's hidden patches first, which is the
    same where every image hides as many.

    Args:
      predictions: the decoder's output, [B, N, P], any float type.
      targets: the pixels of each patch, [B, N, P], in the same order.
      mask: 1 (or True) where a patch was hidden and counts, 0 elsewhere, [B, N].
      normalize_targets: whether each patch is first normalised by its own mean and standard deviation
        (`normalize_patches`), which the paper finds better.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar; 0 where nothing is hidden.

    Raises:
      ValueError: the shapes do not fit, or patches of a single value are to be normalised.
    """
    check_same("[B, N, P]", predictions=predictions, targets=targets)
    check_shape("mask", mask, predictions.shape[:2])
    targets = normalize_patches(targets) if normalize_targets else targets.astype(jnp.float32)
    counted = jnp.broadcast_to(mask[..., None] > 0, targets.shape)  # before the square, or 0 * NaN is in the gradient
    difference = jnp.where(counted, predictions.astype(jnp.float32) - targets, 0.0)
    return weighted_mean(jnp.mean(jnp.square(difference), axis=-1), mask.astype(jnp.float32), axis_name)


def normalize_patches(patches: jax.Array) -> jax.Array:
    """Each patch less its mean, over `sqrt(variance + 1e-6)`: [..., P] -> float32 [..., P].

    The variance is the unbiased one (divided by P - 1), as in the authors' code of MAE.

    Raises:
      ValueError: a patch has one value only, so no variance.
    """
    if patches.shape[-1] < 2:
        raise ValueError(f"patches of {patches.shape[-1]} value cannot be normalised by their standard deviation")
    patches = patches.astype(jnp.float32)
    mean = jnp.mean(patches, axis=-1, keepdims=True)
    return (patches - mean) * jax.lax.rsqrt(jnp.var(patches, axis=-1, keepdims=True, ddof=1) + 1e-6)


def masked_lm(logits: jax.Array, targets: jax.Array, weights: jax.Array, *, axis_name: AxisName = None) -> jax.Array:
    """Cross entropy of the hidden tokens, from logits at their M positions only.

    Source: Devlin et al., "BERT", 2019, section 3.1. The mean over all predictions of the global batch, as in
    transformers; the authors' code adds 1e-5 to the number of predictions.

    Args:
      logits: [B, M, V], any float type; one row for each prediction.
      targets: the token that stood there, int [B, M]; of no consequence (so also out of range) where the weight is 0.
      weights: 1 where there is a prediction, 0 for padding, [B, M].
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar in nats; 0 where nothing is predicted.

    Raises:
      ValueError: the shapes do not fit.
    """
    check_shape("targets", targets, logits.shape[:2])
    check_shape("weights", weights, logits.shape[:2])
    counted = weights > 0
    logits = jnp.where(counted[..., None], logits, jnp.zeros_like(logits))  # here, or 0 * NaN is in the gradient
    losses = cross_entropy(logits, jnp.where(counted, targets, 0))
    return weighted_mean(losses, weights.astype(jnp.float32), axis_name)


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """`-log softmax(logits)[label]`: [..., V], int [...] -> float32 [...]."""
    logits = logits.astype(jnp.float32)
    chosen = jnp.take_along_axis(logits, labels[..., None], axis=-1)[..., 0]
    return jax.nn.logsumexp(logits, axis=-1) - chosen
