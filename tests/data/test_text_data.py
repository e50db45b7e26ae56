import json
import os
from pathlib import Path

import numpy as np
import pytest

from ssl_jax import data
from ssl_jax.data import tokenizing
from ssl_jax.data.records import Records
from ssl_jax.errors import UserError


@pytest.fixture(scope="module")
def kjv(data_dir: str) -> data.TextData:
    return data.TextData("kjv", data_dir=data_dir, label_key="book", sequence_length=64, vocab_size=1000)


def test_spec(kjv: data.TextData):
    spec = kjv.spec
    assert spec.shapes == {"tokens": (64,), "segments": (64,), "next": (), "label": ()}
    assert spec.num_classes == len(spec.class_names) == 66
    assert (spec.class_names[0], spec.class_names[-1]) == ("Genesis", "Revelation")
    assert spec.vocab_size == 1000
    assert spec.special_ids == (spec.pad_id, spec.unk_id, spec.cls_id, spec.sep_id, spec.mask_id) == (0, 1, 2, 3, 4)


def test_examples_have_the_shapes_of_the_spec(kjv: data.TextData):
    batch = data.batch_at(kjv, batch_size=8, seed=0, step=0)
    assert {key: value.shape for key, value in batch.items()} == {
        key: (8, *shape) for key, shape in kjv.spec.shapes.items()
    }
    assert all(value.dtype == np.int32 for value in batch.values())


def test_the_text_is_that_of_the_records(data_dir: str, kjv: data.TextData):
    records = Records("kjv", data_dir, "test", ("text", "book"))
    record = records.read(np.array([3]))[0]
    store = kjv.eval.rows.store
    first, end = store.documents[3:5]
    text = kjv.tokenizer.decode(store.tokens[store.sentences[first] : store.sentences[end]])
    letters = "".join(filter(str.isalpha, record["text"].decode().lower()))
    assert "".join(filter(str.isalpha, text)) == letters
    assert store.labels[3] == record["book"]


def test_nothing_is_unknown_and_nothing_lost(data_dir: str, kjv: data.TextData):
    store = kjv.train.rows.store
    assert len(store.labels) == 1071
    assert (store.tokens == kjv.spec.unk_id).mean() < 1e-4
    assert store.tokens.dtype == np.uint16


def test_the_split_for_evaluation_is_another(kjv: data.TextData):
    assert kjv.eval_train is kjv.train
    assert len(kjv.eval.rows.store.labels) == 118


def test_files_are_reused(data_dir: str, kjv: data.TextData, monkeypatch: pytest.MonkeyPatch):
    assert len(kjv.train)
    monkeypatch.setattr(tokenizing, "_write", lambda *_, **__: pytest.fail("written again"))
    again = data.TextData("kjv", data_dir=data_dir, label_key="book", sequence_length=64, vocab_size=1000)
    assert again.tokenizer_file == kjv.tokenizer_file
    assert len(again.train) == len(kjv.train)


def test_a_truncated_store_is_built_again(data_dir: str):
    settings = dict(data_dir=data_dir, label_key="book", sequence_length=48, vocab_size=1000, train_split="test")
    before = data.batch_at(data.TextData("kjv", **settings), batch_size=8, seed=0, step=0)
    folder = data.TextData("kjv", **settings).train.rows.store.folder
    os.truncate(folder / "tokens.uint16", 1000)
    after = data.batch_at(data.TextData("kjv", **settings), batch_size=8, seed=0, step=0)
    np.testing.assert_array_equal(after["tokens"], before["tokens"])


def test_a_store_that_vanishes_is_named(data_dir: str):
    dataset = data.TextData("kjv", data_dir=data_dir, sequence_length=40, vocab_size=1000, train_split="test")
    os.truncate(dataset.train.rows.store.folder / "tokens.uint16", 0)
    with pytest.raises(UserError, match="is damaged .tokens.uint16.*delete it"):
        data.batch_at(dataset, batch_size=8, seed=0, step=0)


def test_a_given_tokenizer(data_dir: str, kjv: data.TextData, tmp_path: Path):
    path = tmp_path / "tokenizer.json"
    kjv.tokenizer.save(str(path))
    given = data.TextData("kjv", data_dir=data_dir, sequence_length=64, vocab_size=99, tokenizer=str(path))
    assert given.tokenizer_file == path
    assert given.spec.vocab_size == 1000


def test_no_labels(data_dir: str):
    dataset = data.TextData("kjv", data_dir=data_dir, sequence_length=64, vocab_size=1000, train_split="test")
    assert dataset.spec.num_classes == 0 and dataset.spec.class_names == ()
    assert (data.batch_at(dataset, batch_size=8, seed=0, step=0)["label"] == -1).all()


def test_made_up_wikipedia(tmp_path: Path):
    dataset = data.TextData(
        "wikipedia/20230601.en",
        data_dir=str(tmp_path),
        mock=40,
        vocab_size=500,
        sentences="punctuation",
        eval_split="train",
    )
    [(_, batch)] = data.batches(dataset, batch_size=16, seed=0, start=0, stop=1)
    assert batch["tokens"].shape == (16, 128)
    assert (batch["tokens"] == dataset.spec.unk_id).mean() < 0.01
    assert len({tuple(row) for row in batch["tokens"].tolist()}) == 16


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"text_key": "txt"}, "config.data.text_key .*'txt' does not exist. Did you mean 'text'"),
        ({"label_key": "bock"}, "config.data.label_key .*'bock' does not exist. Did you mean 'book'"),
        ({"text_key": "book"}, "config.data.text_key: feature 'book' of 'kjv' is not a text"),
        ({"label_key": "chapter"}, "config.data.label_key: feature 'chapter' of 'kjv' is no class label"),
        ({"train_split": "tran"}, "'tran' does not exist. Did you mean 'train'"),
        ({"vocab_size": 50}, "config.data.vocab_size: 50 does not hold the 38 characters"),
        ({"tokenizer": "/nowhere.json"}, "config.data.tokenizer: there is no file '/nowhere.json'"),
    ],
)
def test_mistakes(data_dir: str, settings: dict, message: str):
    with pytest.raises(UserError, match=message) as caught:
        dataset = data.TextData("kjv", **{"data_dir": data_dir, "label_key": "book"} | settings)
        dataset.spec, len(dataset.train)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocab_size": 5}, "vocab_size 5"),
        ({"sequence_length": 4}, "sequence_length 4"),
        ({"short_sequences": 1.5}, "short_sequences 1.5"),
        ({"sentences": "words"}, "sentences 'words'"),
        ({"layout": "passages"}, "layout 'passages' is not"),
        ({"second_segment": "next"}, "second_segment 'next' is not"),
        ({"layout": "stream", "second_segment": "random"}, "second_segment 'random' is for layout 'pairs'"),
        ({"layout": "sentences", "short_sequences": 0.1}, "short_sequences 0.1 is for layout 'pairs'"),
        ({"vocabulary": "characters"}, "vocabulary 'characters' is not"),
        ({"sentinels": -1}, "sentinels -1 is negative"),
        ({"vocab_size": 100, "sentinels": 95}, "vocab_size 100 is not more than the 100 special tokens"),
        ({"vocabulary": "words", "sentinels": 5}, "sentinels 5 are for word pieces"),
        ({"workers": -1}, "workers -1"),
        ({"prefetch": 0}, "prefetch 0"),
        ({"mock": -1}, "mock -1"),
    ],
)
def test_impossible_settings(settings: dict, message: str):
    with pytest.raises(ValueError, match=message):
        data.TextData("kjv", **settings)


def test_one_document_gives_no_pairs(data_dir: str):
    dataset = data.TextData(
        "kjv", data_dir=data_dir, sequence_length=64, vocab_size=1000, train_split="test", eval_split="test[:1]"
    )
    with pytest.raises(UserError, match="config.data.second_segment: 'random' takes two documents; 'kjv' .* has one"):
        len(dataset.eval)


def test_the_tokenizer_on_disk_is_a_plain_tokenizer_json(kjv: data.TextData):
    assert json.loads(kjv.tokenizer_file.read_text())["model"]["type"] == "WordPiece"


@pytest.mark.parametrize("layout", ["full_sentences", "stream"])
def test_packed_layouts(layout: str, data_dir: str, kjv: data.TextData):
    settings = dict(data_dir=data_dir, label_key="book", sequence_length=64, vocab_size=1000, layout=layout)
    packed = data.TextData("kjv", **settings)
    shapes = packed.spec.shapes
    assert shapes == {"tokens": (64,), "segments": (64,), "label": (), "parts": (64,)}
    for split in packed.train, packed.eval_train, packed.eval:
        batch = split.read(np.arange(4))
        assert {key: (value.shape[1:], value.dtype) for key, value in batch.items()} == {
            key: (shape, np.int32) for key, shape in shapes.items()
        }
        assert not split.draws
    every = packed.train.read(np.arange(len(packed.train)))
    text = np.isin(every["tokens"], packed.spec.special_ids, invert=True)
    known = np.isin(kjv.train.rows.store.tokens, kjv.spec.special_ids, invert=True)
    np.testing.assert_array_equal(every["tokens"][text], kjv.train.rows.store.tokens[known])
    assert (every["label"] == -1).all()
    held = packed.eval_train.read(np.arange(len(packed.eval_train)))
    assert set(held["label"]) == set(range(66)) and held["parts"].max() == 1


def test_the_batch_of_a_step_is_a_function_of_the_step(data_dir: str):
    settings = dict(data_dir=data_dir, sequence_length=64, vocab_size=1000, layout="full_sentences")
    packed = data.TextData("kjv", workers=2, **settings)
    other = data.TextData("kjv", **settings)
    for step, batch in data.batches(packed, batch_size=32, seed=3, start=5, stop=8):
        alone = data.batch_at(other, batch_size=32, seed=3, step=step)
        for key, array in batch.items():
            np.testing.assert_array_equal(array, alone[key])


def test_sentences_of_words(data_dir: str):
    settings = dict(data_dir=data_dir, label_key="book", sequence_length=32, vocab_size=2000)
    verses = data.TextData("kjv", layout="sentences", vocabulary="words", **settings)
    assert len(verses.train) + len(verses.eval) == 31_102
    assert verses.eval_train is verses.train
    spec = verses.spec
    assert spec.shapes == {"tokens": (32,), "segments": (32,), "label": ()}
    assert spec.word_starts.all() and spec.word_starts.shape == spec.token_counts.shape == (2000,)
    words = ["the", "and", "of"]
    ids = [verses.tokenizer.token_to_id(word) for word in words]
    assert ids == [5, 6, 7]
    counts = spec.token_counts
    assert (np.diff(counts[5:]) <= 0).all() and counts.sum() == len(verses.train.store.tokens)
    text = [
        verses.tokenizer.token_to_id(word) for word in "in the beginning god created the heaven and the earth".split()
    ]
    verse = [spec.cls_id, *text, spec.sep_id, *[spec.pad_id] * (32 - len(text) - 2)]
    assert verse in verses.train.read(np.arange(len(verses.train)))["tokens"].tolist()


def test_counts_of_made_up_words_have_the_length_of_the_vocabulary(tmp_path: Path):
    made_up = data.TextData("kjv", data_dir=str(tmp_path), mock=8, vocabulary="words", vocab_size=5000)
    assert made_up.spec.vocab_size == len(made_up.spec.token_counts) == len(made_up.spec.word_starts) == 5000


def test_word_pieces_are_not_counted(kjv: data.TextData):
    assert kjv.spec.token_counts is None
    assert kjv.spec.word_starts.shape == (1000,) and not kjv.spec.word_starts.all()


def test_a_tokenizer_without_a_first_token_gives_no_pairs(data_dir: str, tmp_path: Path):
    from tests.data.test_vocabulary import _t5

    path = tmp_path / "tokenizer.json"
    _t5().save(str(path))
    settings = dict(data_dir=data_dir, sequence_length=64, tokenizer=str(path), train_split="test[:9]")
    with pytest.raises(UserError, match="config.data.layout: 'pairs' needs a tokenizer with a first token"):
        len(data.TextData("kjv", **settings).train)
    stream = data.TextData("kjv", layout="stream", **settings)
    assert stream.spec.cls_id is None and stream.spec.sentinel_ids == (9, 8, 7)
    assert (stream.train.read(np.arange(3))["parts"] > 0).all()
    batch = stream.eval.read(np.arange(5))
    ends = (batch["parts"] > 0).sum(axis=1) - 1
    assert (batch["tokens"][np.arange(5), ends] == 1).all()
