"""Which tokens of a text are hidden, and what stands in their place."""

import jax
import jax.numpy as jnp


def bert_tokens(
    key: jax.Array,
    tokens: jax.Array,
    *,
    special_ids: tuple[int, ...],
    mask_id: int,
    vocab_size: int,
    max_predictions: int,
    rate: float = 0.15,
    mask_share: float = 0.8,
    random_share: float = 0.1,
) -> dict[str, jax.Array]:
    """BERT's masking of one sequence.

    A fixed share of the ordinary tokens is chosen for prediction: `rate` times their number, rounded, at least one,
    at most `max_predictions`. Of those, `mask_share` become [MASK], `random_share` a random entry of the whole
    vocabulary, and the rest stay as they are.

    Source: Devlin et al., "BERT", 2019, section 3.1 and appendix A.1, and the authors' code, which also predicts a
    fixed number (transformers' collator draws each token by itself instead) but counts [CLS] and [SEP] into the
    number of tokens that the rate is taken of.

    Args:
      key: of this example.
      tokens: int32 [S], padding included.
      special_ids: tokens that are never chosen: [PAD], [CLS], [SEP] and the like.
      mask_id: the [MASK] token.
      vocab_size: random replacements are drawn from 0 to `vocab_size - 1`.
      max_predictions: M, the static size of what comes back.
      rate: the share of ordinary tokens to predict.
      mask_share: of the chosen, how many are replaced by [MASK].
      random_share: of the chosen, how many are replaced by a random token.

    Returns:
      `tokens` int32 [S], as the model sees them; `positions` int32 [M], ascending; `targets` int32 [M], the original
      tokens there; `weights` float32 [M], 1 for a prediction. Unused places come last and are 0 in all three.

    Raises:
      ValueError: a share or the rate is impossible, or `max_predictions` is not between 1 and S.
    """
    _check_settings(tokens.shape[0], max_predictions, rate, mask_share, random_share)
    choose_key, replace_key = jax.random.split(key)
    tokens = tokens.astype(jnp.int32)
    positions, used = _choose(choose_key, _ordinary(tokens, special_ids), rate, max_predictions)
    targets = jnp.where(used, tokens[positions], 0)
    shown = _replacements(replace_key, targets, mask_id, vocab_size, mask_share, random_share)
    outside = tokens.shape[0]  # a scatter drops what is out of range
    return {
        "tokens": tokens.at[jnp.where(used, positions, outside)].set(shown, mode="drop"),
        "positions": positions,
        "targets": targets,
        "weights": used.astype(jnp.float32),
    }


def _ordinary(tokens, special_ids):
    special = jnp.asarray(special_ids, dtype=jnp.int32)
    return ~jnp.any(tokens[:, None] == special[None, :], axis=1)


def _choose(key, candidates, rate, max_predictions):
    """Random positions among the candidates, ascending, unused ones 0 and last: int32 [M], bool [M]."""
    length = candidates.shape[0]
    available = jnp.sum(candidates)
    count = jnp.minimum(jnp.maximum(jnp.round(rate * available), 1), max_predictions)
    count = jnp.minimum(count, available)
    scores = jnp.where(candidates, jax.random.uniform(key, (length,)), -1.0)
    _, drawn = jax.lax.top_k(scores, max_predictions)
    used = jnp.arange(max_predictions) < count
    positions = jnp.sort(jnp.where(used, drawn, length))
    return jnp.where(used, positions, 0).astype(jnp.int32), used


def _replacements(key, targets, mask_id, vocab_size, mask_share, random_share):
    share_key, word_key = jax.random.split(key)
    share = jax.random.uniform(share_key, targets.shape)
    words = jax.random.randint(word_key, targets.shape, 0, vocab_size, dtype=jnp.int32)
    shown = jnp.where(share < mask_share + random_share, words, targets)
    return jnp.where(share < mask_share, jnp.int32(mask_id), shown)


def _check_settings(length, max_predictions, rate, mask_share, random_share):
    if not 1 <= max_predictions <= length:
        raise ValueError(f"max_predictions {max_predictions} is not between 1 and the sequence length {length}")
    if not 0 < rate <= 1:
        raise ValueError(f"rate {rate} is not in (0, 1]")
    if mask_share < 0 or random_share < 0 or mask_share + random_share > 1 + 1e-6:
        raise ValueError(f"mask_share {mask_share} and random_share {random_share} must be parts of 1")
