"""Who may attend to whom in rows that hold several documents, and where in its document a token stands."""

import jax
import jax.numpy as jnp


def within_parts(parts: jax.Array) -> jax.Array:
    """Keeps the documents of a packed row apart.

    Args:
      parts: int [B, S], 0 at padding, else the number of the document within the row.

    Returns:
      bool [B, S, S] (query, key), True where both are of one document. Padding attends to nothing, and nothing to it.
    """
    return (parts[:, :, None] == parts[:, None, :]) & (parts[:, None, :] > 0)


def positions_within(parts: jax.Array) -> jax.Array:
    """The places of tokens in their documents, each counted from 0.

    Args:
      parts: int [B, S], as for `within_parts`; the tokens of a document lie side by side.

    Returns:
      int32 [B, S]; padding counts as a document too.
    """
    index = jnp.arange(parts.shape[1], dtype=jnp.int32)[None]
    before = jnp.pad(parts[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
    return index - jax.lax.cummax(jnp.where(parts != before, index, 0), axis=1)


def causal(mask: jax.Array) -> jax.Array:
    """What of `mask`, bool [B, S] or [B, S, S] (query, key), does not lie ahead of the query: bool [B, S, S]."""
    length = mask.shape[1]
    return jnp.tril(jnp.ones((length, length), bool))[None] & (mask[:, None, :] if mask.ndim == 2 else mask)
