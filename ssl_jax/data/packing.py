"""Which sentences stand together in a sequence: rows of consecutive sentences, settled once and kept in files.

Sentences that are too long are cut before. A folder of rows holds flat arrays:
  sentences  int64 [sentences + 1], where each sentence, or piece of one, starts in the store's tokens
  documents  int64 [documents + 1], where each document starts in `sentences`
  rows       int64 [rows, 2]: first sentence, sentence after the last
"""

import contextlib
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from ssl_jax.data import files, progress
from ssl_jax.data.documents import Documents

Sentence = tuple[int, bool]  # tokens of a sentence, and whether it is the last of its document
Pack = Callable[[Iterable[Sentence], int], Iterator[tuple[int, int]]]
_DOCUMENTS_AT_A_TIME = 4096


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows of the sentences of a store; opened on first use, so that a worker process opens its own.

    Attributes:
      folder: where `write` put them.
      store: where the tokens are.
    """

    folder: Path
    store: Documents

    @functools.cached_property
    def sentences(self) -> np.ndarray:
        """int64 [sentences + 1], offsets into the store's tokens."""
        return files.mapped(self.folder / "sentences", np.int64)

    @functools.cached_property
    def documents(self) -> np.ndarray:
        """int64 [documents + 1], offsets into `sentences`."""
        return files.mapped(self.folder / "documents", np.int64)

    @functools.cached_property
    def rows(self) -> np.ndarray:
        """int64 [rows, 2]: first sentence, sentence after the last."""
        return files.mapped(self.folder / "rows", np.int64).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self.rows)

    def text(self, first: int, end: int) -> np.ndarray:
        """The tokens of the sentences [first, end)."""
        return self.store.tokens[self.sentences[first] : self.sentences[end]]

    def document(self, sentences: np.ndarray) -> np.ndarray:
        """The documents (int64 [n]) that hold `sentences` (int64 [n])."""
        return np.searchsorted(self.documents, sentences, side="right") - 1

    def labels(self, indices: np.ndarray) -> np.ndarray:
        """The labels (int32 [n]) of the documents in which the rows `indices` (int64 [n]) begin."""
        return np.asarray(self.store.labels[self.document(self.rows[indices, 0])])

    def __getstate__(self) -> dict:
        return {"folder": self.folder, "store": self.store}


def filled(sentences: Iterable[Sentence], capacity: int) -> Iterator[tuple[int, int]]:
    """BERT's rows: of one document, each ends with the sentence that fills it.

    Args:
      sentences: of all documents.
      capacity: tokens of a full row.

    Yields:
      (first sentence, sentence after the last); the last row of a document may be shorter, others longer.
    """
    first = held = 0
    for number, (length, last) in enumerate(sentences):
        held += length
        if held >= capacity or last:
            yield first, number + 1
            first, held = number + 1, 0


def fitting(sentences: Iterable[Sentence], capacity: int) -> Iterator[tuple[int, int]]:
    """Rows of one document that hold as many whole sentences as fit; the same arguments and results."""
    first = held = 0
    for number, (length, last) in enumerate(sentences):
        if held + length > capacity and held:
            yield first, number
            first, held = number, 0
        held += length
        if last:
            yield first, number + 1
            first, held = number + 1, 0


def across(sentences: Iterable[Sentence], capacity: int) -> Iterator[tuple[int, int]]:
    """RoBERTa's rows: as many whole sentences as fit, of one document after the other.

    A token is needed behind each document, and behind the last sentence of a row.
    """
    first = held = count = 0
    for count, (length, last) in enumerate(sentences, 1):
        if held + length + 1 > capacity and held:
            yield first, count - 1
            first, held = count - 1, 0
        held += length + last
    if held:
        yield first, count


def write(store: Documents, longest: int, capacity: int, pack: Pack, folder: Path) -> None:
    """Cuts the sentences of a store and packs them into rows.

    Args:
      store: the documents.
      longest: tokens of the longest piece of a sentence.
      capacity: tokens that a row has room for.
      pack: which sentences stand together: `filled`, `fitting` or `across`.
      folder: an empty folder.
    """
    with contextlib.ExitStack() as stack:
        out = {name: stack.enter_context((folder / name).open("wb")) for name in ("sentences", "documents", "rows")}
        out["documents"].write(np.zeros(1, np.int64).tobytes())
        rows = pack(_cut(store, longest, out["sentences"], out["documents"]), capacity)
        for block in iter(lambda: list(itertools.islice(rows, _DOCUMENTS_AT_A_TIME)), []):
            out["rows"].write(np.array(block, np.int64).tobytes())
        out["sentences"].write(np.array([store.sentences[-1]], np.int64).tobytes())


def _cut(store: Documents, longest: int, sentences, documents) -> Iterator[Sentence]:
    """All sentences, cut; writes on the way where they and their documents start."""
    written, count = 0, len(store.documents) - 1
    for indices in progress.chunks(count, _DOCUMENTS_AT_A_TIME, f"Packing {store.folder.name}"):
        bounds = np.asarray(store.documents[indices[0] : indices[-1] + 2])
        starts, lengths, pieces = _pieces(store.sentences[bounds[0] : bounds[-1] + 1], longest)
        ends = np.cumsum(pieces)[bounds[1:] - bounds[0] - 1]
        sentences.write(starts.tobytes())
        documents.write((written + ends).astype(np.int64).tobytes())
        written += len(starts)
        last = np.zeros(len(lengths), bool)
        last[ends - 1] = True
        yield from zip(lengths.tolist(), last.tolist(), strict=True)


def _pieces(offsets: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Starts and lengths of the pieces of the sentences between `offsets`, and how many each sentence has."""
    sizes = np.diff(offsets)
    pieces = -(-sizes // longest)
    before = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)  # pieces of the same sentence
    starts = np.repeat(np.asarray(offsets[:-1]), pieces) + longest * before
    return starts, np.minimum(longest, np.repeat(sizes, pieces) - longest * before), pieces
