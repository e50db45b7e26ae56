"""How likely held-out text is to a language model, token by token."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from ssl_jax.losses import tokens as token_losses

Views = Mapping[str, jax.Array]


def masked_log_likelihoods(
    logits_at: Callable[[Views], jax.Array], views: Views, *, mask_id: int, special_ids: tuple[int, ...]
) -> tuple[jax.Array, jax.Array]:
    """The pseudo-log-likelihood of texts: of each token, from all the others, when it alone is masked.

    Source: Salazar et al., "Masked Language Model Scoring", 2020, equation 1. Special tokens are seen and not scored.
    It takes as many passes as a text has places.

    Args:
      logits_at: from `tokens` and `positions` int [B, 1] among other views, logits [B, 1, V] there.
      views: of B texts, `tokens` int [B, S] as they are.
      mask_id: the token that hides.
      special_ids: tokens that are not scored.

    Returns:
      float32 [B], the sum over the tokens of a text, in nats; int32 [B], their number.
    """
    tokens = views["tokens"]
    scored = ~jnp.isin(tokens, jnp.asarray(special_ids))

    def at(place: jax.Array) -> jax.Array:
        hidden = tokens.at[:, place].set(mask_id)
        positions = jnp.full((len(tokens), 1), place)
        logits = logits_at({**views, "tokens": hidden, "positions": positions})
        return -token_losses.cross_entropy(logits[:, 0], tokens[:, place])

    by_place = jax.lax.map(at, jnp.arange(tokens.shape[1]))
    return jnp.sum(by_place.T * scored, axis=1), jnp.sum(scored, axis=1, dtype=jnp.int32)


def next_log_likelihoods(logits: jax.Array, views: Views) -> tuple[jax.Array, jax.Array]:
    """The log-likelihood of texts: of each token, from those before it.

    Args:
      logits: [B, M, V], for each token that is guessed.
      views: of these `targets` int [B, M], and `weights` [B, M], 0 at padding.

    Returns:
      float32 [B], the sum over the tokens of a text, in nats; int32 [B], their number.
    """
    counted = views["weights"] > 0
    chances = -token_losses.cross_entropy(logits, views["targets"])
    return jnp.sum(chances * counted, axis=1), jnp.sum(counted, axis=1, dtype=jnp.int32)
