"""What is said of pictures, as tokens: of several texts, as the project's tokenizer spells them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from ssl_jax import data
from ssl_jax.data import spelling
from ssl_jax.data.builders import png
from ssl_jax.errors import UserError

WORDS = {"a": ("red", "green", "blue", "red green blue red green"), "b": ("rot", "", "blau", "rot blau")}
SETTINGS = dict(text_keys=("a", "b"), text_length=5, vocab_size=60)


class Swatches(tfds.core.GeneratorBasedBuilder):
    """Pictures of one colour with texts in two languages; the test split has words that the training split has not."""

    VERSION = tfds.core.Version("1.0.0")
    name = "swatches"

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": tfds.features.Image(shape=(4, 4, 3)),
            "label": tfds.features.ClassLabel(names=["cold", "warm"]),
            **{key: tfds.features.Text() for key in WORDS},
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager) -> dict[str, Iterator]:
        return {"train": self._generate_examples(""), "test": self._generate_examples("zyx ")}

    def _generate_examples(self, before: str) -> Iterator:
        for number in range(12):
            picture = np.full((4, 4, 3), number, np.uint8)
            texts = {key: before + words[number % 4] for key, words in WORDS.items()}
            yield number, {"image": png.encode(picture), "label": number % 2, **texts}


@pytest.fixture(scope="module")
def swatches(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("swatches"))
    data.prepare("swatches", folder)
    return folder


@pytest.mark.parametrize("cache", ["always", "never"])
def test_texts_come_as_the_tokenizer_spells_them(swatches: str, cache: str):
    dataset = data.ImageData("swatches", data_dir=swatches, cache=cache, **SETTINGS)
    spec, batch = dataset.spec, dataset.train.read(np.arange(12))
    assert spec.modality == "image" and spec.shapes["tokens"] == (2, 5)
    assert batch["tokens"].shape == (12, 2, 5) and batch["tokens"].dtype == np.int32
    assert spec.vocab_size == dataset.tokenizer.get_vocab_size() <= 60
    for picture, tokens in zip(batch["image"], batch["tokens"]):
        for key, row in zip(WORDS, tokens):
            text = WORDS[key][picture[0, 0, 0] % 4]
            words = dataset.tokenizer.encode(text, add_special_tokens=False).ids[:3]
            padding = [spec.pad_id] * (3 - len(words))
            assert row.tolist() == [spec.cls_id, *words, spec.sep_id, *padding]
            assert (text == "") == (not words)


def test_the_vocabulary_is_that_of_the_training_split(swatches: str):
    dataset = data.ImageData("swatches", data_dir=swatches, **SETTINGS)
    known = set(dataset.tokenizer.get_vocab())
    assert {"red", "rot", "blau"} <= known and not any(set("zyx") & set(token) for token in known)
    tokens = dataset.eval.read(np.arange(12))["tokens"]
    assert (tokens[:, :, 1] == dataset.spec.unk_id).all()


def test_several_readers_give_the_same(swatches: str):
    """Worker processes, and the hosts of one run, of which each reads its rows."""
    here = data.ImageData("swatches", data_dir=swatches, **SETTINGS)
    workers = data.ImageData("swatches", data_dir=swatches, workers=1, cache="never", **SETTINGS)
    asked = dict(batch_size=4, seed=3)
    [(_, one)] = data.batches(here, start=1, stop=2, **asked)
    [(_, other)] = data.batches(workers, start=1, stop=2, **asked)
    hosts = [data.batch_at(here, step=1, host_index=host, host_count=2, **asked) for host in range(2)]
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
        np.testing.assert_array_equal(one[name], np.concatenate([rows[name] for rows in hosts]))


def test_what_is_kept_of_data_without_texts_stays_where_it_was(swatches: str):
    """Its folder is named by what decides it, as before there were texts; with texts it is another."""
    plain = data.ImageData("swatches", data_dir=swatches, text_length=7, vocab_size=9)
    assert plain.spec == data.Spec(
        shapes={"image": (4, 4, 3), "label": ()}, num_classes=2, class_names=("cold", "warm")
    )
    identity = plain._records("train").fingerprint() | {"size": None, "format": 1}
    assert plain.train.folder.name == f"swatches-train-{data.files.key(identity)}"
    assert set(plain.train.read(np.arange(2))) == {"image", "label"}
    texts = [data.ImageData("swatches", data_dir=swatches, **SETTINGS | change) for change in ({}, {"text_length": 6})]
    assert len({plain.train.folder, *(dataset.train.folder for dataset in texts)}) == 3


def test_words_are_learnt_from_some_texts_where_there_are_many(swatches: str, monkeypatch: pytest.MonkeyPatch):
    """Of one of the twelve, which does not have all their letters."""
    monkeypatch.setattr(spelling, "_LEARNT_FROM", 1)
    dataset = data.ImageData("swatches", data_dir=swatches, **SETTINGS | dict(vocab_size=59))
    (record,) = data.records.Records("swatches", swatches, "train", ("a", "b")).read(np.arange(1))
    letters = {letter for text in spelling.of_records([record], ("a", "b")) for letter in text} - {" "}
    known = {letter for letter in "redgnbluota" if dataset.tokenizer.token_to_id(f"##{letter}") is not None}
    assert known == letters


def test_made_up_texts(tmp_path: Path):
    dataset = data.ImageData("openmoji", data_dir=str(tmp_path), mock=8, text_keys=("caption_en",), vocab_size=300)
    assert dataset.spec.shapes["tokens"] == (1, 16) and dataset.spec.vocab_size == 300
    assert dataset.train.read(np.arange(8))["tokens"].max() < 300


@pytest.mark.parametrize(
    ("text_keys", "message"),
    [
        (("a", "c"), r"config.data.text_keys\[1\] .*'c' does not exist"),
        (("label",), r"config.data.text_keys\[0\]: feature 'label' of 'swatches' is not a text"),
    ],
)
def test_wrong_keys_are_named(swatches: str, text_keys: tuple[str, ...], message: str):
    with pytest.raises(UserError, match=message) as caught:
        _ = data.ImageData("swatches", data_dir=swatches, text_keys=text_keys).spec
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(text_keys=("a", "a")), "names a feature twice"),
        (dict(text_length=2), "text_length 2 is not at least 3"),
        (dict(vocab_size=0), "vocab_size 0 is not positive"),
    ],
)
def test_impossible_settings(settings: dict, message: str):
    with pytest.raises(ValueError, match=message):
        data.ImageData("swatches", **settings)


def test_sound_finds_its_tokenizer_where_it_was(data_dir: str):
    """Its name is decided by what it was decided by when only sound had texts."""
    dataset = data.AudioData("asterisk_sounds", data_dir=data_dir, seconds=1.0, text_key="text", vocab_size=90, mock=6)
    records = data.records.Records("asterisk_sounds", data_dir, "train", ("text",), 6)
    key = data.files.key(records.fingerprint() | {"vocab_size": 90, "format": spelling._FORMAT})
    assert spelling._FORMAT == 1 and dataset.spelling.file.parent.name == f"asterisk_sounds-tokenizer-{key}"
