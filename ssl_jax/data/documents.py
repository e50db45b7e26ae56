"""Documents as token ids in memory-mapped files.

A store is a folder of flat arrays, written by `tokenizing.build`:
  tokens     uint16 or uint32, all tokens, one document after the other
  sentences  int64 [sentences + 1], where each sentence starts in `tokens`
  documents  int64 [documents + 1], where each document starts in `sentences`
  stream     int64 [documents + 1], where each document starts in `tokens`, if one token were put behind each
  labels     int32 [documents]
  counts     int64 [vocabulary], how often each token occurs
"""

import dataclasses
import functools
import re
from pathlib import Path
from typing import Literal

import numpy as np

from ssl_jax.data import files

Sentences = Literal["lines", "punctuation"]
_SENTENCE = re.compile(r""".+?[.!?]["'\u2019\u201d)\]]*(?=\s|$)|.+""")


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
    def stream(self) -> np.ndarray:
        """int64 [documents + 1], offsets into `tokens` with one more token behind each document."""
        return self._map("stream", np.int64)

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """int32 [documents]."""
        return self._map("labels", np.int32)

    @functools.cached_property
    def counts(self) -> np.ndarray:
        """int64 [vocabulary]."""
        return self._map("counts", np.int64)

    def _map(self, name: str, dtype: type) -> np.ndarray:
        return files.mapped(self.folder / name, dtype)

    def __getstate__(self) -> dict:
        return {"folder": self.folder}


def token_dtype(vocab_size: int) -> np.dtype:
    """What holds the ids of so many tokens: uint16 or uint32."""
    return np.dtype(np.uint16 if vocab_size <= 2**16 else np.uint32)


def split(text: str, sentences: Sentences) -> list[str]:
    """The sentences of a text; empty ones are left out.

    Args:
      text: of a document.
      sentences: 'lines': each line is one; 'punctuation': so is what ends with . ! or ? within a line, with the quotes
        and brackets that close there.
    """
    lines = text.splitlines()
    if sentences == "punctuation":
        lines = [sentence.strip() for line in lines for sentence in _SENTENCE.findall(line)]
    return [line for line in lines if line.strip()]
