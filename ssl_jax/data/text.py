"""Documents with labels, from any TFDS set that has a text, as sequences of tokens."""

import functools
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from ssl_jax.data import (
    catalogue,
    documents,
    files,
    packing,
    pairs,
    progress,
    sequences,
    tokenizing,
    wordpiece,
    words,
)
from ssl_jax.data import vocabulary as vocabularies
from ssl_jax.data.documents import Documents
from ssl_jax.data.feed import Source
from ssl_jax.data.image import check_feeding
from ssl_jax.data.records import Records
from ssl_jax.data.spec import Spec
from ssl_jax.errors import UserError

Layout = Literal["pairs", "full_sentences", "stream", "sentences"]
_FORMAT = 3  # raise when what is written changes
_TOKENIZER_DOCUMENTS = 200_000  # that word pieces are learnt from, spread evenly over the training split
_PACKED = ("full_sentences", "stream")  # layouts whose training sequences hold several documents


class TextData:
    """Documents of a TFDS set as sequences of one length.

    Examples are dicts: `tokens` int32 [sequence_length], padded at the end; `segments` int32 [sequence_length], 1 at a
    second segment and its [SEP]; `label` int32 (-1 where the set has no labels, or a sequence several documents); where
    there is a second segment `next` int32 (0: it follows the first; 1: it is from another document, the coding of
    Hugging Face) or `order` int32 (0: as in the text; 1: swapped); and in packed layouts `parts` int32
    [sequence_length]: 1 in the first document of the sequence, 2 in the next, and so on, 0 at padding.
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
        vocabulary: Literal["wordpiece", "words"] = "wordpiece",
        vocab_size: int = 8192,
        sentinels: int = 0,
        tokenizer: str | None = None,
        sequence_length: int = 128,
        sentences: documents.Sentences = "lines",
        layout: Layout = "pairs",
        second_segment: pairs.Second | None = None,
        short_sequences: float | None = None,
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
          vocabulary: what a tokenizer that is learnt spells with: pieces of words, or the most frequent words alone.
          vocab_size: tokens of the vocabulary that is learnt.
          sentinels: how many of T5's <extra_id_0>, <extra_id_1>, ... are among the word pieces that are learnt.
          tokenizer: path of a tokenizer.json to use instead of learning one, with BERT's, RoBERTa's or T5's special
            tokens.
          sequence_length: tokens of a sequence, special ones included.
          sentences: what a sentence is: a line, or within it also what ends with . ! or ?
          layout: what a sequence holds. 'pairs': consecutive sentences of a document, in two segments (BERT, ALBERT) or
            one: [CLS] A [SEP] B [SEP]. 'full_sentences': whole sentences one after the other, across documents,
            [SEP] after each document (RoBERTa). 'stream': the same without regard to sentences, so that nothing is
            padded. Evaluations get sequences of a single document in these two. 'sentences': one sentence, cut where
            it is too long (SimCSE, word2vec).
          second_segment: of 'pairs': 'none'; 'random': what follows, in half of the cases text of another document;
            'swapped': what follows, in half of the cases before the first segment. None: 'random' in 'pairs'.
          short_sequences: of 'pairs': share of the sequences made shorter, to a length drawn uniformly. None: 0.1.
          workers: processes that make batches; 0: threads of this process.
          prefetch: batches made in advance (by each worker).
          mock: number of made-up documents a split, for trying a configuration without its data; 0: the real ones.

        Raises:
          ValueError: settings that are out of range, do not exist or do not go together.
        """
        check_feeding(workers=workers, prefetch=prefetch, mock=mock)
        _check(sequence_length, sentences, layout, second_segment, short_sequences)
        _check_vocabulary(vocabulary, vocab_size, sentinels, tokenizer)
        self.name, self.data_dir = name, data_dir
        self.splits = (train_split, eval_train_split or train_split, eval_split)
        self.text_key, self.label_key, self.sentences = text_key, label_key, sentences
        self.kind, self.vocab_size, self.sentinels = vocabulary, vocab_size, sentinels
        self.sequence_length, self.layout = sequence_length, layout
        self.second_segment = second_segment or ("random" if layout == "pairs" else "none")
        self.short_sequences = 0.1 if short_sequences is None else short_sequences
        self.workers, self.prefetch, self.mock = workers, prefetch, mock
        self._tokenizer = None if tokenizer is None else Path(tokenizer).expanduser()

    @functools.cached_property
    def spec(self) -> Spec:
        """Shapes, classes and special tokens.

        Raises:
          UserError: the set does not exist or is not prepared, or has no such features.
        """
        whole, told = (self.sequence_length,), pairs.TOLD[self.second_segment]
        shapes = {"tokens": whole, "segments": whole, "label": ()} | ({told: ()} if told else {})
        shapes |= {"parts": whole} if self.layout in _PACKED else {}
        feature = None if self.label_key is None else self._train_records.feature(self.label_key)
        names = () if feature is None else tuple(feature.names)
        special = {f"{key}_id": getattr(self.vocabulary, f"{key}_id") for key in ("pad", "unk", "cls", "sep", "mask")}
        return Spec(
            shapes=shapes,
            num_classes=len(names),
            class_names=names,
            vocab_size=self._vocab_size(),
            special_ids=self.vocabulary.special_ids,
            sentinel_ids=self.vocabulary.sentinel_ids,
            word_starts=self._of_all_tokens(vocabularies.word_starts(self.tokenizer)),
            token_counts=self._of_all_tokens(self._store(self.splits[0]).counts) if self.kind == "words" else None,
            **special,
        )

    def _vocab_size(self) -> int:
        """That of the tokenizer; made-up documents hold too few words to fill the one that is asked for."""
        learnt = self.vocabulary.size
        return max(learnt, self.vocab_size) if self.mock and self._tokenizer is None else learnt

    def _of_all_tokens(self, known: np.ndarray) -> np.ndarray:
        """What is known of each token, 0 for those that made-up documents do not fill."""
        return np.pad(known, (0, self._vocab_size() - len(known)))

    @functools.cached_property
    def tokenizer_file(self) -> Path:
        """The tokenizer.json in use; learnt from the training split the first time."""
        return self._tokenizer if self._tokenizer is not None else self._learnt() / "tokenizer.json"

    @functools.cached_property
    def tokenizer(self):
        """The `tokenizers.Tokenizer`."""
        return vocabularies.load(self.tokenizer_file)

    @functools.cached_property
    def vocabulary(self) -> vocabularies.Vocabulary:
        """Size and special tokens of the tokenizer."""
        return vocabularies.of(self.tokenizer)

    @functools.cached_property
    def train(self) -> Source:
        """The training split."""
        return self._open(self.splits[0], self.layout)

    @functools.cached_property
    def eval_train(self) -> Source:
        """The labelled split that evaluations learn from."""
        same = self.splits[1] == self.splits[0] and self.layout not in _PACKED
        return self.train if same else self._open_evaluated(self.splits[1])

    @functools.cached_property
    def eval(self) -> Source:
        """The split that evaluations are tested on."""
        return self._open_evaluated(self.splits[2])

    def prepare(self, processes: int = 1) -> None:
        """Learns the tokenizer, tokenizes all splits and packs them, in so many processes; what is there is kept."""
        for split in dict.fromkeys(self.splits):
            self._store(split, processes)
        for source in (self.train, self.eval_train, self.eval):
            len(source)

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
        key = files.key(identity | {"format": _FORMAT})
        return files.cache_dir(catalogue.resolve(self.data_dir)) / f"{files.slug(self.name)}-{kind}-{key}"

    def _learnt(self) -> Path:
        records = self._train_records
        settings = {"vocabulary": self.kind, "vocab_size": self.vocab_size, "sentinels": self.sentinels}
        return files.build(self._folder("tokenizer", records.fingerprint() | settings), self._learn)

    def _learn(self, folder: Path) -> None:
        """Trains a tokenizer on (a part of) the documents and saves it."""
        records = self._train_records
        if self.kind == "words":
            what, limit, train = "words", len(records), words.train
        else:
            what, limit = "word pieces", _TOKENIZER_DOCUMENTS
            train = functools.partial(wordpiece.train, sentinel_count=self.sentinels)
        texts = functools.partial(_texts, records, self.text_key, limit)
        with progress.announced(f"Learning {self.vocab_size:,} {what} from {records.name} ({records.split})"):
            train(texts, self.vocab_size).save(str(folder / "tokenizer.json"))

    def _identity(self, split: str) -> dict:
        """What decides which tokens a split has."""
        spelling = hashlib.sha256(self.tokenizer.to_str().encode()).hexdigest()
        return self._split_records(split).fingerprint() | {"tokenizer": spelling, "sentences": self.sentences}

    def _split_records(self, split: str) -> Records:
        return self._train_records if split == self.splits[0] else self._records(split)

    def _store(self, split: str, processes: int = 1) -> Documents:
        work = tokenizing.Tokenizing(
            self._split_records(split), self.tokenizer, self.text_key, self.label_key, self.sentences
        )
        folder = self._folder(f"{files.slug(split)}-tokens", self._identity(split))
        return tokenizing.build(folder, work, processes=processes)

    def _rows(self, split: str, pack: packing.Pack, longest: int, capacity: int) -> packing.Rows:
        store = self._store(split)
        settings = {"pack": pack.__name__, "longest": longest, "capacity": capacity}
        folder = self._folder(f"{files.slug(split)}-{pack.__name__}", self._identity(split) | settings)
        write = functools.partial(packing.write, store, longest, capacity, pack)
        return packing.Rows(files.build(folder, write), store)

    def _open(self, split: str, layout: str) -> Source:
        return _LAYOUTS[layout](self, split)

    def _open_evaluated(self, split: str) -> Source:
        return self._open(split, "passages" if self.layout in _PACKED else self.layout)


def _pairs(data: TextData, split: str) -> Source:
    data_vocabulary, capacity = data.vocabulary, data.sequence_length - 3
    if data_vocabulary.cls_id is None:
        raise UserError("config.data.layout: 'pairs' needs a tokenizer with a first token, [CLS] or <s>.")
    # Cut to half, so that a full row has at least two pieces, to be split between.
    rows = data._rows(split, packing.filled, max(1, capacity // 2), capacity)
    if data.second_segment == "random" and len(rows.store.labels) < 2:
        line = f"'random' takes two documents; {data.name!r} ({split}) has one"
        raise UserError(f"config.data.second_segment: {line}.")
    return pairs.Pairs(rows, data_vocabulary, data.sequence_length, data.second_segment, data.short_sequences)


def _passages(data: TextData, split: str) -> Source:
    room = data.sequence_length - len(data.vocabulary.first) - 1
    return sequences.Passages(data._rows(split, packing.fitting, room, room), data.vocabulary, data.sequence_length)


def _full_sentences(data: TextData, split: str) -> Source:
    room = data.sequence_length - len(data.vocabulary.first)
    rows = data._rows(split, packing.across, room - 1, room)
    return sequences.FullSentences(rows, data.vocabulary, data.sequence_length)


def _stream(data: TextData, split: str) -> Source:
    return sequences.Stream(data._store(split), data.vocabulary, data.sequence_length)


def _sentences(data: TextData, split: str) -> Source:
    return sequences.Sentences(data._store(split), data.vocabulary, data.sequence_length)


_LAYOUTS: dict[str, Callable[[TextData, str], Source]] = {
    "pairs": _pairs,
    "passages": _passages,
    "full_sentences": _full_sentences,
    "stream": _stream,
    "sentences": _sentences,
}  # 'passages' is for evaluations of packed layouts


def _check(
    sequence_length: int, sentences: str, layout: str, second_segment: str | None, short_sequences: float | None
) -> None:
    """Raises ValueError for settings of sequences that cannot be."""
    if sequence_length < 8:
        raise ValueError(f"sequence_length {sequence_length} is not at least 8")
    if sentences not in ("lines", "punctuation"):
        raise ValueError(f"sentences {sentences!r} is not 'lines' or 'punctuation'")
    if layout not in _LAYOUTS or layout == "passages":
        raise ValueError(f"layout {layout!r} is not 'pairs', 'full_sentences', 'stream' or 'sentences'")
    if second_segment not in (None, *pairs.TOLD):
        raise ValueError(f"second_segment {second_segment!r} is not 'none', 'random' or 'swapped'")
    if second_segment not in (None, "none") and layout != "pairs":
        raise ValueError(f"second_segment {second_segment!r} is for layout 'pairs', not {layout!r}; leave it out")
    if short_sequences is not None and not 0 <= short_sequences <= 1:
        raise ValueError(f"short_sequences {short_sequences} is not between 0 and 1")
    if short_sequences and layout != "pairs":
        raise ValueError(f"short_sequences {short_sequences} is for layout 'pairs', not {layout!r}; leave it out")


def _check_vocabulary(kind: str, vocab_size: int, sentinels: int, tokenizer: str | None) -> None:
    """Raises ValueError for settings of the vocabulary that cannot be."""
    if kind not in ("wordpiece", "words"):
        raise ValueError(f"vocabulary {kind!r} is not 'wordpiece' or 'words'")
    if vocab_size <= len(vocabularies.SPECIAL) + sentinels:
        count = len(vocabularies.SPECIAL) + sentinels
        raise ValueError(f"vocab_size {vocab_size} is not more than the {count} special tokens")
    if sentinels < 0:
        raise ValueError(f"sentinels {sentinels} is negative")
    if sentinels and (tokenizer is not None or kind == "words"):
        raise ValueError(f"sentinels {sentinels} are for word pieces that are learnt; set 0")


def _check_features(records: Records, text_key: str, label_key: str | None) -> None:
    import tensorflow_datasets as tfds

    if not isinstance(records.feature(text_key, "text_key"), tfds.features.Text):
        raise UserError(f"config.data.text_key: feature {text_key!r} of {records.name!r} is not a text.")
    if label_key is not None and not isinstance(records.feature(label_key, "label_key"), tfds.features.ClassLabel):
        raise UserError(
            f"config.data.label_key: feature {label_key!r} of {records.name!r} is no class label;"
            " set None to do without."
        )


def _texts(records: Records, text_key: str, limit: int) -> Iterator[str]:
    """The documents that a vocabulary is learnt from: at most `limit`, spread evenly."""
    for some in records.in_parts(256, limit=limit):
        for record in some:
            yield record[text_key].decode(errors="replace")
