"""Documents with labels, from any TFDS set that has a text, as BERT's sequences."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from ssl_jax.data import catalogue, documents, files, progress, wordpiece
from ssl_jax.data.documents import Documents
from ssl_jax.data.image import check_feeding
from ssl_jax.data.pairs import Pairs
from ssl_jax.data.records import Records
from ssl_jax.data.spec import Spec
from ssl_jax.errors import UserError

_FORMAT = 1  # raise when what is written changes
_TOKENIZER_DOCUMENTS = 200_000  # that a vocabulary is learnt from, spread evenly over the training split


class TextData:
    """Documents of a TFDS set, packed into sequences of one length.

    Examples are dicts: `tokens` int32 [sequence_length] ([CLS] A [SEP] B [SEP] [PAD]...), `segments` int32
    [sequence_length] (1 at B and its [SEP]), `label` int32 (-1 where the set has no labels) and, with `next_sentence`,
    `next` int32 (0: B follows A; 1: B is from another document, the coding of Hugging Face).
    """

    def __init__(
        self,
        name: str,
        *,
        data_dir: str | None = None,
        train_split: str = "train",
        eval_train_split: str | None = None,
        eval_split: str = "test",
        text_key: str = "text",
        label_key: str | None = None,
        vocab_size: int = 8192,
        sequence_length: int = 128,
        tokenizer: str | None = None,
        sentences: Literal["lines", "punctuation"] = "lines",
        next_sentence: bool = True,
        short_sequences: float = 0.1,
        workers: int = 0,
        prefetch: int = 2,
        mock: int = 0,
    ):
        """Nothing is read or prepared before it is asked for.

        Args:
          name: TFDS name: 'kjv', 'wikipedia/20230601.en', ...
          data_dir: where prepared sets are; None is TFDS's own place.
          train_split: split for training, and for the tokenizer.
          eval_train_split: labelled split that evaluations learn from; None: the same as for training.
          eval_split: split that evaluations are tested on.
          text_key: feature that holds the text.
          label_key: feature that holds the class of a document; None: there are no labels.
          vocab_size: tokens of the WordPiece vocabulary that is learnt.
          sequence_length: tokens of a sequence, special ones included.
          tokenizer: path of a tokenizer.json to use instead of learning one.
          sentences: what a sentence is: a line, or within it also what ends with . ! or ?
          next_sentence: whether sequences have two segments, half of the second ones from another document.
          short_sequences: share of the sequences made shorter, to a length drawn uniformly.
          workers: processes that make batches; 0: threads of this process.
          prefetch: batches made in advance (by each worker).
          mock: number of made-up documents a split, for trying a configuration without its data; 0: the real ones.
        """
        check_feeding(workers=workers, prefetch=prefetch, mock=mock)
        _check(vocab_size, sequence_length, short_sequences, sentences)
        self.name, self.data_dir = name, data_dir
        self.splits = (train_split, eval_train_split or train_split, eval_split)
        self.text_key, self.label_key, self.sentences = text_key, label_key, sentences
        self.vocab_size, self.sequence_length = vocab_size, sequence_length
        self.next_sentence, self.short_sequences = next_sentence, short_sequences
        self.workers, self.prefetch, self.mock = workers, prefetch, mock
        self._tokenizer = tokenizer

    @functools.cached_property
    def spec(self) -> Spec:
        """Shapes, classes and special tokens.

        Raises:
          UserError: the set does not exist or is not prepared, or has no such features.
        """
        shapes = {"tokens": (self.sequence_length,), "segments": (self.sequence_length,), "label": ()}
        shapes |= {"next": ()} if self.next_sentence else {}
        feature = None if self.label_key is None else self._train_records.feature(self.label_key)
        names = () if feature is None else tuple(feature.names)
        special = {f"{key}_id": getattr(self.vocabulary, f"{key}_id") for key in ("pad", "unk", "cls", "sep", "mask")}
        return Spec(
            shapes=shapes,
            num_classes=len(names),
            class_names=names,
            vocab_size=self._vocab_size(),
            special_ids=self.vocabulary.special_ids,
            **special,
        )

    def _vocab_size(self) -> int:
        """That of the tokenizer; made-up documents hold too few words to fill the one that is asked for."""
        learnt = self.vocabulary.size
        return max(learnt, self.vocab_size) if self.mock and self._tokenizer is None else learnt

    @functools.cached_property
    def tokenizer_file(self) -> Path:
        """The tokenizer.json in use; learnt from the training split the first time."""
        return Path(self._tokenizer) if self._tokenizer is not None else self._learnt() / "tokenizer.json"

    @functools.cached_property
    def tokenizer(self):
        """The `tokenizers.Tokenizer`."""
        return wordpiece.load(self.tokenizer_file)

    @functools.cached_property
    def vocabulary(self) -> wordpiece.Vocabulary:
        """Size and special tokens of the tokenizer."""
        return wordpiece.vocabulary(self.tokenizer)

    @functools.cached_property
    def train(self) -> "TextSource":
        """The training split."""
        return self._open(self.splits[0])

    @functools.cached_property
    def eval_train(self) -> "TextSource":
        """The labelled split that evaluations learn from."""
        return self.train if self.splits[1] == self.splits[0] else self._open(self.splits[1])

    @functools.cached_property
    def eval(self) -> "TextSource":
        """The split that evaluations are tested on."""
        return self._open(self.splits[2])

    def _records(self, split: str) -> Records:
        keys = (self.text_key,) if self.label_key is None else (self.text_key, self.label_key)
        return Records(self.name, self.data_dir, split, keys, self.mock)

    @functools.cached_property
    def _train_records(self) -> Records:
        records = self._records(self.splits[0])
        _check_features(records, self.text_key, self.label_key)
        return records

    def _folder(self, kind: str, identity: dict) -> Path:
        """Where what is computed from `identity` is kept."""
        key = hashlib.sha256(json.dumps(identity | {"format": _FORMAT}, sort_keys=True).encode()).hexdigest()[:16]
        return files.cache_dir(catalogue.resolve(self.data_dir)) / f"{files.slug(self.name)}-{kind}-{key}"

    def _learnt(self) -> Path:
        records = self._train_records
        folder = self._folder("tokenizer", records.fingerprint() | {"vocab_size": self.vocab_size})
        return files.build(folder, functools.partial(_learn, records, self.text_key, self.vocab_size))

    def _open(self, split: str) -> "TextSource":
        records = self._train_records if split == self.splits[0] else self._records(split)
        capacity = self.sequence_length - 3
        spelling = hashlib.sha256(self.tokenizer.to_str().encode()).hexdigest()
        identity = {"tokenizer": spelling, "sentences": self.sentences, "capacity": capacity}
        write = functools.partial(
            documents.write,
            records=records,
            tokenizer=self.tokenizer,
            text_key=self.text_key,
            label_key=self.label_key,
            sentences=self.sentences,
            capacity=capacity,
        )
        folder = files.build(self._folder(files.slug(split), records.fingerprint() | identity), write)
        store = Documents(folder)
        if self.next_sentence and len(store.labels) < 2:
            raise UserError(f"config.data.next_sentence: it takes two documents; {self.name!r} ({split}) has one.")
        return TextSource(Pairs(store, self.vocabulary, self.sequence_length, self.next_sentence, self.short_sequences))


@dataclasses.dataclass(frozen=True)
class TextSource:
    """The chunks of text of one split."""

    pairs: Pairs
    threads: ClassVar[int] = 1
    draws: ClassVar[bool] = True

    def __len__(self) -> int:
        return len(self.pairs.documents.chunks)

    def read(self, indices: np.ndarray, keys: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The sequences made of the chunks `indices` (int64 [n]).

        Args:
          indices: which chunks.
          keys: uint64 [n], decide what is drawn; None: the chunks as they are, in one segment.
        """
        indices = np.asarray(indices, np.int64)
        batch = self.pairs.plain(indices) if keys is None else self.pairs.drawn(indices, keys)
        store = self.pairs.documents
        return batch | {"label": np.asarray(store.labels[store.chunks[indices, 0]])}


def _check(vocab_size: int, sequence_length: int, short_sequences: float, sentences: str) -> None:
    """Raises ValueError for settings that cannot be."""
    if vocab_size <= len(wordpiece.SPECIAL):
        raise ValueError(f"vocab_size {vocab_size} is not more than the {len(wordpiece.SPECIAL)} special tokens")
    if sequence_length < 8:
        raise ValueError(f"sequence_length {sequence_length} is not at least 8")
    if not 0 <= short_sequences <= 1:
        raise ValueError(f"short_sequences {short_sequences} is not between 0 and 1")
    if sentences not in ("lines", "punctuation"):
        raise ValueError(f"sentences {sentences!r} is not 'lines' or 'punctuation'")


def _check_features(records: Records, text_key: str, label_key: str | None) -> None:
    import tensorflow_datasets as tfds

    if not isinstance(records.feature(text_key, "text_key"), tfds.features.Text):
        raise UserError(f"config.data.text_key: feature {text_key!r} of {records.name!r} is not a text.")
    if label_key is not None and not isinstance(records.feature(label_key, "label_key"), tfds.features.ClassLabel):
        raise UserError(
            f"config.data.label_key: feature {label_key!r} of {records.name!r} is no class label;"
            " set None to do without."
        )


def _learn(records: Records, text_key: str, vocab_size: int, folder: Path) -> None:
    """Trains a tokenizer on (a part of) the documents and saves it."""
    texts = functools.partial(_texts, records, text_key)
    with progress.announced(f"Learning {vocab_size:,} word pieces from {records.name} ({records.split})"):
        wordpiece.train(texts, vocab_size).save(str(folder / "tokenizer.json"))


def _texts(records: Records, text_key: str) -> Iterator[str]:
    """The documents that a vocabulary is learnt from."""
    count = min(len(records), _TOKENIZER_DOCUMENTS)
    indices = np.arange(count) * len(records) // count
    for start in range(0, count, 256):
        for record in records.read(indices[start : start + 256]):
            yield record[text_key].decode(errors="replace")
