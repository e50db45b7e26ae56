"""How fast the variances along the principal directions decay."""

import jax
import jax.numpy as jnp

# Singular values this much smaller than the largest are float32's rounding; their squares are taken for this squared.
_ROUNDING = 1e-7


def alpha_req(embeddings: jax.Array, *, first: int = 4, last: int = 100) -> jax.Array:
    """alpha-ReQ, the exponent of a power law through the eigenvalues of the covariance: `eigenvalue_k ~ k^-alpha`.

    A straight line is fitted to log eigenvalue over log k by least squares, with weights 1 / k, for the ranks k from
    `first` to `last`, counted from 1. Larger is a faster decay; the paper finds representations of about 1 best.

    Source: Agrawal et al., "alpha-ReQ: Assessing Representation Quality in Self-Supervised Learning by Measuring
    Eigenspectrum Decay", 2022; the fit is that of its repository (kumarkrishna/fastssl, after Stringer et al. 2019),
    whose training script passes `arange(3, 100)`, which are ranks 4 to 100. Others fit other ranges: 6 to 100 in
    reptrix. Ranks beyond min(N - 1, D) do not exist and are left out.

    Args:
      embeddings: [N, D], any float type.
      first: the first rank of the fit.
      last: the last one, if there are as many.

    Returns:
      A float32 scalar; 0 where the embeddings do not vary at all.

    Raises:
      ValueError: the range has fewer than two ranks, after those that do not exist are left out.
    """
    n, d = embeddings.shape
    last = min(last, n - 1, d)
    if not 1 <= first < last:
        raise ValueError(f"a line needs at least 2 ranks, and {n} embeddings of {d} dimensions give {first} to {last}")
    embeddings = embeddings.astype(jnp.float32)
    values = jnp.linalg.svd(embeddings - jnp.mean(embeddings, axis=0, keepdims=True), compute_uv=False)
    relative = jnp.maximum(values / jnp.where(values[0] > 0, values[0], 1.0), _ROUNDING)
    y = 2 * jnp.log(relative[first - 1 : last] / relative[first - 1])
    ranks = jnp.arange(first, last + 1, dtype=jnp.float32)
    x, weights = jnp.log(ranks), 1 / ranks
    from_mean = weights * (x - jnp.sum(weights * x) / jnp.sum(weights))
    return -jnp.sum(from_mean * y) / jnp.sum(from_mean * x)
