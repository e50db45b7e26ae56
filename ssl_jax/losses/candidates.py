"""The true one among candidates, each of which may be left out."""

import jax
import jax.numpy as jnp

from ssl_jax.losses.tiles import NEVER


def true_among(positives: jax.Array, negatives: jax.Array, counted: jax.Array) -> jax.Array:
    """`-log(exp(p) / (exp(p) + sum exp(n)))` over the negatives that are counted.

    Args:
      positives: scores of the true candidates, float32 [...].
      negatives: scores of the others, float32 [..., M].
      counted: which of the others there are, bool [..., M].

    Returns:
      float32 [...]; 0 where there are no others.
    """
    negatives = jnp.where(counted, negatives, NEVER)
    return jax.nn.softplus(jax.nn.logsumexp(negatives, axis=-1) - positives)


def check_negatives(negatives: jax.Array, places: tuple[int, int]) -> None:
    """Indices [N, T, M] of at least one negative for each place.

    Raises:
      ValueError: they are anything else.
    """
    if negatives.ndim != 3 or negatives.shape[:2] != tuple(places) or not negatives.shape[2]:
        raise ValueError(f"negatives must be {(*places, 'M')} with M at least 1, not {negatives.shape}")
    if not jnp.issubdtype(negatives.dtype, jnp.integer):
        raise ValueError(f"negatives must be integers, not {negatives.dtype}")
