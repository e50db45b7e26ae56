"""Short texts that belong to pictures or to sound, as tokens."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ssl_jax.data import files, progress, vocabulary, wordpiece
from ssl_jax.data.records import Records
from ssl_jax.errors import UserError

if TYPE_CHECKING:
    import tokenizers

_FORMAT = 1  # raise when what is written changes
_CHUNK = 256  # records read at a time
_LEARNT_FROM = 200_000  # records, spread evenly over the split, where there are more
_MADE_UP = 256  # that many where they are made up, and all have the same words


@dataclasses.dataclass(frozen=True)
class Spelling:
    """Texts to tokens.

    Attributes:
      file: the tokenizer.json.
      length: tokens of a text, [CLS] and [SEP] included.
    """

    file: Path
    length: int

    @functools.cached_property
    def tokenizer(self) -> "tokenizers.Tokenizer":
        """The `tokenizers.Tokenizer`."""
        return vocabulary.load(self.file)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """int32 [texts, length]: [CLS] words [SEP], cut where they are too many, and padding."""
        special = vocabulary.of(self.tokenizer)
        tokens = np.full((len(texts), self.length), special.pad_id, np.int32)
        for row, found in enumerate(self.tokenizer.encode_batch(list(texts), add_special_tokens=False)):
            words = found.ids[: self.length - 2]
            tokens[row, : len(words) + 2] = [special.cls_id, *words, special.sep_id]
        return tokens

    def special_tokens(self, *, at_least: int = 0) -> dict:
        """What a `Spec` says of them.

        Args:
          at_least: size of the vocabulary, where made-up texts hold too few words to fill it.
        """
        found = vocabulary.of(self.tokenizer)
        special = {f"{name}_id": getattr(found, f"{name}_id") for name in ("pad", "unk", "cls", "sep", "mask")}
        return special | {"vocab_size": max(found.size, at_least), "special_ids": found.special_ids}

    def __getstate__(self) -> dict:
        return {"file": self.file, "length": self.length}


def check(*, text_length: int, vocab_size: int) -> None:
    """Raises ValueError for settings that cannot be."""
    if text_length < 3:
        raise ValueError(f"text_length {text_length} is not at least 3: [CLS], a word and [SEP]")
    if vocab_size < 1:
        raise ValueError(f"vocab_size {vocab_size} is not positive")


def check_feature(info: Records, key: str, setting: str) -> None:
    """Raises UserError where the feature that `setting` names is no text."""
    import tensorflow_datasets as tfds

    if not isinstance(info.feature(key, setting), tfds.features.Text):
        raise UserError(f"config.data.{setting}: feature {key!r} of {info.name!r} is not a text.")


def learnt(texts: Records, *, vocab_size: int, length: int, root: Path) -> Spelling:
    """A WordPiece vocabulary of the texts of a split (of 200,000 records at most), the first time; kept under `root`.

    Args:
      texts: records whose keys are features of text.
      vocab_size: of how many tokens.
      length: tokens of a text.
      root: folder of caches.
    """
    limit = _MADE_UP if texts.mock else _LEARNT_FROM
    identity = texts.fingerprint() | {"vocab_size": vocab_size, "format": _FORMAT}
    identity |= {"learnt_from": limit} if len(texts) > limit else {}
    folder = root / f"{files.slug(texts.name)}-tokenizer-{files.key(identity)}"
    return Spelling(files.build(folder, functools.partial(_learn, texts, vocab_size, limit)) / "tokenizer.json", length)


def of_records(records: Sequence[dict], keys: Sequence[str]) -> list[str]:
    """The texts of all records, those of one after those of the other; bytes that are no UTF-8 are replaced."""
    return [record[key].decode(errors="replace") for record in records for key in keys]


def _learn(records: Records, vocab_size: int, limit: int, folder: Path) -> None:
    """Trains a tokenizer on the texts of at most `limit` records and saves it."""

    def texts():
        for some in records.in_parts(_CHUNK, limit=limit):
            yield from of_records(some, records.keys)

    with progress.announced(f"Learning {vocab_size:,} word pieces from {records.name} ({records.split})"):
        wordpiece.train(texts, vocab_size).save(str(folder / "tokenizer.json"))
