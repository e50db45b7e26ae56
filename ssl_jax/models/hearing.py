"""What the methods of sound have in common: means over the real frames of what a network hears."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.models.pooling import mean_of_frames


def embed(encoder: nnx.Module, view: Any, batch: Mapping[str, jax.Array]) -> jax.Array:
    """Mean of the encoder's output over the real frames of each recording: [B, width]."""
    heard = jax.vmap(view.evaluate)(batch)
    return mean_of_frames(encoder(**heard), encoder.frames(heard["length"]))


def embed_layers(encoder: nnx.Module, view: Any, batch: Mapping[str, jax.Array]) -> jax.Array:
    """The same of what each of its layers gives: [B, depth, width]."""
    heard = jax.vmap(view.evaluate)(batch)
    return jnp.moveaxis(mean_of_frames(encoder.states(**heard), encoder.frames(heard["length"])), 0, 1)
