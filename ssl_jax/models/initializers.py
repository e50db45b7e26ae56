"""How layers start in PyTorch and Haiku, where a method's official code leaves it to the library."""

import jax
import jax.numpy as jnp
from flax import nnx

TORCH_KERNEL = nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""Of linear layers and convolutions: uniform within 1 / sqrt(inputs) of 0."""


def torch_bias(inputs: int) -> nnx.Initializer:
    """Of their biases: uniform within 1 / sqrt(inputs) of 0, where `inputs` are numbers that an output is made of."""
    bound = inputs**-0.5
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, -bound, bound)


def haiku_kernel(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
    """Of linear layers in Haiku: normal with a deviation of 1 / sqrt(inputs), cut at two of them (0.88 is left)."""
    return nnx.initializers.truncated_normal(shape[0] ** -0.5)(key, shape, dtype)
