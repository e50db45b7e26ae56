"""BERT's training examples: two runs of sentences, of which the second follows the first, or does not.

Devlin et al. 2019, section 3.1 and appendix A.2. Here every pair is drawn anew each time it is read, from its key;
BERT drew ten sets of pairs in advance.
"""

import dataclasses

import numpy as np

from ssl_jax.data import order
from ssl_jax.data.documents import Documents
from ssl_jax.data.wordpiece import Vocabulary

_SHORT, _LENGTH, _START, _RANDOM, _SPLIT, _DOCUMENT, _SENTENCE, _FRONT = range(8)  # what is drawn from a key


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Makes sequences of fixed length from chunks of documents.

    Attributes:
      documents: where the text is.
      vocabulary: the special tokens.
      length: tokens of a sequence, special ones included.
      next_sentence: whether there are two segments.
      short: share of the sequences that are made shorter.
    """

    documents: Documents
    vocabulary: Vocabulary
    length: int
    next_sentence: bool
    short: float

    def plain(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """The chunks `indices` as they are: [CLS] text [SEP]."""
        batch = self._empty(len(indices))
        for row, (_, first, end) in enumerate(self.documents.chunks[indices].tolist()):
            self._fill(batch, row, self.documents.text(first, end)[: self.length - 2])
        return batch

    def drawn(self, indices: np.ndarray, keys: np.ndarray) -> dict[str, np.ndarray]:
        """Training examples from the chunks `indices` (int64 [n]), drawn by `keys` (uint64 [n])."""
        batch = self._empty(len(indices))
        draws = np.stack([order.uniform(keys, stream) for stream in range(8)], axis=1).tolist()
        for row, (document, first, end) in enumerate(self.documents.chunks[indices].tolist()):
            first, end, target = self._shortened(first, end, draws[row])
            if self.next_sentence:
                a, b, batch["next"][row] = self._pair(document, first, end, target, draws[row])
                self._fill(batch, row, *truncate(a, b, self.length - 3, draws[row][_FRONT]))
            else:
                self._fill(batch, row, self.documents.text(first, end)[:target])
        return batch

    def _shortened(self, first: int, end: int, draws: list[float]) -> tuple[int, int, int]:
        """The sentences to use, and how many tokens to aim at: fewer for a share of the sequences."""
        capacity = self.length - (3 if self.next_sentence else 2)
        if draws[_SHORT] >= self.short:
            return first, end, capacity
        target = 2 + int(draws[_LENGTH] * (capacity - 1))
        first += int(draws[_START] * (end - first))
        return first, self._run(first, end, target), target

    def _run(self, first: int, end: int, target: int) -> int:
        """The end of the shortest run of sentences from `first` that holds `target` tokens, at most `end`."""
        starts = self.documents.sentences
        enough = np.searchsorted(starts[first + 1 : end + 1], starts[first] + target)
        return min(first + 1 + int(enough), end)

    def _pair(
        self, document: int, first: int, end: int, target: int, draws: list[float]
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Segment A, segment B, and 1 if B is from another document. A single sentence always gets such a B."""
        count = end - first
        middle = first + 1 + int(draws[_SPLIT] * (count - 1))
        a = self.documents.text(first, middle)
        if count > 1 and draws[_RANDOM] >= 0.5:
            return a, self.documents.text(middle, end), 0
        return a, self._elsewhere(document, max(1, target - len(a)), draws), 1

    def _elsewhere(self, document: int, target: int, draws: list[float]) -> np.ndarray:
        """About `target` tokens from a random place of another document."""
        offsets = self.documents.documents
        other = int(draws[_DOCUMENT] * (len(offsets) - 2))
        other += other >= document
        first, end = int(offsets[other]), int(offsets[other + 1])
        first += int(draws[_SENTENCE] * (end - first))
        return self.documents.text(first, self._run(first, end, target))

    def _empty(self, count: int) -> dict[str, np.ndarray]:
        shape = (count, self.length)
        tokens = np.full(shape, self.vocabulary.pad_id, np.int32)
        pairs = {"next": np.zeros(count, np.int32)} if self.next_sentence else {}
        return {"tokens": tokens, "segments": np.zeros(shape, np.int32), **pairs}

    def _fill(self, batch: dict[str, np.ndarray], row: int, a: np.ndarray, b: np.ndarray | None = None) -> None:
        """Writes [CLS] a [SEP], or [CLS] a [SEP] b [SEP] with b as the second segment."""
        tokens, end = batch["tokens"][row], len(a) + 2
        tokens[0], tokens[1 : end - 1], tokens[end - 1] = self.vocabulary.cls_id, a, self.vocabulary.sep_id
        if b is not None:
            tokens[end : end + len(b)], tokens[end + len(b)] = b, self.vocabulary.sep_id
            batch["segments"][row, end : end + len(b) + 1] = 1


def truncate(a: np.ndarray, b: np.ndarray, capacity: int, front: float) -> tuple[np.ndarray, np.ndarray]:
    """Shortens the longer of two segments, then both alike, until they hold at most `capacity` tokens together.

    Args:
      a: first segment.
      b: second segment.
      capacity: tokens that there is room for.
      front: share, in [0, 1), of what is cut that is cut at the beginning; BERT cuts at either end at random.

    Returns:
      The segments; neither is empty if it was not so before and `capacity` is at least 2.
    """
    long_a = max(capacity - len(b), (capacity + 1) // 2)
    long_b = max(capacity - len(a), capacity // 2)
    return _cut(a, long_a, front), _cut(b, long_b, front)


def _cut(tokens: np.ndarray, length: int, front: float) -> np.ndarray:
    excess = max(0, len(tokens) - length)
    start = int(front * (excess + 1))
    return tokens[start : start + len(tokens) - excess]
