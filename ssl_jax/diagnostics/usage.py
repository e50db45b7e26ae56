"""How many prototypes, or entries of a codebook, are used."""

import jax
import jax.numpy as jnp

from ssl_jax.diagnostics.spread import exp_entropy


def perplexity(assignments: jax.Array, *, num_codes: int | None = None, weights: jax.Array | None = None) -> jax.Array:
    """The exponential of the entropy of the mean usage: as many codes as if those in use were used equally.

    As in transformers' wav2vec 2.0, for one codebook (there it is the sum over codebooks). The authors' code in fairseq
    adds 1e-7 inside of the logarithm.

    Args:
      assignments: probabilities, [N, K], any float type; or codes, int [N]. Codes below 0, and those of K or more, do
        not count.
      num_codes: K, which codes need.
      weights: how much each row counts, [N]; None: all equally. Rows of weight 0 do not count even when NaN.

    Returns:
      A float32 scalar, from 1 (one code alone, or no row that counts) to K.

    Raises:
      ValueError: the shapes do not fit (each other or `num_codes`), or codes come without `num_codes`.
    """
    return exp_entropy(jnp.sum(weighted_usage(assignments, num_codes, weights), axis=0))


def weighted_usage(
    assignments: jax.Array,
    count: int | None,
    weights: jax.Array | None,
    names: tuple[str, str] = ("assignments", "num_codes"),
) -> jax.Array:
    """Each row's probabilities times its weight, float32 [N, K]; `names` is what the caller calls the first two.

    Raises:
      ValueError: shapes that do not go together.
    """
    name, count_name = names
    if jnp.issubdtype(assignments.dtype, jnp.integer):
        if assignments.ndim != 1 or count is None:
            shape = assignments.shape
            raise ValueError(f"{name} of integers must be [N] and come with {count_name}, not {shape} and {count}")
        assignments = jax.nn.one_hot(assignments, count)
    if assignments.ndim != 2:
        raise ValueError(f"{name} must be probabilities [N, K] or codes, int [N], not {assignments.shape}")
    if count is not None and assignments.shape[1] != count:
        raise ValueError(f"{name} must be [N, K] with K {count_name}, not {assignments.shape} with {count}")
    assignments = assignments.astype(jnp.float32)
    if weights is None:
        return assignments
    if weights.shape != assignments.shape[:1]:
        raise ValueError(f"weights must be {assignments.shape[:1]}, not {weights.shape}")
    return jnp.where(weights[:, None] > 0, weights[:, None].astype(jnp.float32) * assignments, 0.0)
