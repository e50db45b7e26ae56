from pathlib import Path

import numpy as np
import pytest

from ssl_jax.data import packing
from tests.data import stores


def _packed(pack: packing.Pack, documents: list[list[int]], capacity: int) -> list[tuple[int, int]]:
    """Rows of documents, given the lengths of their sentences."""
    sentences = [(length, n == len(lengths) - 1) for lengths in documents for n, length in enumerate(lengths)]
    return list(pack(iter(sentences), capacity))


@pytest.mark.parametrize(
    ("lengths", "rows"),
    [
        ([[]], []),
        ([[3]], [(0, 1)]),
        ([[5, 5, 5]], [(0, 2), (2, 3)]),
        ([[10, 1]], [(0, 1), (1, 2)]),
        ([[4, 6, 20]], [(0, 2), (2, 3)]),
        ([[4, 7, 1], [2], [9, 9]], [(0, 2), (2, 3), (3, 4), (4, 6)]),
    ],
)
def test_bert_fills_rows(lengths: list[list[int]], rows: list[tuple[int, int]]):
    assert _packed(packing.filled, lengths, 10) == rows


@pytest.mark.parametrize(
    ("lengths", "rows"),
    [
        ([[]], []),
        ([[3]], [(0, 1)]),
        ([[5, 5, 5]], [(0, 2), (2, 3)]),
        ([[10, 1]], [(0, 1), (1, 2)]),
        ([[4, 7, 1], [2], [9, 9]], [(0, 1), (1, 3), (3, 4), (4, 5), (5, 6)]),
    ],
)
def test_as_many_whole_sentences_as_fit(lengths: list[list[int]], rows: list[tuple[int, int]]):
    assert _packed(packing.fitting, lengths, 10) == rows


@pytest.mark.parametrize(
    ("lengths", "rows"),
    [
        ([[]], []),
        ([[3]], [(0, 1)]),
        ([[4, 5]], [(0, 2)]),  # 4 + 5, and the separator
        ([[5, 5]], [(0, 1), (1, 2)]),
        ([[4], [4]], [(0, 2)]),  # 4, separator, 4, separator
        ([[4], [5]], [(0, 1), (1, 2)]),
        ([[4], [3, 2]], [(0, 2), (2, 3)]),  # 4, separator, 3, separator: the row ends, not the document
        ([[1], [1], [1], [1], [1, 1], [9, 9, 1]], [(0, 5), (5, 6), (6, 7), (7, 8), (8, 9)]),
    ],
)
def test_rows_across_documents(lengths: list[list[int]], rows: list[tuple[int, int]]):
    assert _packed(packing.across, lengths, 10) == rows


def test_long_sentences_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packing, "_DOCUMENTS_AT_A_TIME", 2)
    documents = [[list(range(10)), [1]], [[2] * 4], [[3] * 5, [4] * 8, [5]]]
    store = stores.write(tmp_path / "store", documents)
    (tmp_path / "rows").mkdir()
    packing.write(store, 4, 9, packing.fitting, tmp_path / "rows")
    rows = packing.Rows(tmp_path / "rows", store)
    assert np.diff(rows.sentences).tolist() == [4, 4, 2, 1, 4, 4, 1, 4, 4, 1]
    assert rows.documents.tolist() == [0, 4, 5, 10]
    assert [rows.text(*row).tolist() for row in rows.rows] == [
        [0, 1, 2, 3, 4, 5, 6, 7], [8, 9, 1], [2] * 4, [3] * 5 + [4] * 4, [4] * 4 + [5],
    ]  # fmt: skip
    assert rows.labels(np.array([0, 2, 1, 4])).tolist() == [0, 1, 0, 2]
