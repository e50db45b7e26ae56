"""What the methods of sound have in common: means over the real frames of what a network hears."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.models.pooling import mean_of_frames


def check_span(encoder: nnx.Module, view: Any, span: int) -> None:
    """Raises a ValueError where a hidden span is longer than what is heard."""
    shape = getattr(view, "shape", None)
    if shape is not None and span > encoder.frames(shape[0]):
        few = f"the {encoder.frames(shape[0])} frames of a view; lower it or raise config.data.seconds"
        raise ValueError(f"span {span} is more than {few}")


def embed(encoder: nnx.Module, view: Any, batch: Mapping[str, jax.Array]) -> jax.Array:
    """Mean of the encoder's output over the real frames of each recording: [B, width]."""
    heard = jax.vmap(view.evaluate)(batch)
    return mean_of_frames(encoder(**heard), encoder.frames(heard["length"]))


def embed_layers(encoder: nnx.Module, view: Any, batch: Mapping[str, jax.Array]) -> jax.Array:
    """The same of what each of its layers gives: [B, depth, width]."""
    heard = jax.vmap(view.evaluate)(batch)
    return jnp.moveaxis(mean_of_frames(encoder.states(**heard), encoder.frames(heard["length"])), 0, 1)
