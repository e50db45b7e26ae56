"""How well counting words guesses hidden ones: what a language model must beat."""

from collections.abc import Iterable, Mapping

import numpy as np


def ngram_accuracy(
    training: Iterable[np.ndarray],
    held_out: Iterable[Mapping[str, np.ndarray]],
    *,
    vocab_size: int,
    never_asked: tuple[int, ...],
    name: str = "masked_accuracy",
) -> dict[str, float]:
    """Accuracy of unigram and bigram guesses at the very positions that a language model is asked about.

    The unigram guess is the most frequent target anywhere; the bigram guess is the token that most often followed the
    token to the left of the hidden one (as it is shown, so a hidden left neighbour tells nothing; then the unigram
    guess is taken).

    Args:
      training: batches of token ids, int [B, S], special tokens included.
      held_out: batches: `tokens` int [B, S] as shown, `positions`, `targets` int [B, M], `weights` [B, M].
      vocab_size: number of token ids.
      never_asked: tokens that are no targets, and so never guessed.
      name: of the model's own accuracy.

    Returns:
      `NAME_unigram` and `NAME_bigram`, 0..1.
    """
    following, frequent = _most_frequent(training, vocab_size, never_asked)
    right, count = np.zeros(2), 0.0
    for views in held_out:
        tokens, positions = np.asarray(views["tokens"]), np.asarray(views["positions"])
        targets, weights = np.asarray(views["targets"]), np.asarray(views["weights"])
        left = np.take_along_axis(tokens, np.maximum(positions - 1, 0), axis=1)
        right += [((guess == targets) * weights).sum() for guess in (frequent, following[left])]
        count += weights.sum()
    unigram, bigram = right / max(count, 1.0)
    return {f"{name}_unigram": float(unigram), f"{name}_bigram": float(bigram)}


def _most_frequent(
    training: Iterable[np.ndarray], vocab_size: int, never_asked: tuple[int, ...]
) -> tuple[np.ndarray, int]:
    """The likeliest token after each token [vocab_size], and the likeliest of all."""
    pairs: dict[int, int] = {}
    counts = np.zeros(vocab_size, np.int64)
    for tokens in training:
        tokens = np.asarray(tokens, np.int64)
        counts += np.bincount(tokens.ravel(), minlength=vocab_size)
        codes, numbers = np.unique(tokens[:, :-1] * vocab_size + tokens[:, 1:], return_counts=True)
        for code, number in zip(codes.tolist(), numbers.tolist()):
            pairs[code] = pairs.get(code, 0) + number
    counts[list(never_asked)] = 0
    frequent = int(counts.argmax())
    following, best = np.full(vocab_size, frequent), np.zeros(vocab_size, np.int64)
    for code, number in pairs.items():
        left, right = divmod(code, vocab_size)
        if number > best[left] and right not in never_asked:
            following[left], best[left] = right, number
    return following, frequent
