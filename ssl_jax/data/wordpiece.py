"""A WordPiece tokenizer (Wu et al. 2016, as BERT uses it), trained on the texts it is to spell."""

import collections
import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ssl_jax.errors import UserError

if TYPE_CHECKING:
    import tokenizers

PAD, UNK, CLS, SEP, MASK = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ALPHABET = 1000  # most frequent characters that get a token of their own
_CONTINUATION = "##"


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Size and special tokens of a tokenizer."""

    size: int
    pad_id: int
    unk_id: int
    cls_id: int
    sep_id: int
    mask_id: int

    @property
    def special_ids(self) -> tuple[int, ...]:
        """The tokens that stand for no text."""
        return self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id


def train(texts: Callable[[], Iterable[str]], vocab_size: int) -> "tokenizers.Tokenizer":
    """Trains a lower-case WordPiece tokenizer; the same texts give the same vocabulary, token by token.

    (The trainer numbers the pieces within words in the order of a randomised hash table, and breaks ties by number:
    so they are numbered here, and handed to it as special tokens, which come first.)

    Args:
      texts: called twice, each time gives all texts.
      vocab_size: largest number of tokens, special ones included.
    """
    from tokenizers import pre_tokenizers, trainers

    alphabet = _alphabet(texts())
    pieces = [_CONTINUATION + character for character in alphabet]
    if vocab_size <= len(SPECIAL) + 2 * len(alphabet):
        raise UserError(
            f"config.data.vocab_size: {vocab_size} does not hold the {len(alphabet)} characters of these texts;"
            f" use more than {len(SPECIAL) + 2 * len(alphabet)}."
        )
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=[*SPECIAL, *pieces],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    learner = _wordpiece({})
    learner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    learner.train_from_iterator(texts(), trainer)
    return _finished(_wordpiece(learner.get_vocab()))


def _alphabet(texts: Iterable[str]) -> list[str]:
    """The characters that are left after normalisation, most frequent first."""
    counts = collections.Counter()
    normalizer = _normalizer()
    for text in texts:
        counts.update(normalizer.normalize_str(text))
    characters = [character for character in counts if not character.isspace()]
    if not characters:
        raise UserError("config.data: the training split has no text to train a tokenizer on.")
    return sorted(characters, key=lambda character: (-counts[character], character))[:_ALPHABET]


def _normalizer():
    from tokenizers import normalizers

    return normalizers.BertNormalizer(lowercase=True)


def _wordpiece(vocabulary: dict[str, int]) -> "tokenizers.Tokenizer":
    from tokenizers import Tokenizer, models

    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=UNK))
    tokenizer.normalizer = _normalizer()
    return tokenizer


def _finished(tokenizer: "tokenizers.Tokenizer") -> "tokenizers.Tokenizer":
    from tokenizers import decoders, pre_tokenizers

    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=_CONTINUATION)
    tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer


def load(path: str | Path) -> "tokenizers.Tokenizer":
    """Reads a tokenizer.json.

    Raises:
      UserError: there is none, or it cannot be read.
    """
    from tokenizers import Tokenizer

    if not Path(path).is_file():
        raise UserError(f"config.data.tokenizer: there is no file {str(path)!r}.")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise UserError(f"config.data.tokenizer: {str(path)!r} is not a tokenizer.json: {error}") from error


def vocabulary(tokenizer: "tokenizers.Tokenizer") -> Vocabulary:
    """The size and special tokens of a tokenizer.

    Raises:
      UserError: it lacks one of [PAD], [UNK], [CLS], [SEP] and [MASK].
    """
    ids = {token: tokenizer.token_to_id(token) for token in SPECIAL}
    missing = [token for token, number in ids.items() if number is None]
    if missing:
        raise UserError(f"config.data.tokenizer: it has no {', '.join(missing)}; a BERT-like vocabulary is needed.")
    return Vocabulary(tokenizer.get_vocab_size(), *(ids[token] for token in (PAD, UNK, CLS, SEP, MASK)))
