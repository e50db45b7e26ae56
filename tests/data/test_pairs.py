"""Sentence pairs, on documents whose tokens say where they are from: token = 1000 * document + place."""

import numpy as np
import pytest

from ssl_jax.data import order, packing
from ssl_jax.data.packing import Rows
from ssl_jax.data.pairs import Pairs, truncate
from ssl_jax.data.vocabulary import Vocabulary
from tests.data import stores

_VOCABULARY = Vocabulary(size=60_000, pad_id=0, unk_id=1, cls_id=2, sep_id=3, mask_id=4)
_LENGTH = 32


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    folder = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    documents = []
    for document in range(1, 41):
        place, sentences = 10, []
        for length in rng.integers(3, 12, size=rng.integers(1, 40)):
            sentences.append([1000 * document + place + token for token in range(length)])
            place += length
        documents.append(sentences)
    store = stores.write(folder / "store", documents, labels=range(1, 41))
    (folder / "rows").mkdir()
    packing.write(store, (_LENGTH - 3) // 2, _LENGTH - 3, packing.filled, folder / "rows")
    return Rows(folder / "rows", store)


def _drawn(rows: Rows, **settings) -> tuple[dict, np.ndarray]:
    settings = dict(second="random", short=0.1) | settings
    indices = np.tile(np.arange(len(rows)), 20)
    batch = Pairs(rows, _VOCABULARY, _LENGTH, **settings).read(indices, order.row_keys(0, 0, np.arange(len(indices))))
    return batch, indices


def _segments(tokens: np.ndarray) -> list[np.ndarray]:
    """What stands between [CLS] and [SEP]s."""
    ends = np.flatnonzero(tokens == _VOCABULARY.sep_id)
    assert tokens[0] == _VOCABULARY.cls_id
    assert (tokens[ends[-1] + 1 :] == _VOCABULARY.pad_id).all()
    return np.split(tokens[1 : ends[-1]], ends[:-1] - 1)


def test_sequences_are_laid_out_as_bert_wants_them(rows: Rows):
    batch, _ = _drawn(rows)
    assert batch["tokens"].dtype == batch["segments"].dtype == batch["next"].dtype == np.int32
    for tokens, segments in zip(batch["tokens"], batch["segments"], strict=True):
        ends = np.flatnonzero(tokens == _VOCABULARY.sep_id)
        assert len(ends) == 2
        expected = np.zeros(_LENGTH, np.int32)
        expected[ends[0] + 1 : ends[1] + 1] = 1
        np.testing.assert_array_equal(segments, expected)


def test_b_follows_a_or_is_from_another_document(rows: Rows):
    batch, indices = _drawn(rows)
    for row, tokens in enumerate(batch["tokens"]):
        a, b = _segments(tokens)
        b = b[1:]
        document = rows.labels(indices[row : row + 1])[0]
        assert len(a) and len(b)
        for segment in (a, b):
            np.testing.assert_array_equal(np.diff(segment), 1)
        assert (a // 1000 == document).all()
        if batch["next"][row]:
            assert (b // 1000 != document).all()
        else:
            assert (b // 1000 == document).all()
            assert b[0] > a[-1]
            if len(a) + len(b) < _LENGTH - 3:
                assert b[0] == a[-1] + 1


def test_half_are_random_where_there_is_a_choice(rows: Rows):
    batch, indices = _drawn(rows, short=0.0)
    several = np.diff(rows.rows[indices], axis=1)[:, 0] > 1
    assert abs(batch["next"][several].mean() - 0.5) < 0.02
    assert batch["next"][~several].all()


def test_other_documents_are_all_reached(rows: Rows):
    batch, _ = _drawn(rows)
    others = {int(_segments(tokens)[1][1]) // 1000 for tokens in batch["tokens"][batch["next"] == 1]}
    assert others == set(range(1, 41))


def test_short_sequences(rows: Rows):
    lengths = {short: (_drawn(rows, short=short)[0]["tokens"] != 0).sum(axis=1) for short in (0.0, 1.0)}
    assert np.median(lengths[0.0]) == _LENGTH
    assert np.median(lengths[1.0]) < 0.8 * _LENGTH


def test_one_segment(rows: Rows):
    batch, indices = _drawn(rows, second="none", short=0.0)
    assert "next" not in batch and not batch["segments"].any()
    for row, tokens in enumerate(batch["tokens"]):
        [text] = _segments(tokens)
        first, end = rows.rows[indices[row]]
        np.testing.assert_array_equal(text, rows.text(first, end)[: _LENGTH - 2])


def test_plain_chunks_hold_all_the_text_that_fits(rows: Rows):
    pairs = Pairs(rows, _VOCABULARY, _LENGTH, second="random", short=0.5)
    batch = pairs.read(np.arange(len(rows)))
    for (first, end), tokens in zip(rows.rows, batch["tokens"], strict=True):
        [text] = _segments(tokens)
        np.testing.assert_array_equal(text, rows.text(first, end)[: _LENGTH - 2])


def test_draws_depend_on_the_key_of_the_row_alone(rows: Rows):
    pairs = Pairs(rows, _VOCABULARY, _LENGTH, second="random", short=0.1)
    keys = order.row_keys(0, 0, np.arange(20))
    whole = pairs.read(np.arange(20), keys)
    part = pairs.read(np.arange(5, 9), keys[5:9])
    np.testing.assert_array_equal(part["tokens"], whole["tokens"][5:9])
    again = pairs.read(np.arange(20), order.row_keys(0, 1, np.arange(20)))
    assert not np.array_equal(again["tokens"], whole["tokens"])


def test_swapped_segments_follow_each_other_one_way_or_the_other(rows: Rows):
    batch, indices = _drawn(rows, second="swapped", short=0.0)
    assert "next" not in batch and batch["order"].dtype == np.int32
    for row, tokens in enumerate(batch["tokens"]):
        a, b = _segments(tokens)
        a, b = (b[1:], a) if batch["order"][row] else (a, b[1:])
        first, end = rows.rows[indices[row]]
        whole = rows.text(first, end)
        assert len(a) and len(b) and a[-1] < b[0] and set(a) | set(b) <= set(whole)
        for segment in (a, b):
            np.testing.assert_array_equal(np.diff(segment), 1)
        if len(whole) <= _LENGTH - 3:
            np.testing.assert_array_equal(np.concatenate([a, b]), whole)
            assert end - first == 1 or a[0] + len(a) - whole[0] + rows.sentences[first] in rows.sentences
    assert abs(batch["order"].mean() - 0.5) < 0.02


def test_no_segment_is_empty_where_a_sentence_is_of_one_token(tmp_path):
    documents = [[[1001], [1002, 1003]], [[2001, 2002], [2003]], [[3001, 3002]]]
    store = stores.write(tmp_path / "store", documents, labels=range(3))
    (tmp_path / "rows").mkdir()
    packing.write(store, 5, 1, packing.filled, tmp_path / "rows")  # a sentence a row
    batch, _ = _drawn(Rows(tmp_path / "rows", store), second="swapped", short=0.0)
    for tokens, swapped in zip(batch["tokens"], batch["order"], strict=True):
        a, b = _segments(tokens)
        a, b = (b[1:], a) if swapped else (a, b[1:])
        assert len(a) and len(b)
        np.testing.assert_array_equal(np.diff(np.concatenate([a, b])), 1)
    assert {len(np.concatenate(_segments(tokens))) - 1 for tokens in batch["tokens"]} == {2, 3}


@pytest.mark.parametrize(
    ("a", "b", "kept"),
    [(3, 4, (3, 4)), (20, 2, (8, 2)), (2, 20, (2, 8)), (20, 20, (5, 5)), (6, 5, (5, 5)), (1, 30, (1, 9))],
)
def test_the_longer_segment_is_cut(a: int, b: int, kept: tuple[int, int]):
    for front in (0.0, 0.5, 0.999):
        segments = truncate(np.arange(a), np.arange(b), 10, front)
        assert tuple(len(segment) for segment in segments) == kept
        for segment in segments:
            np.testing.assert_array_equal(np.diff(segment), 1)
    assert truncate(np.arange(20), np.arange(2), 10, 0.0)[0][0] == 0
    assert truncate(np.arange(20), np.arange(2), 10, 0.999)[0][-1] == 19
