"""Recordings with labels, from any TFDS set that has sound."""

import dataclasses
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ssl_jax.data import catalogue, files, order, progress, sound, spelling
from ssl_jax.data.image import check_feeding
from ssl_jax.data.records import Records
from ssl_jax.data.spec import Spec
from ssl_jax.data.spelling import Spelling
from ssl_jax.errors import UserError

if TYPE_CHECKING:
    import tokenizers

FRAME_SECONDS = 0.025
"""Length of the frames of a spectrogram that the raw input is made of: no example is shorter."""

_CACHE_LIMIT = 4 * 2**30  # bytes of prepared records that 'auto' still caches
_CACHE_FORMAT = 1  # raise when what is written changes
_CHUNK = 64  # records decoded at a time while a cache is built
_START = 0  # what is drawn from a key
_ARRAYS = {"samples": "<i2", "starts": "<i8", "label": "<i4"}  # files of a cache


class AudioData:
    """Recordings of a TFDS set, one channel, all cut or filled up to one length.

    Examples are dicts: `waveform` int16 [seconds * sample_rate], 0 behind the end; `length` int32, how many of its
    samples are real; `label` int32 (-1 where there is none); and, with a `text_key`, `tokens` int32 [text_length], the
    words that are spoken: [CLS] words [SEP] [PAD]... Of a longer recording, training gets a stretch drawn anew each
    time, and evaluation the beginning.
    """

    def __init__(
        self,
        name: str,
        *,
        seconds: float,
        data_dir: str | None = None,
        train_split: str = "train",
        eval_train_split: str | None = None,
        eval_split: str = "test",
        audio_key: str = "audio",
        label_key: str | None = "label",
        text_key: str | None = None,
        text_length: int = 16,
        vocab_size: int = 1024,
        sample_rate: int | None = None,
        cache: Literal["auto", "always", "never"] = "auto",
        workers: int = 0,
        prefetch: int = 2,
        mock: int = 0,
    ):
        """Nothing is read or prepared before it is asked for.

        Args:
          name: TFDS name: 'asterisk_sounds', 'speech_commands', 'librispeech', ...
          seconds: length of an example.
          data_dir: where prepared sets are; None is TFDS's own place.
          train_split: split for training.
          eval_train_split: labelled split that evaluations learn from; None: the same as for training.
          eval_split: split that evaluations are tested on.
          audio_key: feature that holds the sound; of several channels the mean is taken.
          label_key: feature that holds the class; None: there are no labels.
          text_key: feature that holds what is spoken; None: it is not read.
          text_length: tokens of a text, [CLS] and [SEP] included.
          vocab_size: tokens of the WordPiece vocabulary that is learnt from the texts of the training split, of
            200,000 recordings at most, spread evenly.
          sample_rate: samples a second, in Hz, to which the sound is resampled; None: as recorded.
          cache: whether to decode and resample the set once, to a memory-mapped file: 'auto' does where the prepared
            records take at most 4 GiB.
          workers: processes that read and decode batches; 0: threads of this process.
          prefetch: batches made in advance (by each worker).
          mock: number of made-up examples a split, for trying a configuration without its data; 0: the real ones.

        Raises:
          ValueError: a setting of feeding or of texts is below what it may be, a `cache` does not exist, a rate is not
            positive, or an example is shorter than one frame of a spectrogram.
        """
        check_feeding(workers=workers, prefetch=prefetch, mock=mock)
        if cache not in ("auto", "always", "never"):
            raise ValueError(f"cache {cache!r} is not 'auto', 'always' or 'never'")
        if sample_rate is not None and sample_rate < 1:
            raise ValueError(f"sample_rate {sample_rate} is not positive; write Hz, e.g. 16000, or None: as recorded")
        if seconds < FRAME_SECONDS:
            raise ValueError(f"seconds {seconds} is less than {FRAME_SECONDS}, one frame of a spectrogram")
        spelling.check(text_length=text_length, vocab_size=vocab_size)
        self.name, self.data_dir = name, data_dir
        self.splits = (train_split, eval_train_split or train_split, eval_split)
        self.audio_key, self.label_key, self.text_key = audio_key, label_key, text_key
        self.text_keys = () if text_key is None else (text_key,)
        self.text_length, self.vocab_size = text_length, vocab_size
        self.seconds, self.sample_rate = seconds, sample_rate
        self.cache, self.workers, self.prefetch, self.mock = cache, workers, prefetch, mock

    @functools.cached_property
    def spec(self) -> Spec:
        """Shapes, classes and sample rate of the examples.

        Raises:
          UserError: the set does not exist or is not prepared, has no such features, or does not say its rate.
        """
        rate = self.sample_rate or self.recorded_rate
        length = max(1, round(self.seconds * rate))
        feature = None if self.label_key is None else self._info.feature(self.label_key)
        return Spec(
            shapes={"waveform": (length,), "length": (), "label": ()} | self._text_shapes,
            num_classes=0 if feature is None else feature.num_classes or 0,
            class_names=() if feature is None or not feature.num_classes else tuple(feature.names),
            sample_rate=rate,
            **self._special_tokens,
        )

    @property
    def _text_shapes(self) -> dict[str, tuple[int, ...]]:
        return {} if self.text_key is None else {"tokens": (self.text_length,)}

    @property
    def _special_tokens(self) -> dict:
        least = self.vocab_size if self.mock else 0
        return {} if self.text_key is None else self.spelling.special_tokens(at_least=least)

    @functools.cached_property
    def spelling(self) -> Spelling:
        """How texts become tokens; learnt from the training split the first time."""
        texts = Records(self.name, self.data_dir, self.splits[0], (self.text_key,), self.mock)
        return spelling.learnt(texts, vocab_size=self.vocab_size, length=self.text_length, root=self._cache_dir)

    @property
    def tokenizer(self) -> "tokenizers.Tokenizer":
        """The `tokenizers.Tokenizer` of the texts."""
        return self.spelling.tokenizer

    @property
    def _cache_dir(self) -> Path:
        return files.cache_dir(catalogue.resolve(self.data_dir))

    @functools.cached_property
    def recorded_rate(self) -> int:
        """Samples a second of the set itself.

        Raises:
          UserError: the set does not say.
        """
        rate = getattr(self._info.feature(self.audio_key), "sample_rate", None)
        rate = rate or (self._info.builder.info.metadata or {}).get("sample_rate")
        if not rate:
            raise UserError(f"config.data.name: {self.name!r} does not say how many samples a second its sound has.")
        return int(rate)

    @functools.cached_property
    def train(self) -> "AudioSource | CachedAudio":
        """The training split."""
        return self._open(self.splits[0])

    @functools.cached_property
    def eval_train(self) -> "AudioSource | CachedAudio":
        """The labelled split that evaluations learn from."""
        return self.train if self.splits[1] == self.splits[0] else self._open(self.splits[1])

    @functools.cached_property
    def eval(self) -> "AudioSource | CachedAudio":
        """The split that evaluations are tested on."""
        return self._open(self.splits[2])

    def _open(self, split: str) -> "AudioSource | CachedAudio":
        records, rates = self._records(split), (self.recorded_rate, self.spec.sample_rate)
        spelled = None if self.text_key is None else self.spelling
        source = AudioSource(records, self.audio_key, self.label_key, self.text_key, rates, self.spec, spelled)
        if self.cache == "auto":
            wanted = not self.mock and records.split_info().num_bytes <= _CACHE_LIMIT
        else:
            wanted = self.cache == "always"
        return cached(source, self._cache_dir) if wanted else source

    def _records(self, split: str) -> Records:
        keys = tuple(key for key in (self.audio_key, self.label_key, self.text_key) if key is not None)
        return Records(self.name, self.data_dir, split, keys, self.mock)

    @functools.cached_property
    def _info(self) -> Records:
        info = self._records(self.splits[0])
        _check_features(info, self.audio_key, self.label_key, self.text_key)
        return info


def _check_features(info: Records, audio_key: str, label_key: str | None, text_key: str | None) -> None:
    import tensorflow_datasets as tfds

    audio = info.feature(audio_key, "audio_key")
    if not sound.is_sound(audio):
        raise UserError(f"config.data.audio_key: feature {audio_key!r} of {info.name!r} is no sound, but {audio!r}.")
    if label_key is not None and not isinstance(info.feature(label_key, "label_key"), tfds.features.ClassLabel):
        raise UserError(
            f"config.data.label_key: feature {label_key!r} of {info.name!r} is no class label; set None to do without."
        )
    if text_key is not None:
        spelling.check_feature(info, text_key, "text_key")


@dataclasses.dataclass(frozen=True)
class AudioSource:
    """Recordings of one split, decoded and resampled as they are read.

    Attributes:
      records: the recordings.
      audio_key: feature that holds the sound.
      label_key: feature that holds the class, if any.
      text_key: feature that holds what is spoken, if any.
      rates: samples a second as recorded, and as wanted.
      spec: of the examples.
      spelling: of the texts, if there are any.
    """

    records: Records
    audio_key: str
    label_key: str | None
    text_key: str | None
    rates: tuple[int, int]
    spec: Spec
    spelling: Spelling | None = None
    threads: ClassVar[int] = 1
    draws: ClassVar[bool] = True

    def __len__(self) -> int:
        return len(self.records)

    def read(self, indices: np.ndarray, keys: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The examples at `indices` (int64 [n]) as arrays with leading axis n.

        Args:
          indices: which recordings.
          keys: uint64 [n], decide where the stretch of a long recording begins; None: at its beginning.

        Raises:
          UserError: a file is damaged, or the sound is no 16-bit PCM.
        """
        sounds, labels, texts = self.whole(indices)
        return _cut(sounds, keys, self.spec) | {"label": labels} | _spelled(texts, self.spelling)

    def texts(self, indices: np.ndarray) -> list[str]:
        """What is spoken in the recordings at `indices` (int64 [n]); only with a `text_key`."""
        return spelling.of_records(self.records.read(indices), [self.text_key])

    def whole(self, indices: np.ndarray) -> tuple[list[np.ndarray], np.ndarray, list[str]]:
        """All samples (int16) of the recordings at `indices` at the wanted rate, their labels (int32 [n]), their texts.

        Texts are empty where there is no `text_key`.
        """
        records = self.records.read(indices)
        labels = [-1 if self.label_key is None else record[self.label_key] for record in records]
        texts = [""] * len(records) if self.text_key is None else spelling.of_records(records, [self.text_key])
        sounds = [self._decoded(record[self.audio_key], index) for record, index in zip(records, indices)]
        return sounds, np.asarray(labels, np.int32), texts

    def _decoded(self, value: np.ndarray, index: int) -> np.ndarray:
        try:
            return sound.resample(sound.to_pcm(value), *self.rates)
        except ValueError as error:
            where = f"Recording {index} of {self.records.name!r} ({self.records.split})"
            raise UserError(f"{where} is no sound that can be read: {error}") from error


def _cut(sounds: list[np.ndarray], keys: np.ndarray | None, spec: Spec) -> dict[str, np.ndarray]:
    """Stretches of one length of recordings of any length."""
    (length,) = spec.shapes["waveform"]
    draws = np.zeros(len(sounds)) if keys is None else order.uniform(keys, _START)
    waveform = np.zeros((len(sounds), length), np.int16)
    lengths = np.zeros(len(sounds), np.int32)
    for row, (samples, draw) in enumerate(zip(sounds, draws)):
        start = int(draw * (max(0, len(samples) - length) + 1))
        stretch = samples[start : start + length]
        waveform[row, : len(stretch)], lengths[row] = stretch, len(stretch)
    return {"waveform": waveform, "length": lengths}


def _spelled(texts: Sequence[str], spelling: Spelling | None) -> dict[str, np.ndarray]:
    return {} if spelling is None else {"tokens": spelling(texts)}


@dataclasses.dataclass(frozen=True)
class CachedAudio:
    """Recordings of one split, decoded and resampled once into `folder` and memory-mapped from there.

    The folder holds flat arrays: all `samples` one after the other (int16), where each recording `starts` among them
    (int64 [recordings + 1]), and the `label` of each (int32); and the texts, a list in texts.json.
    """

    folder: Path
    spec: Spec
    spelling: Spelling | None = None
    threads: ClassVar[int] = 1
    draws: ClassVar[bool] = True

    def __len__(self) -> int:
        return len(self._arrays["label"])

    def read(self, indices: np.ndarray, keys: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The examples at `indices` (int64 [n]), as `AudioSource.read` gives them."""
        starts, samples = self._arrays["starts"], self._arrays["samples"]
        sounds = [samples[starts[index] : starts[index + 1]] for index in indices]
        labels = {"label": np.asarray(self._arrays["label"][indices])}
        return (
            _cut(sounds, keys, self.spec)
            | labels
            | ({} if self.spelling is None else {"tokens": self._tokens[indices]})
        )

    def texts(self, indices: np.ndarray) -> list[str]:
        """What is spoken in the recordings at `indices` (int64 [n]); only with a `text_key`."""
        return [self._texts[index] for index in indices]

    @functools.cached_property
    def _tokens(self) -> np.ndarray:
        return self.spelling(self._texts)

    @functools.cached_property
    def _texts(self) -> list[str]:
        return json.loads((self.folder / "texts.json").read_text(encoding="utf-8"))

    @functools.cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        try:
            return {name: np.memmap(self.folder / name, dtype, mode="r") for name, dtype in _ARRAYS.items()}
        except (OSError, ValueError) as error:
            raise UserError(f"{self.folder} is damaged ({error}): delete it, it will be built again.") from error

    def __getstate__(self) -> dict:
        return {"folder": self.folder, "spec": self.spec, "spelling": self.spelling}


def cached(source: AudioSource, root: Path) -> CachedAudio:
    """The same recordings, decoded into a folder under `root`; those of an earlier run are used if they are whole."""
    identity = source.records.fingerprint() | {"rates": source.rates, "format": _CACHE_FORMAT}
    folder = root / f"{files.slug(source.records.name)}-{files.slug(source.records.split)}-{files.key(identity)}"
    return CachedAudio(files.build(folder, functools.partial(_write, source)), source.spec, source.spelling)


def _write(source: AudioSource, folder: Path) -> None:
    """Decodes all of `source` into one file an array; not through a mapping, where a full disk is a SIGBUS."""
    what = f"{source.records.name} ({source.records.split})"
    starts, labels, texts = [0], [], []
    announced = progress.announced(f"Decoding {len(source):,} recordings of {what} into {folder.parent}")
    with announced, (folder / "samples").open("wb") as file:
        for indices in progress.chunks(len(source), _CHUNK, f"Decoding {what}"):
            sounds, found, spoken = source.whole(indices)
            labels.append(found)
            texts += spoken
            for samples in sounds:
                file.write(np.ascontiguousarray(samples, _ARRAYS["samples"]).data)
                starts.append(starts[-1] + len(samples))
    np.asarray(starts, _ARRAYS["starts"]).tofile(folder / "starts")
    np.concatenate(labels, dtype=_ARRAYS["label"]).tofile(folder / "label")
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
