"""Documents as token ids in memory-mapped files: tokens, the sentences they form, and chunks of sentences.

A store is a folder of flat arrays:
  tokens     uint16 or uint32, all tokens, one document after the other
  sentences  int64 [sentences + 1], where each sentence starts in `tokens`
  documents  int64 [documents + 1], where each document starts in `sentences`
  labels     int32 [documents]
  chunks     int64 [chunks, 3]: document, first sentence, sentence after the last
"""

import dataclasses
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ssl_jax.data import progress
from ssl_jax.data.records import Records
from ssl_jax.errors import UserError

if TYPE_CHECKING:
    import tokenizers

_DOCUMENTS_AT_A_TIME = 256
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+")


@dataclasses.dataclass(frozen=True)
class Documents:
    """The store in `folder`; opened on first use, so that a worker process opens its own."""

    folder: Path

    @functools.cached_property
    def tokens(self) -> np.ndarray:
        """uint16 or uint32 [tokens]."""
        wide = (self.folder / "tokens.uint32").exists()
        return self._map("tokens.uint32" if wide else "tokens.uint16", np.uint32 if wide else np.uint16)

    @functools.cached_property
    def sentences(self) -> np.ndarray:
        """int64 [sentences + 1], offsets into `tokens`."""
        return self._map("sentences", np.int64)

    @functools.cached_property
    def documents(self) -> np.ndarray:
        """int64 [documents + 1], offsets into `sentences`."""
        return self._map("documents", np.int64)

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """int32 [documents]."""
        return self._map("labels", np.int32)

    @functools.cached_property
    def chunks(self) -> np.ndarray:
        """int64 [chunks, 3]: document, first sentence, sentence after the last."""
        return self._map("chunks", np.int64).reshape(-1, 3)

    def text(self, first: int, end: int) -> np.ndarray:
        """The tokens of the sentences [first, end)."""
        return self.tokens[self.sentences[first] : self.sentences[end]]

    def _map(self, name: str, dtype: type) -> np.ndarray:
        try:
            return np.memmap(self.folder / name, dtype, mode="r")
        except (OSError, ValueError) as error:
            raise UserError(
                f"{self.folder} is damaged ({name}: {error}): delete it, it will be built again."
            ) from error

    def __getstate__(self) -> dict:
        return {"folder": self.folder}


def write(
    folder: Path,
    records: Records,
    tokenizer: "tokenizers.Tokenizer",
    *,
    text_key: str,
    label_key: str | None,
    sentences: Literal["lines", "punctuation"],
    capacity: int,
) -> None:
    """Tokenizes all documents of `records` into a store; takes memory for a few documents at a time.

    Args:
      folder: an empty folder.
      records: the documents.
      tokenizer: spells them.
      text_key: feature that holds the text.
      label_key: feature that holds the class, if any.
      sentences: how a text is split, see `split`.
      capacity: tokens that a chunk is to hold.

    Raises:
      UserError: there is no text at all.
    """
    dtype = np.uint16 if tokenizer.get_vocab_size() <= 2**16 else np.uint32
    out = _Writer(folder, dtype, capacity)
    what = f"{records.name} ({records.split})"
    with progress.announced(f"Tokenizing {len(records):,} documents of {what} into {folder.parent}"):
        for indices in progress.chunks(len(records), _DOCUMENTS_AT_A_TIME, f"Tokenizing {what}"):
            batch = records.read(indices)
            texts = [split(record[text_key].decode(errors="replace"), sentences) for record in batch]
            labels = [-1 if label_key is None else int(record[label_key]) for record in batch]
            for tokens, label in zip(_encode(tokenizer, texts), labels, strict=True):
                out.add([piece for sentence in tokens for piece in _pieces(sentence, max(1, capacity // 2))], label)
    out.close()
    if not out.chunk_count:
        raise UserError(f"config.data: the split {records.split!r} of {records.name!r} has no text.")


def split(text: str, sentences: Literal["lines", "punctuation"]) -> list[str]:
    """The sentences of a text: its lines, or also what ends with . ! or ? within a line; empty ones are left out."""
    lines = text.splitlines()
    if sentences == "punctuation":
        lines = [sentence for line in lines for sentence in _SENTENCE_END.split(line)]
    return [line for line in lines if line.strip()]


def _encode(tokenizer: "tokenizers.Tokenizer", texts: list[list[str]]) -> Iterator[list[list[int]]]:
    """Token ids of every sentence of every text; all are handed over at once, as the library works in parallel."""
    flat = [sentence for text in texts for sentence in text]
    encoded = iter(tokenizer.encode_batch_fast(flat, add_special_tokens=False))
    for text in texts:
        yield [next(encoded).ids for _ in text]


def _pieces(sentence: list[int], longest: int) -> Iterator[list[int]]:
    """A sentence, cut where it is too long: so that a full chunk has at least two, to be split between."""
    for start in range(0, len(sentence), longest):
        yield sentence[start : start + longest]


class _Writer:
    """Appends documents to the files of a store."""

    def __init__(self, folder: Path, dtype: type, capacity: int):
        names = (f"tokens.{np.dtype(dtype).name}", "sentences", "documents", "labels", "chunks")
        self._files = [(folder / name).open("wb") for name in names]
        self._dtype, self._capacity = dtype, capacity
        self._tokens = self._sentences = self._documents = self.chunk_count = 0
        self._append(1, [0], np.int64)
        self._append(2, [0], np.int64)

    def add(self, sentences: list[list[int]], label: int) -> None:
        """Appends one document; one without text is left out."""
        if not sentences:
            return
        lengths = [len(sentence) for sentence in sentences]
        self._append(0, [token for sentence in sentences for token in sentence], self._dtype)
        self._append(1, self._tokens + np.cumsum(lengths), np.int64)
        chunks = [
            (self._documents, self._sentences + first, self._sentences + end)
            for first, end in pack(lengths, self._capacity)
        ]
        self._append(4, chunks, np.int64)
        self._append(3, [label], np.int32)
        self._tokens += sum(lengths)
        self._sentences += len(lengths)
        self._documents += 1
        self.chunk_count += len(chunks)
        self._append(2, [self._sentences], np.int64)

    def close(self) -> None:
        for file in self._files:
            file.close()

    def _append(self, file: int, values, dtype: type) -> None:
        self._files[file].write(np.asarray(values, dtype).tobytes())


def pack(lengths: list[int], capacity: int) -> Iterator[tuple[int, int]]:
    """Packs consecutive sentences into chunks: each ends with the sentence that fills it (BERT's way).

    Args:
      lengths: tokens of each sentence of one document.
      capacity: tokens of a full chunk.

    Yields:
      (first sentence, sentence after the last) of each chunk; the last may be shorter.
    """
    first = held = 0
    for number, length in enumerate(lengths):
        held += length
        if held >= capacity:
            yield first, number + 1
            first, held = number + 1, 0
    if held:
        yield first, len(lengths)
