"""Sentence pairs, on documents whose tokens say where they are from: token = 1000 * document + place."""

import numpy as np
import pytest

from ssl_jax.data import documents, order
from ssl_jax.data.documents import Documents, pack
from ssl_jax.data.pairs import Pairs, truncate
from ssl_jax.data.wordpiece import Vocabulary

_VOCABULARY = Vocabulary(size=60_000, pad_id=0, unk_id=1, cls_id=2, sep_id=3, mask_id=4)
_LENGTH = 32


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Documents:
    folder = tmp_path_factory.mktemp("store")
    writer = documents._Writer(folder, np.uint16, capacity=_LENGTH - 3)
    rng = np.random.default_rng(0)
    for document in range(1, 41):
        place, sentences = 10, []
        for length in rng.integers(3, 12, size=rng.integers(1, 40)):
            sentences.append([1000 * document + place + token for token in range(length)])
            place += length
        writer.add(sentences, label=document)
    writer.add([], label=99)
    writer.close()
    return Documents(folder)


def _drawn(store: Documents, **settings) -> tuple[dict, np.ndarray]:
    settings = dict(next_sentence=True, short=0.1) | settings
    indices = np.tile(np.arange(len(store.chunks)), 20)
    batch = Pairs(store, _VOCABULARY, _LENGTH, **settings).drawn(indices, order.row_keys(0, 0, np.arange(len(indices))))
    return batch, indices


def _segments(tokens: np.ndarray) -> list[np.ndarray]:
    """What stands between [CLS] and [SEP]s."""
    ends = np.flatnonzero(tokens == _VOCABULARY.sep_id)
    assert tokens[0] == _VOCABULARY.cls_id
    assert (tokens[ends[-1] + 1 :] == _VOCABULARY.pad_id).all()
    return np.split(tokens[1 : ends[-1]], ends[:-1] - 1)


def test_sequences_are_laid_out_as_bert_wants_them(store: Documents):
    batch, _ = _drawn(store)
    assert batch["tokens"].dtype == batch["segments"].dtype == batch["next"].dtype == np.int32
    for tokens, segments in zip(batch["tokens"], batch["segments"], strict=True):
        ends = np.flatnonzero(tokens == _VOCABULARY.sep_id)
        assert len(ends) == 2
        expected = np.zeros(_LENGTH, np.int32)
        expected[ends[0] + 1 : ends[1] + 1] = 1
        np.testing.assert_array_equal(segments, expected)


def test_b_follows_a_or_is_from_another_document(store: Documents):
    batch, indices = _drawn(store)
    for row, tokens in enumerate(batch["tokens"]):
        a, b = _segments(tokens)
        b = b[1:]
        document = store.chunks[indices[row], 0] + 1
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


def test_half_are_random_where_there_is_a_choice(store: Documents):
    batch, indices = _drawn(store, short=0.0)
    chunks = store.chunks[indices]
    several = chunks[:, 2] - chunks[:, 1] > 1
    assert abs(batch["next"][several].mean() - 0.5) < 0.02
    assert batch["next"][~several].all()


def test_other_documents_are_all_reached(store: Documents):
    batch, _ = _drawn(store)
    others = {int(_segments(tokens)[1][1]) // 1000 for tokens in batch["tokens"][batch["next"] == 1]}
    assert others == set(range(1, 41))


def test_short_sequences(store: Documents):
    lengths = {short: (_drawn(store, short=short)[0]["tokens"] != 0).sum(axis=1) for short in (0.0, 1.0)}
    assert np.median(lengths[0.0]) == _LENGTH
    assert np.median(lengths[1.0]) < 0.8 * _LENGTH


def test_one_segment(store: Documents):
    batch, indices = _drawn(store, next_sentence=False, short=0.0)
    assert "next" not in batch and not batch["segments"].any()
    for row, tokens in enumerate(batch["tokens"]):
        [text] = _segments(tokens)
        _, first, end = store.chunks[indices[row]]
        np.testing.assert_array_equal(text, store.text(first, end)[: _LENGTH - 2])


def test_plain_chunks_hold_all_the_text_that_fits(store: Documents):
    pairs = Pairs(store, _VOCABULARY, _LENGTH, next_sentence=True, short=0.5)
    batch = pairs.plain(np.arange(len(store.chunks)))
    for (_, first, end), tokens in zip(store.chunks, batch["tokens"], strict=True):
        [text] = _segments(tokens)
        np.testing.assert_array_equal(text, store.text(first, end)[: _LENGTH - 2])


def test_draws_depend_on_the_key_of_the_row_alone(store: Documents):
    pairs = Pairs(store, _VOCABULARY, _LENGTH, next_sentence=True, short=0.1)
    keys = order.row_keys(0, 0, np.arange(20))
    whole = pairs.drawn(np.arange(20), keys)
    part = pairs.drawn(np.arange(5, 9), keys[5:9])
    np.testing.assert_array_equal(part["tokens"], whole["tokens"][5:9])
    again = pairs.drawn(np.arange(20), order.row_keys(0, 1, np.arange(20)))
    assert not np.array_equal(again["tokens"], whole["tokens"])


def test_every_sentence_is_in_one_chunk(store: Documents):
    np.testing.assert_array_equal(store.chunks[1:, 1], store.chunks[:-1, 2])
    assert store.chunks[0, 1] == 0 and store.chunks[-1, 2] == len(store.sentences) - 1
    owners = np.searchsorted(store.documents, store.chunks[:, 1], side="right") - 1
    np.testing.assert_array_equal(owners, store.chunks[:, 0])
    np.testing.assert_array_equal(store.labels, np.arange(1, 41))


@pytest.mark.parametrize(
    ("lengths", "chunks"),
    [
        ([], []),
        ([3], [(0, 1)]),
        ([5, 5, 5], [(0, 2), (2, 3)]),
        ([10, 1], [(0, 1), (1, 2)]),
        ([4, 6, 20], [(0, 2), (2, 3)]),
    ],
)
def test_packing(lengths: list[int], chunks: list[tuple[int, int]]):
    assert list(pack(lengths, 10)) == chunks


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
