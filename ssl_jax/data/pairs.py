"""BERT's and ALBERT's training examples: two runs of sentences, of which the second follows the first, or does not.

Devlin et al. 2019, section 3.1 and appendix A.2; Lan et al. 2020, section 3.1. Here every pair is drawn anew each time
it is read, from its key; BERT drew ten sets of pairs in advance.
"""

import dataclasses
from typing import ClassVar, Literal

import numpy as np

from ssl_jax.data import order
from ssl_jax.data.packing import Rows
from ssl_jax.data.vocabulary import Vocabulary

Second = Literal["none", "random", "swapped"]
TOLD = {"none": None, "random": "next", "swapped": "order"}
"""By what the second segment is: the key of an example that says so."""
_SHORT, _LENGTH, _START, _RANDOM, _SPLIT, _DOCUMENT, _SENTENCE, _FRONT = range(8)  # what is drawn from a key


@dataclasses.dataclass(frozen=True)
class Pairs:
    """A source of sequences of fixed length, from rows of sentences of one document.

    Attributes:
      rows: where the text is.
      vocabulary: the special tokens.
      length: tokens of a sequence, special ones included.
      second: what the second segment is: there is none; what follows, or in half of the cases text of another document
        (BERT); what follows, in half of the cases with the first one behind it (ALBERT).
      short: share of the sequences that are made shorter.
    """

    rows: Rows
    vocabulary: Vocabulary
    length: int
    second: Second
    short: float
    threads: ClassVar[int] = 1
    draws: ClassVar[bool] = True

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, indices: np.ndarray, keys: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The sequences made of the rows `indices` (int64 [n]).

        Args:
          indices: which rows.
          keys: uint64 [n], decide what is drawn; None: the rows as they are, in one segment.
        """
        indices = np.asarray(indices, np.int64)
        batch = self._plain(indices) if keys is None else self._drawn(indices, keys)
        return batch | {"label": self.rows.labels(indices)}

    def _plain(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """[CLS] text [SEP]."""
        batch = self._empty(len(indices))
        for row, (first, end) in enumerate(self.rows.rows[indices].tolist()):
            self._fill(batch, row, self.rows.text(first, end)[: self.length - 2])
        return batch

    def _drawn(self, indices: np.ndarray, keys: np.ndarray) -> dict[str, np.ndarray]:
        batch = self._empty(len(indices))
        draws = np.stack([order.uniform(keys, stream) for stream in range(8)], axis=1).tolist()
        for row, (first, end) in enumerate(self.rows.rows[indices].tolist()):
            first, end, target = self._shortened(first, end, draws[row])
            if self.second == "none":
                self._fill(batch, row, self.rows.text(first, end)[:target])
                continue
            pair = self._random if self.second == "random" else self._swapped
            a, b, batch[TOLD[self.second]][row] = pair(first, end, target, draws[row])
            self._fill(batch, row, *truncate(a, b, self.length - 3, draws[row][_FRONT]))
        return batch

    def _shortened(self, first: int, end: int, draws: list[float]) -> tuple[int, int, int]:
        """The sentences to use, and how many tokens to aim at: fewer for a share of the sequences."""
        capacity = self.length - (2 if self.second == "none" else 3)
        if draws[_SHORT] >= self.short:
            return first, end, capacity
        target = 2 + int(draws[_LENGTH] * (capacity - 1))
        first += int(draws[_START] * (end - first))
        return first, self._run(first, end, target), target

    def _run(self, first: int, end: int, target: int) -> int:
        """The end of the shortest run of sentences from `first` that holds `target` tokens, at most `end`."""
        starts = self.rows.sentences
        enough = np.searchsorted(starts[first + 1 : end + 1], starts[first] + target)
        return min(first + 1 + int(enough), end)

    def _middle(self, first: int, end: int, draws: list[float]) -> int:
        """A sentence between `first` and `end` that the second segment begins with; `end` where there is one only."""
        return first + 1 + int(draws[_SPLIT] * (end - first - 1))

    def _random(self, first: int, end: int, target: int, draws: list[float]) -> tuple[np.ndarray, np.ndarray, int]:
        """Segment A, segment B, and 1 if B is from another document. A single sentence always gets such a B."""
        middle = self._middle(first, end, draws)
        a = self.rows.text(first, middle)
        if end - first > 1 and draws[_RANDOM] >= 0.5:
            return a, self.rows.text(middle, end), 0
        return a, self._elsewhere(first, max(1, target - len(a)), draws), 1

    def _elsewhere(self, sentence: int, target: int, draws: list[float]) -> np.ndarray:
        """About `target` tokens from a random place of another document than that of `sentence`."""
        offsets = self.rows.documents
        other = int(draws[_DOCUMENT] * (len(offsets) - 2))
        other += other >= self.rows.document(sentence)
        first, end = int(offsets[other]), int(offsets[other + 1])
        first += int(draws[_SENTENCE] * (end - first))
        return self.rows.text(first, self._run(first, end, target))

    def _swapped(self, first: int, end: int, target: int, draws: list[float]) -> tuple[np.ndarray, np.ndarray, int]:
        """Segment A, segment B, and 1 if B stands before A.

        A single sentence is cut between two of its tokens; one of a single token takes the sentence after it along, or
        before it (a document of one token alone has an empty segment). The authors' code takes B from another document
        where there is one sentence only.
        """
        del target
        whole = self.rows.text(first, end)
        if len(whole) < 2:
            begins, ends = self.rows.documents[self.rows.document(first) + np.arange(2)]
            first, end = (first, end + 1) if end < ends else (max(first - 1, begins), end)
            whole = self.rows.text(first, end)
        if end - first > 1:
            cut = len(self.rows.text(first, self._middle(first, end, draws)))
        else:
            cut = 1 + int(draws[_SPLIT] * (len(whole) - 1))
        swapped = draws[_RANDOM] < 0.5
        return (whole[cut:], whole[:cut], 1) if swapped else (whole[:cut], whole[cut:], 0)

    def _empty(self, count: int) -> dict[str, np.ndarray]:
        shape, told = (count, self.length), TOLD[self.second]
        tokens = np.full(shape, self.vocabulary.pad_id, np.int32)
        answers = {told: np.zeros(count, np.int32)} if told else {}
        return {"tokens": tokens, "segments": np.zeros(shape, np.int32), **answers}

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
