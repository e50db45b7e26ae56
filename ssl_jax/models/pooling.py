"""From the frames of a sequence to one vector, or one number."""

import jax
import jax.numpy as jnp


def mean_of_frames(states: jax.Array, frames: jax.Array) -> jax.Array:
    """The mean over the real frames of each example, in float32; 0 where there is none.

    Args:
      states: [..., B, F, W], any float type.
      frames: int [B], how many of the F are real.

    Returns:
      float32 [..., B, W].
    """
    weights = (jnp.arange(states.shape[-2])[None, :] < frames[:, None]).astype(jnp.float32)
    weights = weights / jnp.maximum(weights.sum(-1, keepdims=True), 1)
    return jnp.einsum("...bfw,bf->...bw", states.astype(jnp.float32), weights)


def mean_square(features: jax.Array, frames: jax.Array) -> jax.Array:
    """The mean square of all features of real frames, a float32 scalar; 0 where there is none.

    Args:
      features: [B, F, W], any float type.
      frames: int [B], how many of the F are real.
    """
    there = jnp.arange(features.shape[1])[None, :] < frames[:, None]
    squares = jnp.where(there, jnp.mean(jnp.square(features.astype(jnp.float32)), -1), 0.0)
    return jnp.sum(squares) / jnp.maximum(jnp.sum(there), 1)
