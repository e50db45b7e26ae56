"""Means over the places that count: hidden patches, predicted tokens, pairs of words."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from ssl_jax.losses.across import AxisName, weighted_mean


def mean_of_places(
    loss: Callable[..., jax.Array], arrays: Sequence[jax.Array], weights: jax.Array, axis_name: AxisName
) -> jax.Array:
    """The weighted mean of `loss(*arrays)` over all places of the global batch; 0 where no place has a weight.

    Places of weight 0 are zeros before the loss sees them. What stood there, NaN or an index out of range, matters
    neither in the value nor in the gradient.

    Args:
      loss: takes the arrays, floats in float32; returns float32 in the shape of `weights`.
      arrays: each in the shape of `weights`, and any axes after those.
      weights: of any type; none is negative.
      axis_name: the mapped axis that holds the rest of the batch, if any.
    """
    kept = (only_counted(array, weights) for array in arrays)
    return weighted_mean(loss(*kept), weights.astype(jnp.float32), axis_name)


def only_counted(array: jax.Array, weights: jax.Array) -> jax.Array:
    """`array`, in float32 if it is of floats, with zeros at places of weight 0."""
    array = array.astype(jnp.float32) if jnp.issubdtype(array.dtype, jnp.floating) else jnp.asarray(array)
    counted = (weights > 0).reshape(weights.shape + (1,) * (array.ndim - weights.ndim))
    return jnp.where(counted, array, jnp.zeros_like(array))
