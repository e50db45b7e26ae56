import os
from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow_datasets as tfds

from ssl_jax import data
from ssl_jax.data import audio
from ssl_jax.errors import UserError

LENGTHS = (0, 5, 80, 100, 101, 300)


class Hums(tfds.core.GeneratorBasedBuilder):
    """Recordings of different lengths, as TFDS's own sets hold them: Audio, int64 or float32, one channel or two."""

    VERSION = tfds.core.Version("1.0.0")
    name = "hums"

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "audio": tfds.features.Audio(sample_rate=100),
            "speech": tfds.features.Audio(sample_rate=100, dtype=np.float32, shape=(None, 2)),
            "tensor": tfds.features.Tensor(shape=(None,), dtype=np.int16),
            "wide": tfds.features.Audio(sample_rate=100),
            "label": tfds.features.ClassLabel(names=["a", "b", "c"]),
            "text": tfds.features.Text(),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager) -> dict[str, Iterator]:
        return {"train": self._generate_examples(), "test": self._generate_examples()}

    def _generate_examples(self) -> Iterator:
        for number, length in enumerate(LENGTHS):
            samples = ramp(length)
            stereo = np.stack([samples, samples], 1).astype(np.float32) / 32767
            sounds = {"audio": samples, "speech": stereo, "tensor": samples.astype(np.int16), "wide": samples * 70_000}
            yield number, {**sounds, "label": number % 3, "text": " ".join(["hum"] * number) or "rest"}


def ramp(length: int) -> np.ndarray:
    """Samples that say where they are: 1, 2, 3, ..."""
    return np.arange(1, length + 1)


@pytest.fixture(scope="module")
def hums(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Prepared, for which TensorFlow would be needed to write down that the features are Audio; reading takes none."""
    folder = str(tmp_path_factory.mktemp("hums"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tfds.features.Audio, "dtype", property(lambda feature: feature.np_dtype))
        data.prepare("hums", folder)
    return folder


@pytest.mark.parametrize("cache", ["always", "never"])
@pytest.mark.parametrize("key", ["audio", "speech"])
def test_recordings_are_cut_or_filled_up(hums: str, key: str, cache: str):
    dataset = data.AudioData("hums", data_dir=hums, seconds=1.0, audio_key=key, cache=cache)
    assert dataset.spec.shapes == {"waveform": (100,), "length": (), "label": ()}
    assert (dataset.spec.sample_rate, dataset.spec.class_names, dataset.spec.modality) == (
        100,
        ("a", "b", "c"),
        "audio",
    )
    batch = dataset.train.read(np.arange(6))
    assert {name: array.dtype for name, array in batch.items()} == {
        "waveform": np.int16,
        "length": np.int32,
        "label": np.int32,
    }
    assert sorted(batch["length"]) == [0, 5, 80, 100, 100, 100]
    for samples, length in zip(batch["waveform"], batch["length"]):
        np.testing.assert_array_equal(samples[:length], ramp(length))
        assert not samples[length:].any()
    assert sorted(batch["label"]) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("cache", ["always", "never"])
def test_training_draws_where_a_long_recording_begins(hums: str, cache: str):
    dataset = data.AudioData("hums", data_dir=hums, seconds=1.0, cache=cache)
    source = dataset.train
    rows = np.repeat(np.arange(6), 400)
    batch = source.read(rows, np.arange(len(rows)).astype(np.uint64))
    starts = batch["waveform"][:, 0].reshape(6, 400)
    fewest = [len(np.unique(row)) for row in starts]
    assert sorted(fewest)[:4] == [1, 1, 1, 1] and sorted(fewest)[4] == 2  # 101 samples have two stretches of 100
    long = starts[int(np.argmax(fewest))]
    assert long.min() <= 3 and long.max() >= 199 and max(fewest) > 150  # of 201
    again = source.read(rows, np.arange(len(rows)).astype(np.uint64))
    np.testing.assert_array_equal(batch["waveform"], again["waveform"])


@pytest.mark.parametrize("text_key", [None, "text"])
def test_the_cache_changes_nothing(hums: str, text_key: str | None):
    settings = dict(data_dir=hums, seconds=0.7, sample_rate=80, text_key=text_key, vocab_size=20)
    cached, read = (data.AudioData("hums", cache=cache, **settings) for cache in ("always", "never"))
    assert isinstance(cached.train, data.CachedAudio) and isinstance(read.train, data.AudioSource)
    for keys in (None, np.arange(6).astype(np.uint64)):
        first, second = (dataset.train.read(np.arange(6), keys) for dataset in (cached, read))
        for name in first:
            assert type(first[name]) is np.ndarray
            np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.parametrize("cache", ["always", "never"])
def test_what_is_spoken_comes_as_tokens(hums: str, cache: str):
    settings = dict(data_dir=hums, seconds=1.0, text_key="text", text_length=5, vocab_size=40, cache=cache)
    dataset = data.AudioData("hums", **settings)
    spec, batch = dataset.spec, dataset.train.read(np.arange(6))
    assert spec.modality == "audio" and spec.shapes["tokens"] == (5,) and spec.vocab_size <= 40
    texts = dataset.train.texts(np.arange(6))
    hum, rest = (dataset.tokenizer.token_to_id(word) for word in ("hum", "rest"))
    for text, tokens, length in zip(texts, batch["tokens"], batch["length"]):
        words = [rest] if text == "rest" else [hum] * min(3, len(text.split()))
        padding = [spec.pad_id] * (3 - len(words))
        assert tokens.tolist() == [spec.cls_id, *words, spec.sep_id, *padding]
        assert (text == "rest") == (length == 0)  # the text is that of its recording


def test_sound_is_resampled(hums: str):
    dataset = data.AudioData("hums", data_dir=hums, seconds=1.0, sample_rate=50, cache="never")
    assert dataset.spec.shapes["waveform"] == (50,) and dataset.spec.sample_rate == 50
    batch = dataset.train.read(np.arange(6))
    assert sorted(batch["length"]) == [0, 3, 40, 50, 50, 50]
    row = int(np.flatnonzero(batch["length"] == 40)[0])
    np.testing.assert_allclose(batch["waveform"][row, 10:30], ramp(80)[20:60:2], atol=1)


def test_auto_caches_what_is_small(hums: str, monkeypatch: pytest.MonkeyPatch):
    assert isinstance(data.AudioData("hums", data_dir=hums, seconds=1.0).train, data.CachedAudio)
    monkeypatch.setattr(audio, "_CACHE_LIMIT", 100)
    assert isinstance(data.AudioData("hums", data_dir=hums, seconds=1.0).train, data.AudioSource)


def test_a_truncated_cache_is_built_again(hums: str):
    settings = dict(data_dir=hums, seconds=1.0, train_split="train[:4]")
    source = data.AudioData("hums", **settings).train
    before = source.read(np.arange(4))
    os.truncate(source.folder / "samples", 20)
    after = data.AudioData("hums", **settings).train.read(np.arange(4))
    np.testing.assert_array_equal(before["waveform"], after["waveform"])


def test_batches_do_not_depend_on_how_they_are_read(hums: str):
    settings = dict(data_dir=hums, seconds=0.5)
    here, workers = data.AudioData("hums", **settings), data.AudioData("hums", workers=1, cache="never", **settings)
    for (step, one), (_, other) in zip(
        *(data.batches(d, batch_size=4, seed=3, start=1, stop=4) for d in (here, workers))
    ):
        for batch in (other, data.batch_at(here, batch_size=4, seed=3, step=step)):
            for name in one:
                np.testing.assert_array_equal(one[name], batch[name])


_BOOKS = dict(audio_key="speech", label_key=None, train_split="train_clean100", eval_split="test_clean")


@pytest.mark.parametrize(
    ("name", "settings", "classes"),
    [("speech_commands", dict(), 12), ("librispeech", _BOOKS, 0)],
)
def test_sets_of_tfds_are_known_by_name(tmp_path, name: str, settings: dict, classes: int):
    """With made-up recordings in place of theirs."""
    dataset = data.AudioData(name, data_dir=str(tmp_path), seconds=1.0, mock=8, **settings)
    assert dataset.spec.num_classes == classes and dataset.spec.sample_rate == 16000
    batch = dataset.train.read(np.arange(8), np.arange(8).astype(np.uint64))
    assert batch["waveform"].shape == (8, 16000) and np.abs(batch["waveform"].astype(int)).max() > 1000
    assert batch["length"].min() >= 2000 and (batch["label"] >= 0).all() == (classes > 0)


def test_mock_recordings_of_ours(data_dir: str):
    dataset = data.AudioData("asterisk_sounds", data_dir=data_dir, seconds=1.5, label_key="language", mock=6)
    assert dataset.spec.sample_rate == 8000 and dataset.spec.class_names == ("en", "es", "fr", "it", "ru")
    batch = dataset.eval.read(np.arange(6))
    assert batch["waveform"].shape == (6, 12000) and set(batch["label"]) <= set(range(5))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(audio_key="adio"), "config.data.audio_key .*'adio' does not exist. Did you mean 'audio'"),
        (dict(audio_key="label"), "config.data.audio_key: feature 'label' of 'hums' is no sound"),
        (dict(label_key="audio"), "config.data.label_key: feature 'audio' of 'hums' is no class label"),
        (dict(audio_key="tensor"), "'hums' does not say how many samples a second its sound has"),
        (dict(text_key="label"), "config.data.text_key: feature 'label' of 'hums' is not a text"),
        (dict(train_split="tran"), "'tran' does not exist. Did you mean 'train'"),
    ],
)
def test_mistakes_are_named(hums: str, settings: dict, message: str):
    with pytest.raises(UserError, match=message) as caught:
        _ = data.AudioData("hums", data_dir=hums, seconds=1.0, **settings).train
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cache", ["always", "never"])
def test_what_is_no_sound_is_named(hums: str, cache: str):
    dataset = data.AudioData("hums", data_dir=hums, seconds=1.0, audio_key="wide", cache=cache)
    with pytest.raises(UserError, match=r"Recording \d of 'hums' \(train\) is no sound that can be read: its"):
        dataset.train.read(np.arange(6))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(seconds=0.0), "seconds 0.0 is less than 0.025, one frame of a spectrogram"),
        (dict(sample_rate=0), "sample_rate 0 is not positive; write Hz"),
        (dict(text_length=2), "text_length 2 is not at least 3"),
        (dict(vocab_size=0), "vocab_size 0 is not positive"),
        (dict(cache="maybe"), "cache 'maybe' is not"),
        (dict(workers=-1), "workers -1 is negative"),
    ],
)
def test_impossible_settings(settings: dict, message: str):
    with pytest.raises(ValueError, match=message):
        data.AudioData("hums", **dict(seconds=1.0) | settings)
