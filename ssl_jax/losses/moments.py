"""Means and covariances of a batch that may be spread over a mapped axis."""

import jax
import jax.numpy as jnp
from jax import lax

from ssl_jax.losses.across import AxisName, size


def batch_mean(values: jax.Array, axis_name: AxisName) -> jax.Array:
    """The mean over the global batch, which is the first axis: [N, ...] -> [...]."""
    value = jnp.mean(values, axis=0)
    return value if axis_name is None else lax.pmean(value, axis_name)


def centered(values: jax.Array, axis_name: AxisName) -> jax.Array:
    """Less the mean over the global batch."""
    return values - batch_mean(values, axis_name)[None]


def second_moment(a: jax.Array, b: jax.Array, axis_name: AxisName) -> jax.Array:
    """The mean over the global batch of the outer products: [N, ..., D], [N, ..., E] -> [..., D, E]."""
    product = jnp.einsum("n...d,n...e->...de", a, b, precision=lax.Precision.HIGHEST) / a.shape[0]
    return product if axis_name is None else lax.pmean(product, axis_name)


def check_rows(least: int, rows: int, axis_name: AxisName, why: str) -> None:
    """The global batch has `least` rows.

    Raises:
      ValueError: it has fewer.
    """
    if size(rows, axis_name) < least:
        raise ValueError(f"the batch must have at least {least} rows, not {size(rows, axis_name)}: {why}")
