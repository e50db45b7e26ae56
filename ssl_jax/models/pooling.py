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


def deviation_of_places(x: jax.Array, mask: jax.Array) -> jax.Array:
    """The mean over features of their deviation over some places, a float32 scalar without a gradient.

    0 where all places look alike, as those of a collapsed network do.

    Args:
      x: [B, F, W], any float type.
      mask: 1 (or True) at the places that count, [B, F].
    """
    x, weights = jax.lax.stop_gradient(x).astype(jnp.float32), mask[:, :, None].astype(jnp.float32)
    count = jnp.maximum(mask.sum(), 1)
    mean = jnp.sum(x * weights, (0, 1), keepdims=True) / count
    return jnp.mean(jnp.sqrt(jnp.sum(jnp.square(x - mean) * weights, (0, 1)) / count))
