"""The heads of BERT (Devlin et al. 2019, section 3.1 and the released code)."""

from typing import get_args

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.models import settings
from ssl_jax.models.normalization import layer_norm
from ssl_jax.models.transformer import GELU, activation


def _linear(inputs, outputs, initializer_range, dtype, rngs):
    init = nnx.initializers.truncated_normal(initializer_range)
    return nnx.Linear(inputs, outputs, dtype=settings.computation_dtype(dtype), kernel_init=init, rngs=rngs)


class MLMHead(nnx.Module):
    """BERT's masked-token head: linear, GELU, layer norm, then the transposed token embedding and a bias a token.

    Args:
      width: features of the encoder.
      vocab_size: number of tokens.
      embedding_width: features of the embedding, to which the linear layer brings the states; None: `width`.
      gelu: 'exact', or an approximation, 'tanh' or 'quick'.
      epsilon: of the layer normalisation.
      initializer_range: deviation of the matrices at the start, truncated normal.
      dtype: of the computation.
      rngs: stream `params`.

    Raises:
      ValueError: a size below 1, or a `gelu` or dtype that does not exist.
    """

    def __init__(
        self,
        width: int,
        vocab_size: int,
        *,
        embedding_width: int | None = None,
        gelu: GELU = "exact",
        epsilon: float = 1e-12,
        initializer_range: float = 0.02,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        embedding_width = width if embedding_width is None else embedding_width
        settings.at_least(1, width=width, vocab_size=vocab_size, embedding_width=embedding_width)
        self.gelu = settings.one_of("gelu", gelu, get_args(GELU))
        self.dense = _linear(width, embedding_width, initializer_range, dtype, rngs)
        self.norm = layer_norm(embedding_width, epsilon=epsilon, rngs=rngs)
        self.bias = nnx.Param(jnp.zeros((vocab_size,), jnp.float32))

    def __call__(self, hidden: jax.Array, embedding: jax.Array) -> jax.Array:
        """Scores every token at the given places.

        Args:
          hidden: [..., width]; pass the masked positions only, the product with the vocabulary is what costs.
          embedding: [vocab_size, embedding_width], the encoder's `token_embedding`.

        Returns:
          logits float32 [..., vocab_size].
        """
        x = self.dense(hidden)
        x = self.norm(activation(x, self.gelu)).astype(x.dtype)
        logits = jnp.einsum("...d,vd->...v", x, embedding.astype(x.dtype), preferred_element_type=jnp.float32)
        return logits + self.bias[...].reshape((1,) * (logits.ndim - 1) + (-1,))


class Pooler(nnx.Module):
    """BERT's summary of a sequence: tanh of a linear layer of its first token.

    Args: as for `MLMHead`.

    Raises:
      ValueError: a `width` below 1, or a dtype that does not exist.
    """

    def __init__(self, width: int, *, initializer_range: float = 0.02, dtype: str = "float32", rngs: nnx.Rngs):
        settings.at_least(1, width=width)
        self.dense = _linear(width, width, initializer_range, dtype, rngs)

    def __call__(self, hidden: jax.Array) -> jax.Array:
        """[B, S, width] -> [B, width]."""
        return jnp.tanh(self.dense(hidden[:, 0]))


class NextSentenceHead(nnx.Module):
    """BERT's judgement of whether sentence B follows A: a linear layer on the pooled features.

    Args: as for `MLMHead`.

    Raises:
      ValueError: a `width` below 1, or a dtype that does not exist.
    """

    def __init__(self, width: int, *, initializer_range: float = 0.02, dtype: str = "float32", rngs: nnx.Rngs):
        settings.at_least(1, width=width)
        self.dense = _linear(width, 2, initializer_range, dtype, rngs)

    def __call__(self, pooled: jax.Array) -> jax.Array:
        """[B, width] -> logits float32 [B, 2]: 0 is 'follows', 1 'does not' (Hugging Face's coding)."""
        return self.dense(pooled).astype(jnp.float32)
