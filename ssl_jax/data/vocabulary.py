"""What a tokenizer.json says of its tokens: which stand for no text, and which begin a word."""

import dataclasses
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ssl_jax.errors import UserError

if TYPE_CHECKING:
    import tokenizers

PAD, UNK, CLS, SEP, MASK = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ROLES = {
    "pad": (PAD, "<pad>"),
    "unk": (UNK, "<unk>"),
    "cls": (CLS, "<s>"),
    "sep": (SEP, "</s>"),
    "mask": (MASK, "<mask>"),
}  # what each is called by BERT, and by RoBERTa and T5
_NEEDED = ("pad", "sep")  # T5 has neither a first token nor one that masks
_SENTINEL = re.compile(r"<extra_id_(\d+)>")
_SPACES = ("Ġ", "▁")  # how byte-level BPE and SentencePiece write the space in front of a word


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Size and special tokens of a tokenizer; None for those it does not have.

    Attributes:
      size: number of tokens.
      pad_id: fills up.
      unk_id: stands for what cannot be spelled.
      cls_id: begins a sequence.
      sep_id: ends a segment or a document.
      mask_id: stands for what is to be predicted.
      sentinel_ids: T5's <extra_id_0>, <extra_id_1>, ..., which stand for hidden spans.
    """

    size: int
    pad_id: int
    unk_id: int | None
    cls_id: int | None
    sep_id: int
    mask_id: int | None
    sentinel_ids: tuple[int, ...] = ()

    @property
    def special_ids(self) -> tuple[int, ...]:
        """The tokens that stand for no text."""
        roles = (self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id)
        return *(number for number in roles if number is not None), *self.sentinel_ids

    @property
    def first(self) -> tuple[int, ...]:
        """What a sequence begins with: [CLS], or nothing."""
        return () if self.cls_id is None else (self.cls_id,)


def sentinels(count: int) -> list[str]:
    """The first `count` sentinels of T5."""
    return [f"<extra_id_{number}>" for number in range(count)]


def load(path: str | Path) -> "tokenizers.Tokenizer":
    """Reads a tokenizer.json. Whether it would pad or truncate is left out.

    Raises:
      UserError: there is none, or it cannot be read.
    """
    from tokenizers import Tokenizer

    if not Path(path).is_file():
        raise UserError(f"config.data.tokenizer: there is no file {str(path)!r}.")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise UserError(f"config.data.tokenizer: {str(path)!r} is not a tokenizer.json: {error}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def of(tokenizer: "tokenizers.Tokenizer") -> Vocabulary:
    """The size and special tokens of a tokenizer, those of BERT, RoBERTa or T5.

    Raises:
      UserError: it has nothing to pad with, or to end a text.
    """
    ids = {role: _first_known(tokenizer, names) for role, names in _ROLES.items()}
    missing = [" or ".join(_ROLES[role]) for role in _NEEDED if ids[role] is None]
    if missing:
        raise UserError(f"config.data.tokenizer: it has no {', no '.join(missing)}; BERT's, RoBERTa's and T5's have.")
    found = ((_SENTINEL.fullmatch(token), number) for token, number in tokenizer.get_vocab().items())
    numbered = sorted((int(match[1]), number) for match, number in found if match)
    named = {f"{role}_id": number for role, number in ids.items()}
    return Vocabulary(size=tokenizer.get_vocab_size(), sentinel_ids=tuple(number for _, number in numbered), **named)


def _first_known(tokenizer: "tokenizers.Tokenizer", names: tuple[str, ...]) -> int | None:
    known = (tokenizer.token_to_id(name) for name in names)
    return next((number for number in known if number is not None), None)


def word_starts(tokenizer: "tokenizers.Tokenizer") -> np.ndarray:
    """Which tokens begin a word, bool [vocabulary]: those of WordPiece without '##', those of others with a space.

    Special tokens and whole words do. The first word of a sentence has no space in front, so that a tokenizer that
    writes spaces may not begin it with such a token.
    """
    kind = json.loads(tokenizer.to_str())["model"]
    begins = {
        "WordPiece": lambda token: not token.startswith(kind["continuing_subword_prefix"]),
        "WordLevel": lambda token: True,
    }.get(kind["type"], lambda token: token.startswith(_SPACES))
    starts = np.zeros(tokenizer.get_vocab_size(), bool)
    for token, number in tokenizer.get_vocab().items():
        starts[number] = begins(token)
    starts[list(of(tokenizer).special_ids)] = True
    return starts
