"""How many directions tell examples apart, seen against how much views of one example differ."""

import jax
import jax.numpy as jnp

from ssl_jax.diagnostics.spread import exp_entropy


def lidar(embeddings: jax.Array, *, delta: float = 1e-4, eps: float = 1e-7) -> jax.Array:
    """LiDAR, the effective rank of a linear discriminant analysis whose classes are the examples.

    With B the covariance of the examples' mean embeddings, W that of the views around their example's mean, and
    `l` the eigenvalues of `(W + delta I)^(-1/2) B (W + delta I)^(-1/2)`::

        lidar = exp(-sum_k p_k log p_k),    p_k = l_k / sum(l) + eps

    Source: Thilak et al., "LiDAR: Sensing Linear Probing Performance in Joint Embedding SSL Architectures", 2023.
    The covariances are the unbiased ones (divided by N - 1 and by N * (V - 1)), and delta is 1e-4, as in
    stable-pretraining; other constants than these only matter through delta. Like theirs, delta is absolute, so the
    value depends on the embeddings' scale where views differ by as little as sqrt(delta). Compare equal N and V.

    Args:
      embeddings: of V views of each of N examples, [N, V, D], any float type.
      delta: added to the within-example variance of each direction.
      eps: added to each p, as in RankMe.

    Returns:
      A float32 scalar, from 1 (one direction, or all embeddings equal) to min(N - 1, D).

    Raises:
      ValueError: there are fewer than 2 examples or 2 views.
    """
    if embeddings.ndim != 3 or min(embeddings.shape[:2]) < 2:
        raise ValueError(f"embeddings must be [N, V, D] with N and V at least 2, not {embeddings.shape}")
    n, views, d = embeddings.shape
    embeddings = embeddings.astype(jnp.float32)
    means = jnp.mean(embeddings, axis=1)
    residuals = (embeddings - means[:, None]).reshape(n * views, d) / jnp.sqrt(n * (views - 1))
    centred = means - jnp.mean(means, axis=0, keepdims=True)
    whitened = _matmul(centred, _whitening(residuals, delta))
    between = _matmul(whitened.T, whitened) / (n - 1)
    return exp_entropy(jnp.maximum(jnp.linalg.eigvalsh(between), 0.0), eps)


def _whitening(residuals, delta):
    """A [D, D] that makes `residuals.T @ residuals + delta I` the identity.

    Of the rows, not of their product: rounding of its large eigenvalues would bury delta, and the small ones with it.
    """
    triangle = jnp.linalg.qr(residuals, mode="r")
    square = jnp.pad(triangle, ((0, residuals.shape[1] - len(triangle)), (0, 0)))  # or directions would be missing
    _, values, directions = jnp.linalg.svd(square)
    return directions.T * jax.lax.rsqrt(jnp.maximum(values**2 + delta, 1e-12))[None]


def _matmul(a, b):
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
