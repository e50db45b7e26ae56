"""What many losses do to each row, or number, of a batch."""

import jax
import jax.numpy as jnp


def unit_length(rows: jax.Array) -> jax.Array:
    """Rows scaled to length one in float32; those shorter than 1e-6 become zeros, without a gradient."""
    rows = rows.astype(jnp.float32)
    scale = 1 / jnp.maximum(jax.lax.stop_gradient(jnp.max(jnp.abs(rows), axis=-1, keepdims=True)), 1.0)
    squares = jnp.sum(jnp.square(rows * scale), axis=-1, keepdims=True)  # unscaled, those of long rows overflow
    return rows * (scale * jnp.where(squares > 1e-12, jax.lax.rsqrt(jnp.maximum(squares, 1e-12)), 0.0))


def absolute(values: jax.Array) -> jax.Array:
    """`|values|` with the gradient 0 at 0, as in PyTorch, where `jnp.abs` has 1."""
    return values * jnp.sign(values)


def root(squares: jax.Array) -> jax.Array:
    """Square roots, with the gradient 0 at 0, where it is infinite."""
    above = squares > 0
    return jnp.where(above, jnp.sqrt(jnp.where(above, squares, 1.0)), 0.0)
