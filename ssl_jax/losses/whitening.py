"""Whitened embeddings that agree."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import solve_triangular

from ssl_jax.losses.across import AxisName, gather_rows, mean
from ssl_jax.losses.checks import check_positive, check_range, check_same
from ssl_jax.losses.rows import unit_length

# Pivots of a Cholesky decomposition smaller than this part of the variance are rounding; what is added then.
_NO_PIVOT, _ADDED = 1e-6, 1e-4


def w_mse(
    z1: jax.Array,
    z2: jax.Array,
    key: jax.Array | None = None,
    *,
    size: int | None = None,
    iterations: int = 1,
    normalize: bool = True,
    eps: float = 0.0,
    axis_name: AxisName = None,
) -> jax.Array:
    """Mean squared error of whitened embeddings (W-MSE).

    Each view is whitened by itself: `L^-1 (z - mean)`, with `L L^T` the Cholesky decomposition of its covariance
    (divided by N - 1). With unit length after that::

        loss = mean_n |w1_n - w2_n|^2 = 2 - 2 mean_n w1_n . w2_n

    Source: Ermolov et al., "Whitening for Self-Supervised Representation Learning", 2021, and the authors' code:
    covariance `(1 - eps) Cov + eps I`; sub-batches of a random permutation, the same for both views, are whitened
    separately; the mean over the permutations. Gradients flow to both views, as there and in lightly; solo-learn's
    default stops those of the second view. Sub-batches are of the global batch here. A covariance that float32 cannot
    decompose (collapsed, or of no more rows than dimensions), where the others fail, gets 1e-4 of its mean variance on
    the diagonal.

    Args:
      z1: projections of the first views, [N, D], any float type. Row i belongs with row i of `z2`.
      z2: projections of the second views, [N, D].
      key: of the permutations, the same on all devices; None: rows stay in their order. Of no consequence where one
        sub-batch is the whole batch, as its order does not matter.
      size: rows of the sub-batches, at least twice D as a rule; must divide the global batch. None: all rows.
      iterations: over how many permutations to average; 1 where one sub-batch is the whole batch.
      normalize: whether whitened rows are scaled to unit length; without, the loss is the mean over N and D of
        `(w1 - w2)^2`, as with `no_norm` in the authors' code.
      eps: weight of the identity in the covariance.
      axis_name: the mapped axis that holds the rest of the batch, if any. Every device then gathers all rows.

    Returns:
      The mean over the global batch, a float32 scalar.

    Raises:
      ValueError: the shapes do not fit, sub-batches have fewer than 2 rows or do not divide the batch, several
        iterations have no key or one sub-batch only, or a setting is out of range.
    """
    check_same("[N, D]", z1=z1, z2=z2)
    check_range(0.0, 1.0, eps=eps)
    check_positive(iterations=iterations)
    views = gather_rows(jnp.stack([z1, z2], axis=1).astype(jnp.float32), axis_name)
    rows = len(views) if size is None else size
    if rows < 2:
        raise ValueError(f"sub-batches must have at least 2 rows, not {rows}: one row has no covariance")
    if len(views) < rows:
        raise ValueError(f"the batch must have at least size {size} rows, not {len(views)}")
    if iterations > 1 and len(views) < 2 * rows:
        raise ValueError(f"{iterations} iterations need a size of at most half the batch, so at least {2 * rows} rows")
    if len(views) % rows:
        raise ValueError(f"size {rows} does not divide the batch of {len(views)}")
    if key is None and iterations > 1:
        raise ValueError(f"{iterations} iterations need a key, or all would be the same")
    orders = [None] if key is None or rows == len(views) else jax.random.split(key, iterations)
    values = [_distance(views if k is None else jax.random.permutation(k, views), rows, normalize, eps) for k in orders]
    return mean(jnp.stack(values), axis_name)


def _distance(views, rows, normalize, eps):
    """Of the two views of [N, 2, D], whitened in sub-batches of so many rows."""
    parts = views.reshape(-1, rows, *views.shape[1:])
    white = jax.vmap(lambda part: jax.vmap(lambda z: _whitened(z, eps), in_axes=1, out_axes=1)(part))(parts)
    if not normalize:
        return jnp.mean(jnp.square(white[:, :, 0] - white[:, :, 1]))
    white = unit_length(white)
    return 2.0 - 2.0 * jnp.mean(jnp.sum(white[:, :, 0] * white[:, :, 1], axis=-1))


def _whitened(z, eps):
    """Rows with mean 0 and covariance 1: [n, D] -> [n, D]."""
    z = z - jnp.mean(z, axis=0)[None, :]
    one = jnp.eye(z.shape[1], dtype=jnp.float32)
    covariance = (1 - eps) * jnp.matmul(z.T, z, precision=lax.Precision.HIGHEST) / (z.shape[0] - 1) + eps * one
    lower = jnp.linalg.cholesky(_decomposable(covariance))
    return solve_triangular(lower, z.T, lower=True).T


def _decomposable(covariance):
    """The covariance; with something on the diagonal where its decomposition would not be finite."""
    fixed = lax.stop_gradient(covariance)
    variance = jnp.diagonal(fixed)
    pivots = jnp.square(jnp.diagonal(jnp.linalg.cholesky(fixed)))
    sound = jnp.all(pivots > _NO_PIVOT * variance)  # false for NaN
    added = jnp.where(sound, 0.0, _ADDED * jnp.mean(variance) + 1e-8)
    return covariance + added * jnp.eye(len(covariance), dtype=jnp.float32)
