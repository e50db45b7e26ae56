"""Which other places a place is told from."""

import jax
import jax.numpy as jnp


def sample_negatives(key: jax.Array, mask: jax.Array, count: int) -> jax.Array:
    """Draws, for each masked place of one sequence, others of the masked places: uniformly, with replacement.

    Source: Baevski et al., "wav2vec 2.0", 2020, section 3.2 (K = 100 distractors). fairseq and transformers draw in
    the same way but need two masked places at least. A mask of all frames that are no padding gives CPC's negatives
    of the same sequence.

    Args:
      key: of this example.
      mask: 1 (or True) at the places that are told apart and drawn from, [T].
      count: K.

    Returns:
      int32 [T, K]. Row t never holds t itself, unless t is not masked or the only masked place: then nothing else.
      `losses.wav2vec2` leaves such negatives out.

    Raises:
      ValueError: `mask` is not a vector, or `count` is not positive.
    """
    if mask.ndim != 1:
        raise ValueError(f"mask must be [T], not {mask.shape}; use jax.vmap over a batch")
    if count < 1:
        raise ValueError(f"count {count} is not positive")
    mask = mask > 0
    length = mask.shape[0]
    itself = jnp.arange(length, dtype=jnp.int32)[:, None]
    masked_first = jnp.argsort(~mask, stable=True).astype(jnp.int32)
    rank = jnp.cumsum(mask)[:, None] - 1
    others = jnp.sum(mask) - 1
    drawn = jax.random.randint(key, (length, count), 0, jnp.maximum(others, 1))
    drawn = drawn + (drawn >= rank)  # skips itself
    negatives = masked_first[jnp.minimum(drawn, length - 1)]
    return jnp.where(mask[:, None] & (others > 0), negatives, itself)
