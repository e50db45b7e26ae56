"""What the methods of text have in common: how a row is read, states at some places, guesses there, means."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import losses
from ssl_jax.models import attending

Views = Mapping[str, jax.Array]


def laid_out(batch: Views, pad_id: int) -> dict[str, jax.Array]:
    """What of a batch of text says where its tokens belong.

    Args:
      batch: `tokens` and `segments` int [B, S]; `parts` int [B, S], where a row may hold several documents.
      pad_id: the token that fills up.

    Returns:
      `segments`, and `parts`: 0 at padding, else the number of the document within the row (1, where none is told).
    """
    real = batch["tokens"] != pad_id
    return {"segments": batch["segments"], "parts": batch.get("parts", real.astype(jnp.int32))}


def read(
    encoder: nnx.Module, views: Views, *, apart: bool = False, train: bool = False, key: jax.Array | None = None
) -> jax.Array:
    """The states of rows of text.

    Args:
      encoder: a text transformer.
      views: `tokens`, and `segments` and `parts` as `laid_out` gives them, int [B, S].
      apart: documents of one row do not see each other, and the places of each are counted from 0.
      train: drop.
      key: of the drawing.

    Returns:
      [B, S, F].
    """
    mask, positions = seen(views["parts"], apart=apart)
    return encoder(views["tokens"], views["segments"], mask, positions=positions, train=train, key=key)


def seen(parts: jax.Array, *, apart: bool) -> tuple[jax.Array, jax.Array | None]:
    """Who is attended to, bool [B, S] or [B, S, S], and positions int [B, S] or None, as `read` says."""
    return (attending.within_parts(parts), attending.positions_within(parts)) if apart else (parts > 0, None)


def at_positions(states: jax.Array, positions: jax.Array) -> jax.Array:
    """States [B, S, F] at `positions` int [B, M]: [B, M, F]."""
    return jnp.take_along_axis(states, positions[:, :, None], axis=1)


def guessed(logits: jax.Array, views: Views) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The loss of hidden tokens, and how many are guessed.

    Args:
      logits: [B, M, V], at the hidden positions.
      views: `targets` int [B, M] and `weights` [B, M] of them.

    Returns:
      A float32 scalar (`losses.masked_lm`); metrics `masked_lm_loss` and `masked_accuracy`.
    """
    loss = losses.masked_lm(logits, views["targets"], views["weights"])
    return loss, {"masked_lm_loss": loss, "masked_accuracy": accuracy(logits, views["targets"], views["weights"])}


def accuracy(logits: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
    """The weighted share of `logits` [..., V] that are largest at `targets` int [...]: a float32 scalar."""
    right = (logits.argmax(-1) == targets) * weights
    return right.sum() / jnp.maximum(weights.sum(), 1)


def embed(encoder: nnx.Module, batch: Views, pad_id: int) -> jax.Array:
    """Mean of the encoder's states over the tokens of each row that are no padding: float32 [B, F]."""
    views = batch | laid_out(batch, pad_id)
    return mean_of_tokens(read(encoder, views), views["parts"] > 0)


def embed_layers(encoder: nnx.Module, batch: Views, pad_id: int) -> jax.Array:
    """The same of what each block gives: float32 [B, depth, F]."""
    real = batch["tokens"] != pad_id
    states = encoder.states(batch["tokens"], batch["segments"], real)
    return jax.vmap(mean_of_tokens, (0, None), 1)(states, real)


def mean_of_tokens(states: jax.Array, real: jax.Array) -> jax.Array:
    """Mean of states [B, S, F] over the places where `real`, bool [B, S]: float32 [B, F]."""
    weights = real[:, :, None].astype(jnp.float32)
    return (states.astype(jnp.float32) * weights).sum(1) / jnp.maximum(weights.sum(1), 1)


def of_kind(encoder: nnx.Module) -> dict[str, Any]:
    """Settings that heads share with their encoder."""
    return dict(initializer_range=encoder.initializer_range, gelu=encoder.gelu, dtype=encoder.dtype)


def check_reads_both_ways(method: str, encoder: nnx.Module) -> None:
    """Raises a ValueError where a token does not see what is behind it."""
    if encoder.causal:
        raise ValueError(f"{method} reads what is behind a token too: set config.model.causal to False")


def check_guesses(method: str, encoder: nnx.Module, view: Any) -> None:
    """Raises a ValueError where `view` does not hide tokens one by one and say where, as `guessed` needs it.

    Or where the encoder does not see what is behind them.
    """
    check_reads_both_ways(method, encoder)
    if not getattr(view, "lists", False):
        raise ValueError(f"{method} guesses hidden tokens: set config.views.name to 'bert'")


def check_one_text(method: str, view: Any) -> None:
    """Raises a ValueError where sequences have two segments of which something is to be told."""
    if view.told:
        raise ValueError(
            f"{method} has no task for a second segment: set config.data.layout to 'full_sentences', or "
            "config.data.second_segment to 'none'"
        )


def check_segments(encoder: nnx.Module, view: Any) -> None:
    """Raises a ValueError where sequences have two segments and the encoder has one kind."""
    if view.told and encoder.segments is not None and encoder.segments.num_embeddings < 2:
        raise ValueError("sequences have two segments: set config.model.segments to 2, or to 0 to have neither marked")


def token_head(encoder: nnx.Module) -> dict[str, Any]:
    """Arguments of `MLMHead` on an encoder."""
    fitting = dict(embedding_width=encoder.embedding_width, epsilon=encoder.epsilon)
    return dict(width=encoder.features, vocab_size=encoder.vocab_size) | fitting | of_kind(encoder)
