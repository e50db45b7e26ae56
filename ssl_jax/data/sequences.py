"""Sources of sequences that hold text as it stands: whole documents one after the other, parts of one, sentences.

Nothing is drawn here. Examples are dicts: `tokens` int32 [length], padded at the end, `segments` int32 [length], all 0,
`label` int32, and where a sequence can hold several documents `parts` int32 [length]: 1 in the first of them, 2 in the
next, and so on, 0 at padding.
"""

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from ssl_jax.data.documents import Documents
from ssl_jax.data.packing import Rows
from ssl_jax.data.vocabulary import Vocabulary

Part = tuple[np.ndarray, bool]  # tokens of one document, and whether a [SEP] follows them


@dataclasses.dataclass(frozen=True)
class Passages:
    """A source of sequences with text of one document each: [CLS] whole sentences [SEP], labelled."""

    rows: Rows
    vocabulary: Vocabulary
    length: int
    threads: ClassVar[int] = 1
    draws: ClassVar[bool] = False

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, indices: np.ndarray, keys: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The sequences `indices` (int64 [n]); `keys` is not used: nothing is drawn."""
        del keys
        parts = [[(self.rows.text(first, end), True)] for first, end in self.rows.rows[indices].tolist()]
        return _laid_out(parts, self.rows.labels(indices), self.vocabulary, self.length)


@dataclasses.dataclass(frozen=True)
class FullSentences:
    """A source of RoBERTa's sequences: [CLS], whole sentences of consecutive documents, a [SEP] after each document.

    Liu et al. 2019, section 4.2, FULL-SENTENCES. The label is -1, as there can be several documents.
    """

    rows: Rows
    vocabulary: Vocabulary
    length: int
    threads: ClassVar[int] = 1
    draws: ClassVar[bool] = False

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, indices: np.ndarray, keys: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The sequences `indices` (int64 [n]); `keys` is not used: nothing is drawn."""
        del keys
        parts = [list(self._parts(first, end)) for first, end in self.rows.rows[indices].tolist()]
        return _laid_out(parts, _no_labels(indices), self.vocabulary, self.length)

    def _parts(self, first: int, end: int) -> Iterator[Part]:
        document = int(self.rows.document(first))
        while first < end:
            document += 1
            stop = min(end, int(self.rows.documents[document]))
            yield self.rows.text(first, stop), True
            first = stop


@dataclasses.dataclass(frozen=True)
class Stream:
    """A source of sequences without padding: [CLS], and a stretch of all documents, a [SEP] after each of them.

    Every token of the store is in one sequence; the last one is padded. The label is -1.
    """

    store: Documents
    vocabulary: Vocabulary
    length: int
    threads: ClassVar[int] = 1
    draws: ClassVar[bool] = False

    @property
    def stretch(self) -> int:
        """Tokens of the stream in one sequence."""
        return self.length - len(self.vocabulary.first)

    def __len__(self) -> int:
        return -(-int(self.store.stream[-1]) // self.stretch)

    def read(self, indices: np.ndarray, keys: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The sequences `indices` (int64 [n]); `keys` is not used: nothing is drawn."""
        del keys
        starts = np.asarray(indices, np.int64) * self.stretch
        documents = np.searchsorted(self.store.stream, starts, side="right") - 1
        parts = [list(self._parts(*row)) for row in zip(starts.tolist(), documents.tolist(), strict=True)]
        return _laid_out(parts, _no_labels(indices), self.vocabulary, self.length)

    def _parts(self, start: int, document: int) -> Iterator[Part]:
        """What stands from `start`, which is in `document`. Place p of document d of the stream is token p - d."""
        stream, end = self.store.stream, min(start + self.stretch, int(self.store.stream[-1]))
        while start < end:
            ends = int(stream[document + 1])  # behind its [SEP]
            stop = min(end, ends)
            closed = stop == ends
            yield self.store.tokens[start - document : stop - closed - document], closed
            start, document = stop, document + 1


@dataclasses.dataclass(frozen=True)
class Sentences:
    """A source of one sentence each, in the order of the text: [CLS] sentence [SEP]; what does not fit is left out."""

    store: Documents
    vocabulary: Vocabulary
    length: int
    threads: ClassVar[int] = 1
    draws: ClassVar[bool] = False

    def __len__(self) -> int:
        return len(self.store.sentences) - 1

    def read(self, indices: np.ndarray, keys: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The sentences `indices` (int64 [n]); `keys` is not used: nothing is drawn."""
        del keys
        indices = np.asarray(indices, np.int64)
        starts, room = self.store.sentences, self.length - len(self.vocabulary.first) - 1
        spans = zip(starts[indices].tolist(), starts[indices + 1].tolist(), strict=True)
        parts = [[(self.store.tokens[start : min(end, start + room)], True)] for start, end in spans]
        batch = _laid_out(parts, self.store.labels[self.document(indices)], self.vocabulary, self.length)
        return {key: value for key, value in batch.items() if key != "parts"}

    def document(self, indices: np.ndarray) -> np.ndarray:
        """The numbers (int64 [n]) of the documents that hold the sentences `indices`."""
        return np.searchsorted(self.store.documents, indices, side="right") - 1


def _no_labels(indices: np.ndarray) -> np.ndarray:
    return np.full(len(indices), -1, np.int32)


def _laid_out(rows: list[list[Part]], labels: np.ndarray, vocabulary: Vocabulary, length: int) -> dict[str, np.ndarray]:
    """A batch with the documents' parts of each row behind a [CLS], where the vocabulary has one."""
    tokens = np.full((len(rows), length), vocabulary.pad_id, np.int32)
    numbers = np.zeros((len(rows), length), np.int32)
    for row, parts in enumerate(rows):
        place = len(vocabulary.first)
        tokens[row, :place], numbers[row, :place] = vocabulary.first, 1
        for number, (text, closed) in enumerate(parts, 1):
            end = place + len(text)
            tokens[row, place:end] = text
            if closed:
                tokens[row, end] = vocabulary.sep_id
            numbers[row, place : end + closed] = number
            place = end + closed
    return {"tokens": tokens, "segments": np.zeros_like(tokens), "label": np.asarray(labels), "parts": numbers}
