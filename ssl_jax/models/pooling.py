"""From the frames of a sequence to one vector, or to numbers."""

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


def share_right(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The share of `logits` [..., K] that are largest at `labels`, int [...]: a float32 scalar."""
    return jnp.mean((logits.argmax(-1) == labels).astype(jnp.float32))


def target_metrics(predictions: jax.Array, truths: jax.Array, mask: jax.Array) -> dict[str, jax.Array]:
    """What to watch where states are predicted: float32 scalars without a gradient.

    Args:
      predictions: [B, F, W], any float type.
      truths: the same shape.
      mask: 1 (or True) at the places that count, [B, F].

    Returns:
      `target_deviation` and `prediction_deviation`, the mean over features of their deviation over the places, 0 where
      all places look alike, as those of a collapsed network do; and `target_skill`, the share of the squared error of
      always predicting the truths' own mean that the predictions save: at most 1, below 0 where they are worse, 0 where
      the truths are all alike.
    """
    predictions, truths = (jax.lax.stop_gradient(x).astype(jnp.float32) for x in (predictions, truths))
    weights, count = mask[:, :, None].astype(jnp.float32), jnp.maximum(mask.sum(), 1)
    mean = lambda x: jnp.sum(x * weights, (0, 1), keepdims=True) / count
    variance = lambda x: jnp.sum(jnp.square(x - mean(x)) * weights, (0, 1)) / count
    error = jnp.sum(jnp.square(predictions - truths) * weights) / count
    of_mean, rounding = variance(truths).sum(), 1e-6 * jnp.sum(jnp.square(truths) * weights) / count
    varied = of_mean > rounding
    deviations = {"target_deviation": truths, "prediction_deviation": predictions}
    metrics = {name: jnp.mean(jnp.sqrt(variance(x))) for name, x in deviations.items()}
    return metrics | {"target_skill": jnp.where(varied, 1 - error / jnp.where(varied, of_mean, 1), 0)}
