"""Losses that make the dimensions of an embedding vary, and vary independently of each other."""

import jax
import jax.numpy as jnp
from jax import lax

from ssl_jax.losses.across import AxisName, mean, size
from ssl_jax.losses.checks import check_positive, check_range, check_same, check_shape
from ssl_jax.losses.moments import batch_mean, centered, check_rows, second_moment
from ssl_jax.losses.rows import unit_length


def barlow_twins(
    z1: jax.Array, z2: jax.Array, *, lambda_: float = 0.0051, eps: float = 1e-5, axis_name: AxisName = None
) -> jax.Array:
    """Cross-correlation of two views, held to the identity: the loss of Barlow Twins.

    With each dimension of each view normalised over the batch to mean 0 and variance 1::

        C_ij = mean_n z1_ni z2_nj
        loss = sum_i (1 - C_ii)^2 + lambda_ * sum_{i != j} C_ij^2

    Source: Zbontar et al., "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", 2021, equation 1, and the
    authors' code: synchronised batch normalisation without scale and offset, so the global batch's biased variance
    plus `eps` (1e-5). lightly and solo-learn normalise each device's rows by themselves; both have `lambda_` 0.005,
    and solo-learn multiplies the loss by 0.025.

    Args:
      z1: projections of the first views, [N, D], any float type. Row i belongs with row i of `z2`.
      z2: projections of the second views, [N, D].
      lambda_: the weight of the off-diagonal terms.
      eps: added to the variances; a dimension that is constant over the batch has correlation 0 with all others.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      The sum over the D x D correlations of the global batch, a float32 scalar. D where a view has collapsed.

    Raises:
      ValueError: `z1` and `z2` differ in shape or are not matrices, there is one row only, or a setting is out of
        range.
    """
    check_same("[N, D]", z1=z1, z2=z2)
    check_range(0, float("inf"), lambda_=lambda_)
    check_positive(eps=eps)
    check_rows(2, z1.shape[0], axis_name, "one row has no variance")
    correlation = second_moment(_normalized(z1, eps, axis_name), _normalized(z2, eps, axis_name), axis_name)
    on_diagonal = jnp.eye(correlation.shape[0], dtype=bool)
    return jnp.sum(jnp.where(on_diagonal, jnp.square(1 - correlation), lambda_ * jnp.square(correlation)))


def _normalized(z, eps, axis_name):
    """Batch normalisation without scale and offset."""
    z = centered(z.astype(jnp.float32), axis_name)
    return z * lax.rsqrt(batch_mean(jnp.square(z), axis_name) + eps)[None, :]


def vicreg(
    z1: jax.Array,
    z2: jax.Array,
    *,
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
    gamma: float = 1.0,
    eps: float = 1e-4,
    axis_name: AxisName = None,
) -> jax.Array:
    """Variance-invariance-covariance regularisation (VICReg).

    With `std = sqrt(Var + eps)` and both Var and Cov divided by N - 1::

        s = mean over rows and dimensions of (z1 - z2)^2
        v(z) = mean_j max(0, gamma - std(z_j)),   c(z) = sum_{i != j} Cov(z)_ij^2 / D
        loss = invariance * s + variance * (v(z1) + v(z2)) / 2 + covariance * (c(z1) + c(z2))

    Source: Bardes et al., "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning", 2022,
    equations 1 to 6, and the authors' code. The equations take squared distances of rows and the sum of both variance
    terms. The code, which this follows as lightly does, takes the mean over dimensions too, and halves the variance
    terms. solo-learn does not halve them: twice `variance` gives its value. Moments are those of the global batch.

    Args:
      z1: projections of the first views, [N, D], any float type. Row i belongs with row i of `z2`.
      z2: projections of the second views, [N, D].
      invariance: weight of the distance of the views (lambda in the paper).
      variance: weight of the variance terms (mu).
      covariance: weight of the covariance terms (nu).
      gamma: the standard deviation that every dimension should reach.
      eps: added to the variances, which keeps the gradient of constant dimensions finite (it is 0).
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      The loss of the global batch, a float32 scalar.

    Raises:
      ValueError: `z1` and `z2` differ in shape or are not matrices, there is one row only, or a setting is out of
        range.
    """
    check_same("[N, D]", z1=z1, z2=z2)
    check_range(0, float("inf"), invariance=invariance, variance=variance, covariance=covariance)
    check_positive(eps=eps)
    check_rows(2, z1.shape[0], axis_name, "one row has no variance")
    views = jnp.stack([z1, z2], axis=1).astype(jnp.float32)
    distance = mean(jnp.square(views[:, 0] - views[:, 1]), axis_name)
    spread = jnp.mean(low_variance(views, axis_name, gamma=gamma, eps=eps))
    redundant = jnp.sum(off_diagonal_covariance(views, axis_name))
    return invariance * distance + variance * spread + covariance * redundant


def low_variance(z: jax.Array, axis_name: AxisName, *, gamma: float, eps: float) -> jax.Array:
    """VICReg's variance term, how far standard deviations over the batch fall short: float32 [N, ..., D] -> [...]."""
    count = size(z.shape[0], axis_name)
    variance = batch_mean(jnp.square(centered(z, axis_name)), axis_name) * (count / (count - 1))
    return jnp.mean(jnp.maximum(gamma - jnp.sqrt(variance + eps), 0.0), axis=-1)


def off_diagonal_covariance(z: jax.Array, axis_name: AxisName) -> jax.Array:
    """VICReg's covariance term: float32 [N, ..., D] -> [...]."""
    count, dimensions = size(z.shape[0], axis_name), z.shape[-1]
    z = centered(z, axis_name)
    covariance = second_moment(z, z, axis_name) * (count / (count - 1))
    others = jnp.where(jnp.eye(dimensions, dtype=bool), 0.0, covariance.reshape(-1, dimensions, dimensions))
    return jnp.sum(jnp.square(others), axis=(1, 2)).reshape(z.shape[1:-1]) / dimensions


def tico(
    z1: jax.Array,
    z2: jax.Array,
    covariance: jax.Array,
    *,
    beta: float = 0.9,
    rho: float = 8.0,
    differentiate_covariance: bool = False,
    axis_name: AxisName = None,
) -> jax.Array:
    """Transformation invariance and covariance contrast (TiCo).

    With the projections of unit length::

        C = beta * covariance + (1 - beta) * mean_n z1_n z1_n^T
        loss = 1 - mean_n z1_n . z2_n + rho * mean_n z1_n^T C z1_n

    Source: Zhu et al., "TiCo: Transformation Invariance and Covariance Contrast for Self-Supervised Visual
    Representation Learning", 2022; no code of the authors was found. As in lightly, the term 1 is there, which makes
    the first part 0 for equal views, and no gradient flows through the batch's part of C: lightly's pull request 1484
    reads it from a figure of the paper. The repository sayannag/TiCo-pytorch lets it flow
    (`differentiate_covariance=True`) and leaves out the 1. The "covariance" is not centred.

    Args:
      z1: projections of the online network, [N, D], any float type. Row i belongs with row i of `z2`.
      z2: projections of the other views, by the momentum network in the paper, [N, D]. Gradients flow to them too.
      covariance: the state before this batch, [D, D]; zeros at first. `update_covariance` gives the state after it.
      beta: how much of the state is kept.
      rho: weight of the second term.
      differentiate_covariance: whether gradients also flow through the batch's part of C.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      The mean over the global batch, a float32 scalar.

    Raises:
      ValueError: the shapes do not fit, or `beta` is not between 0 and 1.
    """
    check_same("[N, D]", z1=z1, z2=z2)
    check_shape("covariance", covariance, (z1.shape[1], z1.shape[1]))
    check_range(0.0, 1.0, beta=beta)
    z1, z2 = unit_length(z1), unit_length(z2)
    moment = second_moment(z1, z1, axis_name)
    newest = moment if differentiate_covariance else lax.stop_gradient(moment)
    contrast = jnp.sum((beta * covariance.astype(jnp.float32) + (1 - beta) * newest) * moment)
    return 1.0 - mean(jnp.sum(z1 * z2, axis=1), axis_name) + rho * contrast


def update_covariance(
    covariance: jax.Array, z1: jax.Array, *, beta: float = 0.9, axis_name: AxisName = None
) -> jax.Array:
    """The state of `tico` after a batch: `beta * covariance + (1 - beta) * mean_n z1_n z1_n^T`, without gradient.

    Source: Zhu et al., "TiCo: Transformation Invariance and Covariance Contrast for Self-Supervised Visual
    Representation Learning", 2022; as in lightly, the state keeps the C that `tico` has computed from the batch.

    Args:
      covariance: the state before, [D, D]; zeros at first.
      z1: projections of the online network, [N, D], any float type; brought to unit length here.
      beta: how much of the state is kept.
      axis_name: the mapped axis that holds the rest of the batch, if any; the state is the same on all devices.

    Returns:
      float32 [D, D].

    Raises:
      ValueError: the shapes do not fit, or `beta` is not between 0 and 1.
    """
    check_same("[N, D]", z1=z1)
    check_shape("covariance", covariance, (z1.shape[1], z1.shape[1]))
    check_range(0.0, 1.0, beta=beta)
    z1 = unit_length(z1)
    newest = second_moment(z1, z1, axis_name)
    return lax.stop_gradient(beta * covariance.astype(jnp.float32) + (1 - beta) * newest)
