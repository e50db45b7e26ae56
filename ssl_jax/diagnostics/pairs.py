"""How close positive pairs are, and how evenly everything is spread on the sphere.

Source: Wang and Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the
Hypersphere", 2020, equations in section 4.1.
"""

import jax
import jax.numpy as jnp

from ssl_jax.diagnostics.spread import unit_length


def alignment(first: jax.Array, second: jax.Array, *, alpha: float = 2.0) -> jax.Array:
    """`mean_i |x_i - y_i|^alpha` at unit length: 0 when both views agree, 2 on average for unrelated ones (alpha 2).

    Args:
      first: embeddings of the first views, [N, D], any float type.
      second: embeddings of the second views, [N, D].
      alpha: the exponent.

    Returns:
      A float32 scalar.
    """
    squared = jnp.sum(jnp.square(unit_length(first) - unit_length(second)), axis=1)
    return jnp.mean(squared ** (alpha / 2))


def uniformity(embeddings: jax.Array, *, t: float = 2.0) -> jax.Array:
    """`log mean_{i<j} exp(-t |x_i - x_j|^2)` at unit length: 0 when all coincide, lower is more even.

    Holds an N x N matrix.

    Args:
      embeddings: [N, D], any float type, N at least 2.
      t: how quickly distance stops to matter.

    Returns:
      A float32 scalar.

    Raises:
      ValueError: there are fewer than two embeddings.
    """
    n = embeddings.shape[0]
    if n < 2:
        raise ValueError(f"uniformity needs at least 2 embeddings, not {n}")
    rows = unit_length(embeddings)
    similarities = jnp.matmul(rows, rows.T, precision=jax.lax.Precision.HIGHEST)
    squared = jnp.maximum(jnp.diag(similarities)[:, None] + jnp.diag(similarities)[None, :] - 2 * similarities, 0)
    others = jnp.where(jnp.eye(n, dtype=bool), -jnp.inf, -t * squared)
    return jax.nn.logsumexp(others) - jnp.log(float(n * (n - 1)))
