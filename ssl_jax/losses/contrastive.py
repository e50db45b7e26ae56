"""Losses that tell an image's other view from all other images."""

import jax
import jax.numpy as jnp

from ssl_jax.losses.across import AxisName, gather_rows, mean, own_columns
from ssl_jax.losses.checks import check_positive, check_same

# Stands for log(0). Finite, so that a batch of one example (nothing but masked entries) has finite gradients.
_NEVER = -1e30


def nt_xent(
    z1: jax.Array, z2: jax.Array, *, temperature: float | jax.Array = 0.1, axis_name: AxisName = None
) -> jax.Array:
    """Normalised-temperature cross entropy of two views, SimCLR's loss.

    With the 2N projections of unit length, the positive j of i being the other view of the same example, and the
    negatives the other 2N - 2::

        loss = -mean_i log( exp(z_i . z_j / temperature) / sum_{k != i} exp(z_i . z_k / temperature) )

    Source: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", 2020, equation 1 and
    Algorithm 1: the mean over all 2N terms, as in lightly. The authors' TensorFlow code *adds* the means of the two
    views and so is twice this value. Like that code, and unlike lightly, it normalises by
    `z / sqrt(max(|z|^2, 1e-12))`, which differs only for projections shorter than 1e-6.

    Args:
      z1: projections of the first views, [N, D], any float type. Row i belongs with row i of `z2`.
      z2: projections of the second views, [N, D].
      temperature: what similarities are divided by; a positive number or a scalar array (when it is learned).
      axis_name: the mapped axis that holds the rest of the batch, if any; negatives then come from all devices.

    Returns:
      The mean over the 2N projections of the global batch, a float32 scalar. One example alone has no negatives: 0.

    Raises:
      ValueError: `z1` and `z2` differ in shape or are not matrices, or `temperature` is not positive.
    """
    check_same("[N, D]", z1=z1, z2=z2)
    check_positive(temperature=temperature)
    z1, z2 = unit_length(z1), unit_length(z2)
    all1, all2 = gather_rows(z1, axis_name), gather_rows(z2, axis_name)
    itself = own_columns(z1.shape[0], axis_name)
    positives = jnp.sum(z1 * z2, axis=1) / temperature
    loss1 = _log_denominator(z1, all1, all2, itself, temperature) - positives
    loss2 = _log_denominator(z2, all2, all1, itself, temperature) - positives
    return mean(0.5 * (loss1 + loss2), axis_name)


def unit_length(rows: jax.Array) -> jax.Array:
    """Rows scaled to length one in float32; zero rows stay zero, with a finite gradient."""
    rows = rows.astype(jnp.float32)
    return rows * jax.lax.rsqrt(jnp.maximum(jnp.sum(rows * rows, axis=-1, keepdims=True), 1e-12))


def _log_denominator(z, own_view, other_view, itself, temperature):
    """log of the sum over everything but oneself, [n]. The matrices are [n, N] each."""
    own = jnp.where(itself, _NEVER, _similarities(z, own_view) / temperature)
    other = _similarities(z, other_view) / temperature
    return jnp.logaddexp(jax.nn.logsumexp(own, axis=1), jax.nn.logsumexp(other, axis=1))


def _similarities(rows, columns):
    # Accelerators multiply float32 in fewer bits by default, which a division by 0.1 or less would make visible.
    return jnp.matmul(rows, columns.T, precision=jax.lax.Precision.HIGHEST)
