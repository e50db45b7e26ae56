"""Whole documents as sequences, on documents whose tokens say where they are from: token = 1000 * document + place."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from ssl_jax.data import packing, sequences
from ssl_jax.data.documents import Documents
from ssl_jax.data.vocabulary import Vocabulary
from tests.data import stores

_BERT = Vocabulary(size=60_000, pad_id=0, unk_id=1, cls_id=2, sep_id=3, mask_id=4)
_T5 = Vocabulary(size=60_000, pad_id=0, unk_id=2, cls_id=None, sep_id=1, mask_id=None, sentinel_ids=(9, 8))
_LENGTH = 24


def _documents(count: int) -> list[list[list[int]]]:
    """Documents 1 to `count` of 1 to 30 sentences of 1 to 40 tokens, numbered from 10."""
    rng, documents = np.random.default_rng(0), []
    for document in range(1, count + 1):
        lengths = rng.integers(1, 41 if document % 3 else 12, size=rng.integers(1, 31))
        tokens = 1000 * document + 10 + np.arange(lengths.sum())
        documents.append([part.tolist() for part in np.split(tokens, np.cumsum(lengths)[:-1])])
    return documents


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Documents:
    return stores.write(tmp_path_factory.mktemp("sequences") / "store", _documents(20), labels=range(50, 70))


def _packed(store: Documents, folder: Path, pack: packing.Pack, longest: int, capacity: int) -> packing.Rows:
    folder.mkdir()
    packing.write(store, longest, capacity, pack, folder)
    return packing.Rows(folder, store)


def _all(source) -> dict[str, np.ndarray]:
    batch = source.read(np.arange(len(source)))
    assert all(array.dtype == np.int32 for array in batch.values())
    assert not batch["segments"].any()
    return batch


def _parts(tokens: np.ndarray, numbers: np.ndarray) -> list[np.ndarray]:
    """The parts of one row; numbers are 1, 2, ..., then 0 at padding."""
    count = int(numbers.max())
    assert (np.diff(numbers[numbers > 0]) >= 0).all() and set(numbers) - {0} == set(range(1, count + 1))
    assert not tokens[numbers == 0].any() and tokens[numbers > 0].all()
    return [tokens[numbers == number] for number in range(1, count + 1)]


def _texts(batch: dict[str, np.ndarray], vocabulary: Vocabulary) -> np.ndarray:
    """All tokens but the special ones, in order."""
    tokens = batch["tokens"].ravel()
    return tokens[~np.isin(tokens, vocabulary.special_ids)]


@pytest.mark.parametrize("vocabulary", [_BERT, _T5])
@pytest.mark.parametrize("length", [8, 24, 100_000])
def test_every_token_is_in_the_stream_once(store: Documents, vocabulary: Vocabulary, length: int):
    batch = _all(sequences.Stream(store, vocabulary, length))
    np.testing.assert_array_equal(_texts(batch, vocabulary), store.tokens)
    whole = batch["tokens"][batch["parts"] > 0]
    assert (whole == vocabulary.sep_id).sum() == 20
    assert (batch["parts"][:-1] > 0).all()  # nothing is padded but the end


def test_a_document_of_the_stream_ends_with_a_separator(store: Documents):
    batch = _all(sequences.Stream(store, _BERT, _LENGTH))
    assert (batch["label"] == -1).all()
    for tokens, numbers in zip(batch["tokens"], batch["parts"], strict=True):
        parts = _parts(tokens, numbers)
        assert tokens[0] == _BERT.cls_id and numbers[0] == 1
        for place, part in enumerate(parts):
            text = part[part >= 10]
            assert len(set(text // 1000)) <= 1  # of one document
            assert place == len(parts) - 1 or part[-1] == _BERT.sep_id
            assert (part == _BERT.sep_id).sum() <= 1


def test_full_sentences_lose_nothing(store: Documents, tmp_path: Path):
    rows = _packed(store, tmp_path / "rows", packing.across, _LENGTH - 2, _LENGTH - 1)
    batch = _all(sequences.FullSentences(rows, _BERT, _LENGTH))
    np.testing.assert_array_equal(_texts(batch, _BERT), store.tokens)
    starts = {1000 * document + 10 for document in range(1, 21)}
    first = set(store.tokens[store.sentences[:-1]])
    lengths = dict(zip(store.tokens[store.sentences[:-1]], np.diff(store.sentences)))
    for number, (tokens, numbers) in enumerate(zip(batch["tokens"], batch["parts"], strict=True)):
        assert tokens[0] == _BERT.cls_id
        for place, part in enumerate(_parts(tokens, numbers)):
            text = part[1:-1] if place == 0 else part[:-1]
            assert part[-1] == _BERT.sep_id and (text >= 1000).all() and len(set(text // 1000)) == 1
            assert place == 0 or text[0] in starts
        following = batch["tokens"][(number + 1) % len(batch["tokens"]), 1]
        used = int((numbers > 0).sum())
        if following in first and number + 1 < len(batch["tokens"]):  # a whole sentence more would not have fit
            needed = min(lengths[following], _LENGTH - 2) + (following in starts)
            assert used + needed > _LENGTH


def test_passages_are_of_one_document_and_labelled(store: Documents, tmp_path: Path):
    rows = _packed(store, tmp_path / "rows", packing.fitting, _LENGTH - 2, _LENGTH - 2)
    batch = _all(sequences.Passages(rows, _BERT, _LENGTH))
    np.testing.assert_array_equal(_texts(batch, _BERT), store.tokens)
    for tokens, numbers, label in zip(batch["tokens"], batch["parts"], batch["label"], strict=True):
        [part] = _parts(tokens, numbers)
        assert (part[0], part[-1]) == (_BERT.cls_id, _BERT.sep_id)
        assert set(part[1:-1] // 1000) == {label - 49}


def test_sentences(store: Documents):
    source = sequences.Sentences(store, _BERT, _LENGTH)
    batch = _all(source)
    assert "parts" not in batch and len(source) == len(store.sentences) - 1
    for number, tokens in enumerate(batch["tokens"]):
        whole = store.tokens[store.sentences[number] : store.sentences[number + 1]]
        kept = whole[: _LENGTH - 2]
        expected = [_BERT.cls_id, *kept, _BERT.sep_id, *[0] * (_LENGTH - 2 - len(kept))]
        np.testing.assert_array_equal(tokens, expected)
    np.testing.assert_array_equal(batch["label"], batch["tokens"][:, 1] // 1000 + 49)
    np.testing.assert_array_equal(source.document(np.arange(len(source))), batch["label"] - 50)


def test_rows_are_the_same_in_any_company(store: Documents, tmp_path: Path):
    rows = _packed(store, tmp_path / "rows", packing.across, _LENGTH - 2, _LENGTH - 1)
    for source in sequences.FullSentences(rows, _BERT, _LENGTH), sequences.Stream(store, _BERT, _LENGTH):
        source = pickle.loads(pickle.dumps(source))
        whole, part = _all(source), source.read(np.array([5, 2]), np.array([7, 7], np.uint64))
        for key, array in part.items():
            np.testing.assert_array_equal(array, whole[key][[5, 2]])
