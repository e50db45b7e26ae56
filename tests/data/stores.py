"""Stores of documents written by hand."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ssl_jax.data.documents import Documents


def write(folder: Path, documents: list[list[list[int]]], labels: Iterable[int] | None = None) -> Documents:
    """A store of documents of sentences of tokens."""
    folder.mkdir()
    sentences = [sentence for document in documents for sentence in document]
    tokens = np.array([token for sentence in sentences for token in sentence], np.uint16)
    lengths = [sum(map(len, document)) for document in documents]
    tokens.tofile(folder / "tokens.uint16")
    np.array(np.cumsum([0, *map(len, sentences)]), np.int64).tofile(folder / "sentences")
    np.array(np.cumsum([0, *map(len, documents)]), np.int64).tofile(folder / "documents")
    np.array(np.cumsum([0, *(length + 1 for length in lengths)]), np.int64).tofile(folder / "stream")
    np.array(list(range(len(documents)) if labels is None else labels), np.int32).tofile(folder / "labels")
    np.bincount(tokens).astype(np.int64).tofile(folder / "counts")
    return Documents(folder)
