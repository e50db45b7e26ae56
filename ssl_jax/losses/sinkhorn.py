"""Balanced assignments of a batch to prototypes."""

import math

import jax
import jax.numpy as jnp
from jax import lax

from ssl_jax.losses.across import AxisName, log_sum_exp, size, total
from ssl_jax.losses.checks import check_positive, check_shape

_LOG_SMALL = math.log(1e-8)


def sinkhorn_knopp(
    scores: jax.Array,
    *,
    temperature: float | jax.Array = 0.05,
    iterations: int = 3,
    weights: jax.Array | None = None,
    axis_name: AxisName = None,
) -> jax.Array:
    """Soft assignments whose batch uses all prototypes equally: the Sinkhorn-Knopp algorithm.

    From `exp(scores / temperature)`, each iteration scales the columns (prototypes) to equal sums and then the rows
    (examples) to a sum of 1, so it is the rows that come out exact. Computed on logarithms, which cannot overflow at
    small temperatures as the authors' code can. No gradient flows through it, as there.

    Source: Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments" (SwAV), 2020,
    section 3.1 and appendix A; DINOv2 uses the same for its teacher, over its masked tokens with weights.

    Args:
      scores: similarities with K prototypes, [N, K], any float type.
      temperature: the entropy's weight (epsilon in the paper).
      iterations: of both scalings.
      weights: 1 for rows that count, 0 for padding, [N]; None: all count. Padding's assignments come out as 0.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      float32 [N, K]; each row that counts sums to 1, each column nearly to N / K.

    Raises:
      ValueError: the shapes do not fit, the temperature is not positive, or there is no iteration.
    """
    if scores.ndim != 2:
        raise ValueError(f"scores must be [N, K], not {scores.shape}")
    check_positive(temperature=temperature, iterations=iterations)
    n, k = scores.shape
    log_q = lax.stop_gradient(scores.astype(jnp.float32) / temperature)
    count = jnp.float32(size(n, axis_name))
    if weights is not None:
        check_shape("weights", weights, (n,))
        log_q = jnp.where(weights[:, None] > 0, log_q, -jnp.inf)
        count = jnp.maximum(total((weights > 0).astype(jnp.float32), axis_name), 1.0)

    def iterate(_, log_q):
        log_q = _scaled(log_q, log_sum_exp(log_q, 0, axis_name, keepdims=True) + jnp.log(float(k)))
        return _scaled(log_q, jax.nn.logsumexp(log_q, axis=1, keepdims=True) + jnp.log(count))

    # A loop of XLA's: written out, a hundred iterations take minutes to compile.
    return jnp.exp(lax.fori_loop(0, iterations, iterate, log_q) + jnp.log(count))


def positionwise_sinkhorn(
    scores: jax.Array, *, temperature: float | jax.Array = 0.06, iterations: int = 3, axis_name: AxisName = None
) -> jax.Array:
    """Soft assignments of patches to clusters, where the batch uses all clusters equally at each position by itself.

    A cluster can then not stand for a position, which would be easy to predict. Sinkhorn-Knopp of the batch's patches
    at one position, for each: from `exp(scores / temperature)`, each iteration scales the columns (clusters) to a sum
    of 1 over the batch and then the rows (patches), and 1e-8 is added to each sum: a patch that no cluster is near to,
    in a batch that has others for all of them, comes out with a sum below 1. Computed on logarithms.

    Source: Darcet et al., "Cluster and Predict Latent Patches for Improved Masked Image Modeling" (CAPI), 2025, and the
    authors' `sinkhorn_knopp` in `model.py` with `positionwise_sk`.

    Args:
      scores: of K clusters for the P patches of N images, [N, P, K], any float type.
      temperature: what scores are divided by.
      iterations: of both scalings.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      float32 [N, P, K], without gradient.

    Raises:
      ValueError: the shape does not fit, the temperature is not positive, or there is no iteration.
    """
    if scores.ndim != 3:
        raise ValueError(f"scores must be [N, P, K], not {scores.shape}")
    check_positive(temperature=temperature, iterations=iterations)
    log_q = lax.stop_gradient(scores.astype(jnp.float32) / temperature)
    column_sums = lambda log_q: log_sum_exp(log_q, 0, axis_name, keepdims=True)
    columns = lambda log_q: log_q - jnp.logaddexp(column_sums(log_q), _LOG_SMALL)
    rows = lambda log_q: log_q - jnp.logaddexp(jax.nn.logsumexp(log_q, axis=2, keepdims=True), _LOG_SMALL)
    first = rows(log_q - column_sums(log_q))  # exponentials are large there, and nothing is lost in their sums
    return jnp.exp(lax.fori_loop(1, iterations, lambda _, log_q: rows(columns(log_q)), first))


def _scaled(log_q, log_sums):
    """Less the sums; where there is nothing to sum, nothing."""
    return log_q - jnp.where(jnp.isfinite(log_sums), log_sums, 0.0)
