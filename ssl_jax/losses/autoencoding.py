"""The two terms of a discrete variational autoencoder: how likely pixels are, and how far tokens are from a prior."""

import math

import jax
import jax.numpy as jnp

from ssl_jax.losses.across import AxisName, mean
from ssl_jax.losses.checks import check_shape
from ssl_jax.losses.rows import absolute

_EDGE = 0.1  # epsilon of equation 3


def map_pixels(pixels: jax.Array) -> jax.Array:
    """Pixels in 0..1, any float type, into 0.1..0.9: what the encoder sees and the decoder is to find, float32.

    Source: Ramesh et al., "Zero-Shot Text-to-Image Generation", 2021, equation 3.
    """
    return (1 - 2 * _EDGE) * pixels.astype(jnp.float32) + _EDGE


def unmap_pixels(mapped: jax.Array) -> jax.Array:
    """The inverse of `map_pixels`, clipped to 0..1, float32."""
    return jnp.clip((mapped.astype(jnp.float32) - _EDGE) / (1 - 2 * _EDGE), 0, 1)


def logit_laplace(predictions: jax.Array, pixels: jax.Array, *, axis_name: AxisName = None) -> jax.Array:
    """Negative log likelihood of pixels under the logit-Laplace distribution, the sigmoid of a Laplace variable.

    With x the mapped pixels (`map_pixels`)::

        loss = mean(ln(2 b x (1 - x)) + |logit(x) - mu| / b)

    Source: Ramesh et al., "Zero-Shot Text-to-Image Generation", 2021, appendix A.3, equation 2. The mean is over all
    values of the global batch, which is the paper's sum over a picture, divided by its number of values (appendix A.2).

    Args:
      predictions: the decoder's output, [..., 2 C], any float type: mu of the C channels, then ln b.
      pixels: in 0..1, [..., C], any float type.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar in nats a value; as of a density it may be below 0.

    Raises:
      ValueError: the shapes do not fit.
    """
    check_shape("predictions", predictions, (*pixels.shape[:-1], 2 * pixels.shape[-1]))
    location, log_scale = jnp.split(predictions.astype(jnp.float32), 2, axis=-1)
    mapped = map_pixels(pixels)
    log_x, log_rest = jnp.log(mapped), jnp.log1p(-mapped)
    distance = absolute(log_x - log_rest - location) * jnp.exp(-log_scale)
    return mean(math.log(2) + log_scale + log_x + log_rest + distance, axis_name)


def uniform_divergence(logits: jax.Array, *, axis_name: AxisName = None) -> jax.Array:
    """How far the distributions of tokens are from the uniform one: the mean of KL(q || uniform), of all places.

    Source: Ramesh et al., "Zero-Shot Text-to-Image Generation", 2021, equation 1 with the uniform prior of section 2.1.
    The paper's term is the sum over a picture's grid.

    Args:
      logits: of q over the V tokens, [..., V], any float type.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar in nats, from 0 (all tokens equally likely everywhere) to ln V.
    """
    log_q = jax.nn.log_softmax(logits.astype(jnp.float32))
    return mean(jnp.sum(jnp.exp(log_q) * log_q, axis=-1) + math.log(logits.shape[-1]), axis_name)
