"""What the methods of sound have in common: which frames are real, and what is measured of them."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import losses, masking
from ssl_jax.models.pooling import mean_of_frames


def check_span(encoder: nnx.Module, view: Any, span: int) -> None:
    """Raises a ValueError where a hidden span is longer than what is heard."""
    shape = getattr(view, "shape", None)
    if shape is not None and span > encoder.frames(shape[0]):
        few = f"the {encoder.frames(shape[0])} frames of a view; lower it or raise config.data.seconds"
        raise ValueError(f"span {span} is more than {few}")


def real_frames(encoder: nnx.Module, heard: jax.Array, length: jax.Array) -> jax.Array:
    """Which of the encoder's frames of one recording are not of padding, bool [F].

    Args:
      encoder: says how many frames it makes of how many samples (or frames of a spectrogram).
      heard: the recording, [T, ...].
      length: int, how many of the T are real.
    """
    return jnp.arange(encoder.frames(heard.shape[0])) < encoder.frames(length)


def hidden_spans(
    encoder: nnx.Module, view: Any, key: jax.Array, example: Mapping[str, jax.Array], **spans: Any
) -> dict[str, jax.Array]:
    """One view of one recording, and which of its frames are hidden: what `view` makes, and `mask`, float32 [F].

    Args:
      encoder: says how many frames there are.
      view: makes the `waveform` that is heard, and its `length`.
      key: of this example.
      example: of the data.
      spans: settings of `masking.random_spans`.
    """
    view_key, span_key = jax.random.split(key)
    heard = view.train(view_key, example)
    there = real_frames(encoder, heard["waveform"], heard["length"])
    return {**heard, "mask": masking.random_spans(span_key, there, **spans)}


def unit_metrics(
    logits: jax.Array, units: jax.Array, mask: jax.Array, *, there: jax.Array, counted: jax.Array
) -> dict[str, jax.Array]:
    """How many hidden units are guessed right, by the network and by simple rules, and how many units are in use.

    Args:
      logits: [B, F, C].
      units: int [B, F], the true ones.
      mask: float32 [B, F], 1 where hidden.
      there: bool [B, F], the frames that are not of padding.
      counted: [B, F], 1 where units are counted for their perplexity.

    Returns:
      float32 scalars: the shares `masked_unit_accuracy`, `masked_unit_accuracy_copied` (each hidden unit is guessed to
      be that of the last frame before it that is not hidden; wrong where there is none),
      `masked_unit_accuracy_nearest` (that of the nearest frame that is there and not hidden, of two the one before)
      and `masked_unit_accuracy_commonest` (all are guessed to be the commonest of this batch's hidden ones); and
      `unit_perplexity`, between 1 and C.
    """
    share = lambda right: (right * mask).sum() / jnp.maximum(mask.sum(), 1)
    chosen = jax.nn.one_hot(units, logits.shape[-1])
    length = mask.shape[1]
    places, hidden = jnp.arange(length)[None], (mask > 0) | ~there
    before = jax.lax.cummax(jnp.where(hidden, -length, places), axis=1)
    copied = jnp.take_along_axis(units, jnp.maximum(before, 0), axis=1)
    behind = jax.lax.cummin(jnp.where(hidden, 2 * length, places), axis=1, reverse=True)
    nearest = jnp.where(places - before <= behind - places, before, behind)
    near = jnp.take_along_axis(units, jnp.clip(nearest, 0, length - 1), axis=1)
    commonest = jnp.einsum("bfc,bf->c", chosen, mask).argmax()
    return {
        "masked_unit_accuracy": share(logits.argmax(-1) == units),
        "masked_unit_accuracy_copied": share((copied == units) & (before >= 0)),
        "masked_unit_accuracy_nearest": share((near == units) & (nearest >= 0) & (nearest < length)),
        "masked_unit_accuracy_commonest": share(units == commonest),
        "unit_perplexity": losses.codebook_perplexity(chosen[:, :, None], counted).mean(),
    }


def embed(encoder: nnx.Module, view: Any, batch: Mapping[str, jax.Array]) -> jax.Array:
    """Mean of the encoder's output over the real frames of each recording: [B, width]."""
    heard = jax.vmap(view.evaluate)(batch)
    return mean_of_frames(encoder(**heard), encoder.frames(heard["length"]))


def embed_layers(encoder: nnx.Module, view: Any, batch: Mapping[str, jax.Array]) -> jax.Array:
    """The same of what each of its layers gives: [B, depth, width]."""
    heard = jax.vmap(view.evaluate)(batch)
    return jnp.moveaxis(mean_of_frames(encoder.states(**heard), encoder.frames(heard["length"])), 0, 1)
