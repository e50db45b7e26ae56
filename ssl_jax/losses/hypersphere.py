"""Closeness of positives and evenness of everything on the unit sphere.

Source: Wang and Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the
Hypersphere", 2020, equations in section 4.1.
"""

import jax
import jax.numpy as jnp

from ssl_jax.losses import pairs
from ssl_jax.losses.across import AxisName, log_sum_exp, mean, row_numbers, size
from ssl_jax.losses.checks import check_positive, check_same
from ssl_jax.losses.rows import unit_length


def alignment(x: jax.Array, y: jax.Array, *, alpha: float = 2.0, axis_name: AxisName = None) -> jax.Array:
    """`mean_i |x_i - y_i|^alpha` at unit length: 0 when both views agree, 2 on average for unrelated ones (alpha 2).

    Source: Wang and Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the
    Hypersphere", 2020, section 4.1.1.

    Args:
      x: embeddings of the first views, [N, D], any float type. Row i belongs with row i of `y`.
      y: embeddings of the second views, [N, D].
      alpha: the exponent.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      The mean over the pairs of the global batch, a float32 scalar. Its gradient is 0 for pairs that coincide.

    Raises:
      ValueError: the shapes differ or are not matrices, or `alpha` is not positive.
    """
    check_same("[N, D]", x=x, y=y)
    check_positive(alpha=alpha)
    squared = jnp.sum(jnp.square(unit_length(x) - unit_length(y)), axis=1)
    apart = squared > 0
    return mean(jnp.where(apart, jnp.where(apart, squared, 1.0) ** (alpha / 2), 0.0), axis_name)


def uniformity(x: jax.Array, *, t: float = 2.0, block_size: int | None = None, axis_name: AxisName = None) -> jax.Array:
    """`log mean_{i<j} exp(-t |x_i - x_j|^2)` at unit length: 0 when all coincide, lower is more even.

    Source: Wang and Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the
    Hypersphere", 2020, section 4.1.2. The paper averages it over the two views' batches; this is of one batch.

    Args:
      x: embeddings, [N, D], any float type, N at least 2 over all devices.
      t: how quickly distance stops to matter.
      block_size: None, or rows of a block, for memory that grows with N (`ssl_jax.losses.pairs`).
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar.

    Raises:
      ValueError: `x` is not a matrix, `t` is not positive, or there are fewer than two embeddings.
    """
    check_same("[N, D]", x=x)
    check_positive(t=t)
    n = size(x.shape[0], axis_name)
    if n < 2:
        raise ValueError(f"uniformity needs at least 2 embeddings, not {n}")
    x = unit_length(x)
    # Products of rows [2t x, -t |x|^2, 1] with columns [x, 1, -t |x|^2] are -t |x_i - x_j|^2.
    squares, ones = jnp.sum(x * x, axis=1, keepdims=True), jnp.ones((x.shape[0], 1), jnp.float32)
    rows = jnp.concatenate([2 * t * x, -t * squares, ones], axis=1)
    columns = jnp.concatenate([x, ones, -t * squares], axis=1)
    tags = (row_numbers(x.shape[0], axis_name),)
    options = dict(score=pairs.but_equal_tags, block_size=block_size, axis_name=axis_name)
    sums = pairs.log_sum_exp(rows, columns, tags, tags, **options)
    return log_sum_exp(sums, 0, axis_name) - jnp.log(float(n) * (n - 1))
