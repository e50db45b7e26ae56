"""A vocabulary of whole words, for vectors of words (word2vec)."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ssl_jax.data.vocabulary import SPECIAL, UNK
from ssl_jax.errors import UserError

if TYPE_CHECKING:
    import tokenizers

_WORD = r"[\p{L}\p{M}\p{N}]+(?:['’][\p{L}\p{M}]+)*"  # letters and digits, with apostrophes between them


def train(texts: Callable[[], Iterable[str]], vocab_size: int) -> "tokenizers.Tokenizer":
    """Numbers the most frequent words of some texts, in lower case and without what stands between them.

    A rarer word becomes [UNK]. The special tokens come first, then the words by frequency, and by the alphabet where
    that is equal.

    Args:
      texts: called once, gives all texts.
      vocab_size: largest number of tokens, special ones included.

    Raises:
      UserError: there is no word.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordLevel(unk_token=UNK))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_WORD), behavior="removed", invert=True)
    trainer = trainers.WordLevelTrainer(vocab_size=vocab_size, special_tokens=list(SPECIAL), show_progress=False)
    tokenizer.train_from_iterator(texts(), trainer)
    if tokenizer.get_vocab_size() <= len(SPECIAL):
        raise UserError("config.data: the training split has no words to make a vocabulary of.")
    return tokenizer
