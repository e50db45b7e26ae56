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
    word_starts: jax.Array | None = None,
    max_ngram: int = 1,
) -> dict[str, jax.Array]:
    """BERT's masking of one sequence.

    A fixed share of the ordinary tokens is chosen for prediction: `rate` times their number, rounded, at least one,
    at most `max_predictions`. Of those, `mask_share` become [MASK], `random_share` a random entry of the whole
    vocabulary, and the rest stay as they are.

    With `word_starts` whole words are chosen, and with `max_ngram` runs of some words. Words are gone through in random
    order; from each a run is drawn, of n words with a probability proportional to 1 / n, shortened until its tokens
    still fit into the same number, and taken if none of them is taken yet. A sequence may so end up with some fewer
    (with none, where it is of one token and all words are of several). What becomes of each token is drawn for itself.

    Source: Devlin et al., "BERT", 2019, section 3.1 and appendix A.1, and the authors' code, which also predicts a
    fixed number (transformers' collator draws each token by itself instead) but counts [CLS] and [SEP] into the
    number of tokens that the rate is taken of. Whole words: that code's README, release of May 31st, 2019, and Cui et
    al., "Pre-Training with Whole Word Masking for Chinese BERT", 2021; there a continuation behind a [SEP] belongs to
    the last word in front of it, here it is a word of its own. transformers' collator draws each token and hides all
    of its word, so that long words are hidden more often. Runs: Lan et al., "ALBERT", 2020, section 4.1, and the
    authors' code.

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
      word_starts: bool [vocab_size], True for tokens that begin a word; None: every token is one.
      max_ngram: the most words of a run.

    Returns:
      `tokens` int32 [S], as the model sees them; `positions` int32 [M], ascending; `targets` int32 [M], the original
      tokens there; `weights` float32 [M], 1 for a prediction. Unused places come last and are 0 in all three.

    Raises:
      ValueError: a share or the rate is impossible, `max_ngram` is below 1, or `max_predictions` not between 1 and S.
    """
    _check_settings(tokens.shape[0], max_predictions, rate, mask_share, random_share, max_ngram)
    choose_key, replace_key = jax.random.split(key)
    tokens = tokens.astype(jnp.int32)
    candidates = is_ordinary(tokens, special_ids)
    count = _count(candidates, rate, max_predictions)
    if word_starts is None and max_ngram == 1:
        positions, used = _choose(choose_key, candidates, count, max_predictions)
    else:
        words = _words(candidates, True if word_starts is None else jnp.asarray(word_starts)[tokens])
        positions, used = _first(_choose_words(choose_key, words, count, max_ngram), max_predictions)
    targets = jnp.where(used, tokens[positions], 0)
    shown = _replacements(replace_key, targets, mask_id, vocab_size, mask_share, random_share)
    outside = tokens.shape[0]  # a scatter drops what is out of range
    return {
        "tokens": tokens.at[jnp.where(used, positions, outside)].set(shown, mode="drop"),
        "positions": positions,
        "targets": targets,
        "weights": used.astype(jnp.float32),
    }


def is_ordinary(tokens: jax.Array, special_ids: tuple[int, ...]) -> jax.Array:
    """Which of `tokens` int [S] are none of the special ones: bool [S]."""
    special = jnp.asarray(special_ids, dtype=jnp.int32)
    return ~jnp.any(tokens[:, None] == special[None, :], axis=1)


def _count(candidates, rate, max_predictions):
    """How many tokens are to be predicted."""
    available = jnp.sum(candidates)
    count = jnp.minimum(jnp.maximum(jnp.round(rate * available), 1), max_predictions)
    return jnp.minimum(count, available)


def _choose(key, candidates, count, max_predictions):
    """Random positions among the candidates, ascending, unused ones 0 and last: int32 [M], bool [M]."""
    length = candidates.shape[0]
    scores = jnp.where(candidates, jax.random.uniform(key, (length,)), -1.0)
    _, drawn = jax.lax.top_k(scores, max_predictions)
    used = jnp.arange(max_predictions) < count
    positions = jnp.sort(jnp.where(used, drawn, length))
    return jnp.where(used, positions, 0).astype(jnp.int32), used


def _first(chosen, most):
    """The positions where `chosen` bool [S] is True, ascending, unused ones 0 and last: int32 [M], bool [M]."""
    length = chosen.shape[0]
    positions = jnp.sort(jnp.where(chosen, jnp.arange(length), length))[:most]
    used = positions < length
    return jnp.where(used, positions, 0).astype(jnp.int32), used


def _words(candidates, begins):
    """The number of the word that each token is part of, from 0, and S at what is no candidate: int32 [S]."""
    before = jnp.pad(candidates[:-1], (1, 0))
    starts = candidates & (begins | ~before)
    return jnp.where(candidates, jnp.cumsum(starts) - 1, candidates.shape[0]).astype(jnp.int32)


def _choose_words(key, words, count, max_ngram):
    """The tokens of runs of words, gone through in random order, that still fit into `count` tokens: bool [S]."""
    length = words.shape[0]
    order_key, ngram_key = jax.random.split(key)
    order = jax.random.permutation(order_key, length)
    ngrams = jnp.arange(1, max_ngram + 1)
    drawn = 1 + jax.random.categorical(ngram_key, -jnp.log(ngrams), shape=(length,))
    sizes = jnp.zeros(length + max_ngram, jnp.int32).at[words].add(words < length)
    before = jnp.cumsum(sizes) - sizes  # tokens in front of a word

    def goes_on(state):
        _, room, number = state
        return (room > 0) & (number < length)

    def try_one(state):
        chosen, room, number = state
        first = order[number]
        tokens = before[first + ngrams] - before[first]
        most = jnp.max(jnp.where((ngrams <= drawn[number]) & (tokens <= room), ngrams, 0))
        run = (words >= first) & (words < first + most) & (words < length)
        run = run & ~jnp.any(run & chosen)
        return chosen | run, room - jnp.sum(run), number + 1

    start = (jnp.zeros(length, bool), count.astype(jnp.int32), jnp.int32(0))
    return jax.lax.while_loop(goes_on, try_one, start)[0]


def _replacements(key, targets, mask_id, vocab_size, mask_share, random_share):
    share_key, word_key = jax.random.split(key)
    share = jax.random.uniform(share_key, targets.shape)
    words = jax.random.randint(word_key, targets.shape, 0, vocab_size, dtype=jnp.int32)
    shown = jnp.where(share < mask_share + random_share, words, targets)
    return jnp.where(share < mask_share, jnp.int32(mask_id), shown)


def _check_settings(length, max_predictions, rate, mask_share, random_share, max_ngram):
    if not 0 < rate <= 1:
        raise ValueError(f"rate {rate} is not in (0, 1]")
    if not 1 <= max_predictions <= length:
        raise ValueError(f"max_predictions {max_predictions} is not between 1 and the sequence length {length}")
    if mask_share < 0 or random_share < 0 or mask_share + random_share > 1 + 1e-6:
        raise ValueError(f"mask_share {mask_share} and random_share {random_share} must be parts of 1")
    if max_ngram < 1:
        raise ValueError(f"max_ngram {max_ngram} is not at least 1")
