"""How layers start in PyTorch and Haiku, where a method's official code leaves it to the library."""

import jax
import jax.numpy as jnp
from flax import nnx

TORCH_KERNEL = nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""Of linear layers and convolutions: uniform within 1 / sqrt(inputs) of 0."""


def torch_start(inputs: int) -> dict[str, nnx.Initializer]:
    """`kernel_init` and `bias_init`: both uniform within 1 / sqrt(inputs), the numbers that an output is made of."""

    def bias(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -(inputs**-0.5), inputs**-0.5)

    return dict(kernel_init=TORCH_KERNEL, bias_init=bias)


def haiku_kernel(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
    """Of linear layers in Haiku: normal with a deviation of 1 / sqrt(inputs), cut at two of them (0.88 is left)."""
    return nnx.initializers.truncated_normal(shape[0] ** -0.5)(key, shape, dtype)
