"""Stretches of a text that are hidden, token by token."""

import jax
import jax.numpy as jnp

from ssl_jax.masking.spans import random_spans
from ssl_jax.masking.tokens import is_ordinary


def token_spans(
    key: jax.Array,
    tokens: jax.Array,
    *,
    special_ids: tuple[int, ...],
    pad_id: int,
    mask_id: int,
    rate: float = 0.35,
    span: int = 4,
) -> jax.Array:
    """Hides spans of one sequence that start at random places and may overlap, each token behind [MASK].

    `rate / span` of the tokens start a span (see `random_spans`), so that fewer than `rate` are hidden where spans
    overlap. Special tokens stay.

    Source: Baevski et al., "data2vec", 2022, section 4.3, and the authors' code, where special tokens may be hidden
    too and a span at the end may be cut off.

    Args:
      key: of this example.
      tokens: int32 [S], padding behind.
      special_ids: tokens that are never hidden.
      pad_id: the padding token.
      mask_id: the [MASK] token.
      rate: share of the tokens that would be hidden if spans did not overlap.
      span: tokens of a span.

    Returns:
      int32 [S].

    Raises:
      ValueError: a setting is impossible.
    """
    if not 0 < rate <= 1:
        raise ValueError(f"rate {rate} is not in (0, 1]")
    there = tokens != pad_id
    hidden = random_spans(key, there, start_rate=rate / span, span=span) > 0
    return jnp.where(hidden & is_ordinary(tokens, special_ids), jnp.int32(mask_id), tokens.astype(jnp.int32))
