"""T5's corruption: spans of a text are taken out, each for a token that stands for it."""

import jax
import jax.numpy as jnp
import numpy as np


def span_numbers(length: int, *, rate: float = 0.15, mean_span: float = 3.0) -> tuple[int, int]:
    """How many of `length` tokens are hidden, and in how many spans.

    Both are rounded; one span at least, and before each at least one token that stays. Of fewer than two tokens none is
    hidden.
    """
    if length < 2:
        return 0, 0
    hidden = min(max(round(length * rate), 1), length - 1)
    return hidden, min(max(round(hidden / mean_span), 1), length - hidden)


def corrupted_sizes(longest: int, *, rate: float = 0.15, mean_span: float = 3.0) -> tuple[int, int, int]:
    """Of texts of up to `longest` tokens: the most tokens of input and output, ends included, and the most spans."""
    numbers = [(length, *span_numbers(length, rate=rate, mean_span=mean_span)) for length in range(longest + 1)]
    inputs = max(length - hidden + spans for length, hidden, spans in numbers)
    outputs = max(hidden + spans for _, hidden, spans in numbers)
    return inputs + 1, outputs + 1, max(spans for *_, spans in numbers)


def span_corruption(
    key: jax.Array,
    tokens: jax.Array,
    length: jax.Array,
    *,
    sentinel_ids: tuple[int, ...],
    end_id: int,
    pad_id: int,
    rate: float = 0.15,
    mean_span: float = 3.0,
) -> dict[str, jax.Array]:
    """Takes random spans out of one text; what is to be written is the spans.

    With sentinels s0, s1, ...: "A B C D E F G" may become "A B s0 E F s1 [end]", to be continued with
    "s0 C D s1 G [end]". The hidden tokens, a fixed share, are cut into spans, and what stays into as many stretches, at
    places that are drawn uniformly; a text begins with such a stretch and ends with a span.

    Source: Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", 2020,
    sections 3.1.4 and 3.3.4 (15 %, 3 tokens), and the authors' code (`random_spans_noise_mask` and what follows it),
    which takes texts of one length alone. Figure 2 of the paper has a last sentinel behind the spans, the code has not.

    Args:
      key: of this example.
      tokens: int32 [S].
      length: int, how many of them are text; the others, behind it, are left out.
      sentinel_ids: stand for the spans, in this order; as many as there can be.
      end_id: ends input and output.
      pad_id: fills both up.
      rate: share of the tokens that are hidden.
      mean_span: tokens of a span on average.

    Returns:
      `tokens` int32 [I], what is read; `targets` int32 [O], what is to be written; `weights` float32 [O], 1 there, 0 at
      padding. I and O are those of `corrupted_sizes`.

    Raises:
      ValueError: a setting is impossible, or there are too few sentinels.
    """
    size = tokens.shape[0]
    if not 0 < rate < 1:
        raise ValueError(f"rate {rate} is not between 0 and 1")
    if mean_span < 1:
        raise ValueError(f"mean_span {mean_span} is below 1 token")
    inputs, outputs, most = corrupted_sizes(size, rate=rate, mean_span=mean_span)
    if len(sentinel_ids) < most:
        raise ValueError(f"sentinel_ids holds {len(sentinel_ids)} tokens for up to {most} spans")
    table = np.array([span_numbers(count, rate=rate, mean_span=mean_span) for count in range(size + 1)])
    hidden_count, spans = jnp.asarray(table, jnp.int32)[length]
    hidden = _hidden(key, length, hidden_count, spans, size, most)
    first = hidden & ~jnp.pad(hidden[:-1], (1, 0))
    number = jnp.cumsum(first)
    sentinels = jnp.asarray(sentinel_ids[: max(most, 1)], jnp.int32)[jnp.maximum(number - 1, 0)]
    tokens = tokens.astype(jnp.int32)

    kept = (jnp.arange(size) < length) & (~hidden | first)
    read = _put(inputs, pad_id, jnp.cumsum(kept) - 1, jnp.where(first, sentinels, tokens), kept)
    read = read.at[length - hidden_count + spans].set(end_id)
    place = jnp.cumsum(hidden) - 1 + number
    written = _put(outputs, pad_id, place, tokens, hidden)
    written = _put(outputs, written, place - 1, sentinels, first)
    written = written.at[hidden_count + spans].set(end_id)
    weights = (jnp.arange(outputs) <= hidden_count + spans).astype(jnp.float32)
    return {"tokens": read, "targets": written, "weights": weights}


def _hidden(key, length, count, spans, size, most):
    """bool [size]: the spans, `count` tokens in all of `length`; they alternate with what stays."""
    keys = jax.random.split(key)
    stays = _pieces(keys[0], length - count, spans, size, most)
    goes = _pieces(keys[1], count, spans, size, most)
    ends = jnp.cumsum(jnp.stack([stays, goes], axis=1).reshape(-1))
    index = jnp.arange(size)
    return (jnp.sum(ends[None, :] <= index[:, None], axis=1) % 2 == 1) & (index < length)


def _pieces(key, count, pieces, size, most):
    """The lengths of `pieces` pieces, each at least 1, that `count` is cut into: int32 [most], 0 behind them."""
    index = jnp.arange(size)
    inner = (index > 0) & (index < count)
    order = jnp.argsort(jnp.where(inner, jax.random.uniform(key, (size,)), 2.0))
    rank = jnp.zeros(size, jnp.int32).at[order].set(index)
    begins = inner & (rank < pieces - 1)
    return jnp.zeros(most, jnp.int32).at[jnp.cumsum(begins)].add((index < count).astype(jnp.int32), mode="drop")


def _put(size, background, places, values, chosen):
    """The chosen values at their places of an array of `size`, whatever stands there otherwise."""
    array = jnp.broadcast_to(jnp.asarray(background, jnp.int32), (size,))
    return array.at[jnp.where(chosen, places, size)].set(values, mode="drop")
