"""Sums, means and rows of a batch that may be spread over a mapped axis.

Gradients, with `axis_name` given (the tests hold each of these to the one-device gradient):

* taken outside `jax.shard_map` or `jax.pmap`, of the replicated loss: exact as they are;
* taken inside `jax.shard_map` (`check_vma=True`, the default): exact as they are, with respect to a device's own
  rows and to replicated parameters (JAX sums the latter over the devices);
* taken inside `jax.pmap`, or inside `jax.shard_map(check_vma=False)`: JAX differentiates the *sum of all devices'
  copies* of the loss there. So average parameter gradients with `jax.lax.pmean`, as is usual (never `psum`);
  gradients with respect to a device's own rows come out times the number of devices.
"""

import jax
import jax.numpy as jnp
from jax import lax

AxisName = str | tuple[str, ...] | None


def gather_rows(rows: jax.Array, axis_name: AxisName) -> jax.Array:
    """All devices' rows, in device order: [n, ...] -> [n * devices, ...]. Gradients flow back to their owner."""
    return rows if axis_name is None else lax.all_gather(rows, axis_name, tiled=True)


def total(value: jax.Array, axis_name: AxisName) -> jax.Array:
    """The sum of all entries, over all devices."""
    value = jnp.sum(value)
    return value if axis_name is None else lax.psum(value, axis_name)


def mean(values: jax.Array, axis_name: AxisName) -> jax.Array:
    """The mean of all entries, over all devices (each holds as many)."""
    value = jnp.mean(values)
    return value if axis_name is None else lax.pmean(value, axis_name)


def weighted_mean(values: jax.Array, weights: jax.Array, axis_name: AxisName) -> jax.Array:
    """`sum(weights * values) / sum(weights)`, both sums over all devices; 0 where every weight is 0.

    Values of weight 0 do not count even when they are not finite (their gradient is the caller's affair).
    """
    kept = jnp.where(weights > 0, values * weights, 0.0)
    count = total(weights, axis_name)
    return total(kept, axis_name) / jnp.where(count > 0, count, 1.0)


def log_sum_exp(values: jax.Array, axis: int, axis_name: AxisName, *, keepdims: bool = False) -> jax.Array:
    """`log sum exp(values)` over one axis, and over all devices."""
    if axis_name is None:
        return jax.nn.logsumexp(values, axis=axis, keepdims=keepdims)
    largest = lax.pmax(lax.stop_gradient(jnp.max(values, axis=axis, keepdims=True)), axis_name)
    largest = jnp.where(jnp.isfinite(largest), largest, 0.0)
    summed = lax.psum(jnp.sum(jnp.exp(values - largest), axis=axis, keepdims=True), axis_name)
    result = jnp.log(summed) + largest
    return result if keepdims else jnp.squeeze(result, axis)


def size(rows: int, axis_name: AxisName) -> int:
    """How many rows all devices hold together."""
    return rows if axis_name is None else rows * lax.axis_size(axis_name)


def row_numbers(rows: int, axis_name: AxisName) -> jax.Array:
    """The place of each local row in the global batch: int32 [rows]."""
    first = 0 if axis_name is None else lax.axis_index(axis_name) * rows
    return first + jnp.arange(rows)
