"""How well counting words guesses hidden ones: what a language model must beat."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy import sparse

_PRIOR = 2.0  # counts that the frequency of a word is worth beside those of its neighbours
_QUESTIONS = 100_000  # after which no more neighbours on both sides are looked up
_NONE = -1  # a token that stands beyond the end


def ngram_accuracy(
    training: Iterable[np.ndarray],
    held_out: Iterable[Mapping[str, np.ndarray]],
    *,
    vocab_size: int,
    never_asked: tuple[int, ...],
    both_sides: bool = False,
    name: str = "masked_accuracy",
) -> dict[str, float]:
    """Accuracy of guesses by counts at the very positions that a language model is asked about.

    The unigram guess is the most frequent target anywhere; the bigram guess is the token that most often followed the
    token to the left of the hidden one (as it is shown, so a hidden left neighbour tells nothing; then the unigram
    guess is taken). The guess by both sides is the likeliest w of P(w | left) P(right | w), each of them counted, with
    2 more counts for how frequent tokens are, padding counted; a neighbour that is hidden, or not there, tells nothing.

    Args:
      training: batches of token ids, int [B, S], special tokens included.
      held_out: batches: `tokens` int [B, S] as shown, `positions`, `targets` int [B, M], `weights` [B, M].
      vocab_size: number of token ids.
      never_asked: tokens that are no targets, and so never guessed.
      both_sides: whether what is to the right of a hidden token is seen too.
      name: of the model's own accuracy.

    Returns:
      `NAME_unigram` and `NAME_bigram`, 0..1, and with `both_sides` `NAME_both_sides`, of the batches up to the
      100,000th position.
    """
    pairs, counts = _counted(training, vocab_size)
    asked = np.ones(vocab_size, bool)
    asked[list(never_asked)] = False
    frequent = int(np.where(asked, counts, -1).argmax())
    following, between = _following(pairs, asked, frequent), _Between(pairs, counts, asked)
    right, count, of_both, told = np.zeros(2), 0.0, 0.0, 0.0
    for views in held_out:
        tokens, positions = np.asarray(views["tokens"]), np.asarray(views["positions"])
        targets, weights = np.asarray(views["targets"]), np.asarray(views["weights"])
        left = np.take_along_axis(tokens, np.maximum(positions - 1, 0), axis=1)
        right += [((guess == targets) * weights).sum() for guess in (frequent, following[left])]
        count += weights.sum()
        if both_sides and told < _QUESTIONS:
            beyond = np.pad(tokens, ((0, 0), (1, 1)), constant_values=_NONE)
            both = [np.take_along_axis(beyond, positions + step, axis=1)[weights > 0] for step in (0, 2)]
            guesses = [between.guess(*pair) for pair in zip(*(tokens.tolist() for tokens in both))]
            of_both += ((np.array(guesses) == targets[weights > 0]) * weights[weights > 0]).sum()
            told += weights.sum()
    unigram, bigram = right / max(count, 1.0)
    scores = {f"{name}_unigram": float(unigram), f"{name}_bigram": float(bigram)}
    return scores | ({f"{name}_both_sides": float(of_both / max(told, 1.0))} if both_sides else {})


def _counted(training: Iterable[np.ndarray], vocab_size: int) -> "tuple[sparse.csr_array, np.ndarray]":
    """How often each token followed each, [vocab_size, vocab_size], and how often each was there."""
    from scipy import sparse  # imported here because it takes a while

    pairs = sparse.csr_array((vocab_size, vocab_size), dtype=np.int64)
    counts = np.zeros(vocab_size, np.int64)
    for tokens in training:
        tokens = np.asarray(tokens, np.int64)
        counts += np.bincount(tokens.ravel(), minlength=vocab_size)
        first, second = tokens[:, :-1].ravel(), tokens[:, 1:].ravel()
        ones = np.ones(len(first), np.int64)
        pairs = pairs + sparse.coo_array((ones, (first, second)), shape=pairs.shape).tocsr()
    return pairs, counts


def _following(pairs: "sparse.csr_array", asked: np.ndarray, frequent: int) -> np.ndarray:
    """The likeliest token after each token, [vocab_size]; of equals the first."""
    found = np.full(len(asked), frequent)
    for left in range(len(asked)):
        start, end = pairs.indptr[left : left + 2]
        times = np.where(asked[pairs.indices[start:end]], pairs.data[start:end], 0)
        if times.any():
            best = times == times.max()
            found[left] = pairs.indices[start:end][best].min()
    return found


class _Between:
    """Guesses what stands between two tokens; each pair is looked up once."""

    def __init__(self, pairs: "sparse.csr_array", counts: np.ndarray, asked: np.ndarray):
        self._after, self._before = pairs, pairs.tocsc()
        self._total = counts + _PRIOR
        self._often = _PRIOR * counts / max(counts.sum(), 1)
        self._start = np.where(asked, self._often, 0.0)
        self._asked, self._known = asked, {}

    def guess(self, left: int, right: int) -> int:
        """The likeliest token."""
        if (left, right) not in self._known:
            likely = self._start.copy()
            if left != _NONE:
                _add(likely, self._after, left, self._asked)
            if right != _NONE and self._often[right] > 0:
                before = np.full(len(likely), self._often[right])
                _add(before, self._before, right, self._asked)
                likely = likely * before / self._total
            self._known[left, right] = int(likely.argmax())
        return self._known[left, right]


def _add(scores, counted, index, asked):
    """Adds one row (or column) of counts to the scores of tokens that are asked for."""
    start, end = counted.indptr[index : index + 2]
    places = counted.indices[start:end]
    scores[places] += counted.data[start:end] * asked[places]
