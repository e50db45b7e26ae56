"""From records to a store of token ids: by shards of documents, in several processes, going on where it was stopped.

A shard is a range of documents, tokenized into files of its own. When all are there, they are joined to the store. What
is in a shard depends on the records alone, so the store is the same whoever made it, in however many processes.
"""

import concurrent.futures
import contextlib
import dataclasses
import functools
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ssl_jax.data import documents, files, progress, workers
from ssl_jax.data.documents import Documents
from ssl_jax.data.records import Records
from ssl_jax.errors import UserError

if TYPE_CHECKING:
    import tokenizers

_DOCUMENTS_AT_A_TIME = 256
_SHARD = 1024  # documents of a shard, or more: there are at most as many shards
_NAMES = ("tokens", "sentences", "documents", "labels")  # files of a shard: lengths in place of the store's offsets


@dataclasses.dataclass(frozen=True)
class Tokenizing:
    """What is tokenized, and how; picklable, for worker processes.

    Attributes:
      records: the documents.
      tokenizer: spells them.
      text_key: feature that holds the text.
      label_key: feature that holds the class, if any.
      sentences: how a text is split, see `documents.split`.
    """

    records: Records
    tokenizer: "tokenizers.Tokenizer"
    text_key: str
    label_key: str | None
    sentences: documents.Sentences

    def __str__(self) -> str:
        return f"{self.records.name} ({self.records.split})"

    @property
    def dtype(self) -> np.dtype:
        """Of the tokens."""
        return documents.token_dtype(self.tokenizer.get_vocab_size())

    def shards(self) -> list[tuple[int, int]]:
        """First document and the one after the last of each shard."""
        count = len(self.records)
        size = max(_SHARD, -(-count // _SHARD))
        return [(start, min(start + size, count)) for start in range(0, count, size)]

    def texts(self, indices: np.ndarray) -> Iterator[tuple[list[list[int]], int]]:
        """The tokens of the sentences of each of the documents `indices` (int64 [n]), and its label."""
        batch = self.records.read(indices)
        texts = [documents.split(record[self.text_key].decode(errors="replace"), self.sentences) for record in batch]
        labels = [-1 if self.label_key is None else int(record[self.label_key]) for record in batch]
        # All are handed over at once, as the library works in parallel.
        flat = [sentence for text in texts for sentence in text]
        encoded = iter(self.tokenizer.encode_batch_fast(flat, add_special_tokens=False))
        for text, label in zip(texts, labels, strict=True):
            yield [next(encoded).ids for _ in text], label


def build(folder: Path, work: Tokenizing, *, processes: int = 1) -> Documents:
    """The store in `folder`; tokenizes what is not there yet.

    Its shards stand beside it until it is whole: a process that is killed loses the shards that it is at.

    Args:
      folder: where the store is to be.
      work: what is in it.
      processes: that tokenize; 1: this one, with the threads of the tokenizer.

    Raises:
      UserError: there is no text at all, or the place cannot be written.
      RunError: the disk is full.
    """
    shards = folder.with_name(f"{folder.name}.shards")
    files.build(folder, functools.partial(_write, work, shards, processes))
    if shards.exists():
        shutil.rmtree(shards, ignore_errors=True)
    return Documents(folder)


def _write(work: Tokenizing, shards: Path, processes: int, folder: Path) -> None:
    """Fills `folder` with the store."""
    ranges = {shards / f"{number:06}": ends for number, ends in enumerate(work.shards())}
    waiting = {shard: ends for shard, ends in ranges.items() if not files.is_whole(shard)}
    done = sum(end - start for shard, (start, end) in ranges.items() if shard not in waiting)
    count = len(work.records)
    announced = progress.announced(f"Tokenizing {count:,} documents of {work} into {folder.parent}")
    with announced, progress.counted(count, f"Tokenizing {work}", done=done) as advance:
        if processes > 1 and len(waiting) > 1:
            _in_processes(work, waiting, min(processes, len(waiting)), advance)
        else:
            for shard, ends in waiting.items():
                _shard(work, shard, ends, advance)
        _join(work, list(ranges), folder)


def _in_processes(work: Tokenizing, waiting: dict[Path, tuple[int, int]], processes: int, advance: Callable) -> None:
    with workers.starting():
        pool = concurrent.futures.ProcessPoolExecutor(
            processes, multiprocessing.get_context("spawn"), _begin, (processes,)
        )
        submitted = {pool.submit(_shard, work, shard, ends): ends for shard, ends in waiting.items()}
    try:
        for future in concurrent.futures.as_completed(submitted):
            future.result()
            start, end = submitted[future]
            advance(end - start)
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(processes: int) -> None:
    """Called first thing in a process that tokenizes."""
    workers.begin(0, processes)
    os.environ["RAYON_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // processes))  # of the tokenizer


def _shard(work: Tokenizing, folder: Path, ends: tuple[int, int], advance: Callable = lambda count: None) -> None:
    """Makes sure that the shard in `folder`, of the documents from ends[0] to ends[1] - 1, is there."""
    files.build_alone(folder, functools.partial(_write_shard, work, ends, advance))


def _write_shard(work: Tokenizing, ends: tuple[int, int], advance: Callable, folder: Path) -> None:
    start, end = ends
    with contextlib.ExitStack() as stack:
        out = {name: stack.enter_context((folder / name).open("wb")) for name in _NAMES}
        for first in range(start, end, _DOCUMENTS_AT_A_TIME):
            indices = np.arange(first, min(first + _DOCUMENTS_AT_A_TIME, end))
            for name, array in _arrays(work, indices).items():
                out[name].write(array.tobytes())
            advance(len(indices))


def _arrays(work: Tokenizing, indices: np.ndarray) -> dict[str, np.ndarray]:
    """Tokens and labels of some documents, tokens of each sentence, sentences of each document; empty ones left out."""
    found = [([sentence for sentence in text if sentence], label) for text, label in work.texts(indices)]
    found = [(text, label) for text, label in found if text]
    sentences = [sentence for text, _ in found for sentence in text]
    return {
        "tokens": np.fromiter((token for sentence in sentences for token in sentence), work.dtype),
        "sentences": np.array([len(sentence) for sentence in sentences], np.int64),
        "documents": np.array([len(text) for text, _ in found], np.int64),
        "labels": np.array([label for _, label in found], np.int32),
    }


def _join(work: Tokenizing, shards: list[Path], folder: Path) -> None:
    """Writes the store made of all shards, one after the other."""
    counts = np.zeros(work.tokenizer.get_vocab_size(), np.int64)
    with contextlib.ExitStack() as stack:
        names = {"tokens": f"tokens.{work.dtype.name}"}
        files_of = {name: (folder / names.get(name, name)).open("wb") for name in (*_NAMES, "stream")}
        out = {name: stack.enter_context(file) for name, file in files_of.items()}
        offsets = {name: _Offsets(out[name]) for name in ("sentences", "documents", "stream")}
        for shard in shards:
            tokens, sentences, per_document, labels = _read_shard(work, shard)
            counts += np.bincount(tokens, minlength=len(counts))
            out["tokens"].write(tokens.tobytes())
            out["labels"].write(labels.tobytes())
            offsets["sentences"].add(sentences)
            offsets["documents"].add(per_document)
            ends = np.cumsum(per_document)
            total = np.concatenate([[0], np.cumsum(sentences)])
            offsets["stream"].add(total[ends] - total[ends - per_document] + 1)
    counts.tofile(folder / "counts")
    if not counts.any():
        raise UserError(f"config.data: the split {work.records.split!r} of {work.records.name!r} has no text.")


def _read_shard(work: Tokenizing, shard: Path) -> list[np.ndarray]:
    dtypes = {"tokens": work.dtype, "labels": np.int32}
    return [np.fromfile(shard / name, dtypes.get(name, np.int64)) for name in _NAMES]


class _Offsets:
    """Writes lengths as the places where what has them starts, and where the last one ends."""

    def __init__(self, file):
        self._file, self._end = file, 0
        self._file.write(np.zeros(1, np.int64).tobytes())

    def add(self, lengths: np.ndarray) -> None:
        ends = self._end + np.cumsum(lengths)
        self._file.write(ends.astype(np.int64).tobytes())
        self._end = int(ends[-1]) if len(ends) else self._end
