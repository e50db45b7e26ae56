"""The text transformer in BERT's layout (Devlin et al. 2019)."""

import jax
from flax import nnx

from ssl_jax.models import settings
from ssl_jax.models.normalization import layer_norm
from ssl_jax.models.transformer import PostNormBlock, Remat, Stack, dropout

_EPSILON = 1e-12  # of the layer normalisations, as in the released code


class TextTransformer(nnx.Module):
    """Bidirectional encoder of token sequences, without a head.

    Sum of token, learned position and segment embeddings, normalised; then blocks that normalise after each sum.
    Matrices and embeddings start truncated normal, biases at 0. The defaults are BERT-base.

    Args:
      vocab_size: number of tokens.
      max_length: longest sequence.
      width, depth, heads, mlp_dim: sizes of the blocks.
      segments: kinds of segment; BERT has 2 (sentence A and B).
      dropout: rate after the embedding, on attention weights and after each branch (section A.2 of the paper).
      initializer_range: deviation at the start. BERT's 0.02 suits a width of 768; a narrow network learns sooner from a
        larger one, about 1 / sqrt(width).
      scan: run the blocks as one `jax.lax.scan` over stacked parameters.
      remat: keep only each block's input for the backward pass, or ('elementwise') the matrix products too.
      accumulate: add up the blocks' gradients over so many parts of the batch, to save memory; the loss is that of the
        whole batch. See `Stack`.
      dtype: of the computation; parameters are float32.
      rngs: stream `params`.

    Attributes:
      features: width of what `__call__` returns.
      vocab_size, max_length, initializer_range, scan, remat, accumulate, dtype: as given.
    """

    reads = "text"

    def __init__(
        self,
        *,
        vocab_size: int,
        max_length: int = 512,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        mlp_dim: int = 3072,
        segments: int = 2,
        dropout: float = 0.1,
        initializer_range: float = 0.02,
        scan: bool = False,
        remat: Remat = False,
        accumulate: int = 1,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        settings.at_least(1, vocab_size=vocab_size, max_length=max_length, segments=segments, mlp_dim=mlp_dim)
        settings.at_least(1, width=width)
        settings.probability(dropout=dropout)
        settings.positive(initializer_range=initializer_range)
        self.features = width
        self.vocab_size = vocab_size
        self.max_length = max_length
        self.dropout = dropout
        self.initializer_range = initializer_range
        self.scan = scan
        self.remat = remat
        self.accumulate = accumulate
        self.dtype = dtype
        self.tokens = _table(vocab_size, width, initializer_range, rngs)
        self.positions = _table(max_length, width, initializer_range, rngs)
        self.segments = _table(segments, width, initializer_range, rngs)
        self.norm = layer_norm(width, epsilon=_EPSILON, rngs=rngs)

        shape = dict(heads=heads, mlp_dim=mlp_dim, dropout=dropout, initializer_range=initializer_range, dtype=dtype)

        def block(rngs):
            return PostNormBlock(width, rngs=rngs, **shape)

        self.stack = Stack(block, depth=depth, scan=scan, remat=remat, accumulate=accumulate, rngs=rngs)

    @property
    def token_embedding(self) -> jax.Array:
        """The embedding of every token, float32 [vocab_size, width]; `MLMHead` uses it as its output matrix."""
        return self.tokens.embedding[...]

    def __call__(
        self,
        tokens: jax.Array,
        segments: jax.Array,
        mask: jax.Array,
        *,
        train: bool = False,
        key: jax.Array | None = None,
    ) -> jax.Array:
        """Encodes sequences.

        Args:
          tokens: int [B, S], S <= max_length.
          segments: int [B, S].
          mask: bool [B, S], True at real tokens; padding is not attended to.
          train: drop.
          key: of the drawing; needed when training with dropout.

        Returns:
          [B, S, width].
        """
        if tokens.shape[1] > self.max_length:
            raise ValueError(f"tokens are {tokens.shape[1]} long, more than max_length {self.max_length}")
        key = settings.training_key(train, key, dropout=self.dropout)
        first, rest = (None, None) if key is None else jax.random.split(key)
        x = dropout(self._embed(tokens, segments), self.dropout, first)
        return self.stack(x, mask, rest)

    def _embed(self, tokens, segments):
        x = self.tokens(tokens) + self.segments(segments) + self.positions.embedding[: tokens.shape[1]][None]
        return self.norm(x).astype(self.dtype)


def _table(count, width, deviation, rngs):
    return nnx.Embed(count, width, embedding_init=nnx.initializers.truncated_normal(deviation), rngs=rngs)
