"""Which stretches of a sequence are hidden."""

import jax
import jax.numpy as jnp


def random_spans(key: jax.Array, frames: jax.Array, *, start_rate: float = 0.065, span: int = 10) -> jax.Array:
    """Hides spans of one sequence that start at random frames and may overlap.

    `start_rate * L + u` starts, rounded down, with L the number of frames and u uniform in [0, 1), so that their
    number is right on average; drawn without replacement among the L - span + 1 frames from which a whole span fits.

    Source: Baevski et al., "wav2vec 2.0", 2020, section 4.2 (0.065 and 10); Hsu et al., "HuBERT", 2021, starts at
    0.08 of the frames. `mask_prob` in fairseq and transformers is `start_rate * span`. As in transformers, which also
    allows no more than T / span starts (of consequence where `start_rate * span` is above 1). fairseq never starts at
    the last possible frame, and by default takes frames off until all sequences of a device's batch have as many
    hidden ones.

    Args:
      key: of this example.
      frames: 1 (or True) for the L frames, 0 for the padding behind them, [T].
      start_rate: the share of frames that start a span.
      span: how many frames a span has.

    Returns:
      float32 [T]: 1 where hidden. Nothing is where the sequence is shorter than a span.

    Raises:
      ValueError: `frames` is not a vector, or a setting is impossible.
    """
    if frames.ndim != 1:
        raise ValueError(f"frames must be [T], not {frames.shape}; use jax.vmap over a batch")
    if not 0 <= start_rate <= 1:
        raise ValueError(f"start_rate {start_rate} is not between 0 and 1")
    if not 1 <= span <= frames.shape[0]:
        raise ValueError(f"span {span} is not between 1 and the sequence length {frames.shape[0]}")
    count_key, place_key = jax.random.split(key)
    length = jnp.sum(frames > 0)
    places = length - span + 1
    count = jnp.floor(start_rate * length + jax.random.uniform(count_key)).astype(jnp.int32)
    index = jnp.arange(frames.shape[0])
    scores = jnp.where(index < places, jax.random.uniform(place_key, index.shape), 2.0)
    chosen = index < jnp.minimum(count, jnp.maximum(places, 0))  # of the places in random order
    starts = jnp.zeros(index.shape, jnp.int32).at[jnp.argsort(scores)].set(chosen.astype(jnp.int32))
    begun = jnp.cumsum(starts)
    ended = jnp.pad(begun, (span, 0))[: index.size]
    return (begun > ended).astype(jnp.float32)
