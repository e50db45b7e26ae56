"""How much of their space the embeddings use."""

import jax
import jax.numpy as jnp

from ssl_jax.losses.rows import unit_length


def rank_me(embeddings: jax.Array, *, eps: float = 1e-7) -> jax.Array:
    """RankMe, a smooth count of the dimensions in use: `exp(-sum_k p_k log p_k)`, `p_k = s_k / sum(s) + eps`.

    `s` are the singular values of the embeddings, neither centred nor normalised. Between 1 (one direction, or all
    zero) and min(N, D). Source: Garrido et al., "RankMe: Assessing the Downstream Performance of Pretrained
    Self-Supervised Representations by Their Rank", 2023, section 3, with their eps, in which implementations
    differ. The value depends on N, so compare equal numbers of examples (the paper uses 25,600).

    Args:
      embeddings: [N, D], any float type.
      eps: added to each p.

    Returns:
      A float32 scalar.
    """
    return exp_entropy(jnp.linalg.svd(embeddings.astype(jnp.float32), compute_uv=False), eps)


def exp_entropy(values: jax.Array, eps: float = 0.0) -> jax.Array:
    """How many of these values count: `exp(-sum_k p_k log p_k)`, `p_k = value_k / sum(values) + eps`, values >= 0.

    As many as there are when all are equal, 1 when one alone is above 0 or none is.
    """
    total = jnp.sum(values)
    p = values / jnp.where(total > 0, total, 1.0) + eps
    return jnp.exp(-jnp.sum(jax.scipy.special.xlogy(p, p)))


def embedding_std(embeddings: jax.Array) -> jax.Array:
    """The standard deviation of each dimension of the embeddings at unit length, averaged over dimensions.

    Near `1 / sqrt(D)` when directions are spread evenly, 0 on complete collapse. Source: Chen and He, "Exploring
    Simple Siamese Representation Learning", 2021, section 4.1 and figure 2.

    Args:
      embeddings: [N, D], any float type.

    Returns:
      A float32 scalar.
    """
    return jnp.mean(jnp.std(unit_length(embeddings), axis=0))
