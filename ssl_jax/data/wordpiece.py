"""A WordPiece tokenizer (Wu et al. 2016, as BERT uses it), trained on the texts it is to spell."""

import collections
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ssl_jax.data.vocabulary import SPECIAL, UNK, sentinels
from ssl_jax.errors import UserError

if TYPE_CHECKING:
    import tokenizers

_ALPHABET = 1000  # most frequent characters that get a token of their own
_CONTINUATION = "##"


def train(texts: Callable[[], Iterable[str]], vocab_size: int, *, sentinel_count: int = 0) -> "tokenizers.Tokenizer":
    """Trains a lower-case WordPiece tokenizer; the same texts give the same vocabulary, token by token.

    (The trainer numbers the pieces within words in the order of a randomised hash table, and breaks ties by number:
    so they are numbered here, and handed to it as special tokens, which come first.)

    Args:
      texts: called twice, each time gives all texts.
      vocab_size: largest number of tokens, special ones included.
      sentinel_count: how many of T5's sentinels are among the special ones.

    Raises:
      UserError: there is no text, or `vocab_size` does not hold its characters.
    """
    from tokenizers import pre_tokenizers, trainers

    alphabet = _alphabet(texts())
    pieces = [_CONTINUATION + character for character in alphabet]
    special = [*SPECIAL, *sentinels(sentinel_count)]
    if vocab_size <= len(special) + 2 * len(alphabet):
        raise UserError(
            f"config.data.vocab_size: {vocab_size} does not hold the {len(alphabet)} characters of these texts;"
            f" use more than {len(special) + 2 * len(alphabet)}."
        )
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=[*special, *pieces],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    learner = _wordpiece({})
    learner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    learner.train_from_iterator(texts(), trainer)
    return _finished(_wordpiece(learner.get_vocab()), special)


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


def _finished(tokenizer: "tokenizers.Tokenizer", special: list[str]) -> "tokenizers.Tokenizer":
    from tokenizers import decoders, pre_tokenizers

    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=_CONTINUATION)
    tokenizer.add_special_tokens(special)
    return tokenizer
