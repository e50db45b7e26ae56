"""A vector for each word, and nothing else."""

import jax
from flax import nnx

from ssl_jax.models import settings


class WordVectors(nnx.Module):
    """The input vectors of word2vec (Mikolov et al. 2013): a table.

    They start uniform between -0.5 and 0.5 over their length, as in the authors' word2vec.c.

    Args:
      vocab_size: number of words.
      width: length of a vector.
      rngs: stream `params`.

    Attributes:
      features: width of what `__call__` returns.
      vocab_size: as given.

    Raises:
      ValueError: a size below 1.
    """

    reads = "words"

    def __init__(self, *, vocab_size: int, width: int = 300, rngs: nnx.Rngs):
        settings.at_least(1, vocab_size=vocab_size, width=width)
        self.vocab_size, self.features = vocab_size, width
        self.words = nnx.Embed(vocab_size, width, embedding_init=_start, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """The vectors of `tokens`, int [...]: float32 [..., width]."""
        return self.words(tokens)

    @property
    def vectors(self) -> jax.Array:
        """The vectors of all words, float32 [vocab_size, width]."""
        return self.words.embedding[...]


def _start(key: jax.Array, shape: tuple[int, int], dtype=None, **_) -> jax.Array:
    return jax.random.uniform(key, shape, dtype, -0.5, 0.5) / shape[1]
