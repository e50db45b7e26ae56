"""The text transformer: BERT (Devlin et al. 2019) and its kin RoBERTa, ALBERT, ELECTRA, data2vec and GPT-2."""

from typing import Literal

import jax
from flax import nnx

from ssl_jax.models import attending, settings
from ssl_jax.models.normalization import layer_norm
from ssl_jax.models.transformer import GELU, PostNormBlock, PreNormBlock, Remat, Stack, dropout


class TextTransformer(nnx.Module):
    """Encoder of token sequences, without a head.

    Sum of token, learned position and segment embeddings, normalised; then blocks that normalise after each sum.
    Matrices and embeddings start truncated normal, biases at 0. The defaults are BERT-base. Others of its kind:

    - RoBERTa, data2vec: `segments=1, epsilon=1e-5`.
    - ALBERT: `embedding_width=128, share_layers=True` (and `gelu='tanh'` in its second version).
    - ELECTRA-small: `embedding_width=128, width=256, heads=4, mlp_dim=1024`.
    - GPT-2: `segments=0, causal=True, norm_first=True, gelu='tanh', epsilon=1e-5`; CLIP: the same with `gelu='quick'`.
    - SigLIP: `segments=0, norm_first=True, gelu='tanh', epsilon=1e-6`.

    Args:
      vocab_size: number of tokens.
      max_length: longest sequence.
      width, depth, heads, mlp_dim: sizes of the blocks.
      embedding_width: features of the embeddings, which a linear layer brings to `width` (ALBERT, section 3.1); None:
        they have `width`, and there is no such layer.
      segments: kinds of segment; BERT has 2 (sentence A and B). 0: what is given as segments is not looked at.
      share_layers: all blocks are one, run `depth` times (ALBERT).
      causal: a token sees itself and what is before it.
      norm_first: blocks normalise what goes into each branch, and the last sum is normalised instead of the embedding
        (Radford et al. 2019, GPT-2, section 2.3); the last matrix of a branch then starts smaller by the root of the
        number of branches.
      dropout: rate after the embedding, on attention weights and after each branch (section A.2 of BERT's paper).
      gelu: 'exact', or an approximation, 'tanh' or 'quick'.
      epsilon: of the layer normalisations.
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
      embedding_width: as given, or `width`.
      depth, heads, mlp_dim, vocab_size, max_length, share_layers, causal, norm_first, dropout, gelu, epsilon,
      initializer_range, scan, remat, accumulate, dtype: as given.

    Raises:
      ValueError: a size below 1, a `width` that is no multiple of `heads`, a rate outside 0 <= rate < 1, an
        `initializer_range` or `epsilon` that is not positive, or a `gelu` or dtype that does not exist.
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
        embedding_width: int | None = None,
        segments: int = 2,
        share_layers: bool = False,
        causal: bool = False,
        norm_first: bool = False,
        dropout: float = 0.1,
        gelu: GELU = "exact",
        epsilon: float = 1e-12,
        initializer_range: float = 0.02,
        scan: bool = False,
        remat: Remat = False,
        accumulate: int = 1,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        embedding_width = width if embedding_width is None else embedding_width
        settings.at_least(1, vocab_size=vocab_size, max_length=max_length, mlp_dim=mlp_dim, width=width)
        settings.at_least(1, embedding_width=embedding_width)
        settings.at_least(0, segments=segments)
        settings.probability(dropout=dropout)
        settings.positive(initializer_range=initializer_range, epsilon=epsilon)
        self.features = width
        self.embedding_width = embedding_width
        self.depth = depth
        self.heads = heads
        self.mlp_dim = mlp_dim
        self.vocab_size = vocab_size
        self.max_length = max_length
        self.share_layers = share_layers
        self.causal = causal
        self.norm_first = norm_first
        self.dropout = dropout
        self.gelu = gelu
        self.epsilon = epsilon
        self.initializer_range = initializer_range
        self.scan = scan
        self.remat = remat
        self.accumulate = accumulate
        self.dtype = dtype
        self._build_embedding(segments, rngs)
        block = self._pre_norm_block if norm_first else self._post_norm_block
        run = dict(share=share_layers, scan=scan, remat=remat, accumulate=accumulate)
        self.stack = Stack(block, depth=depth, rngs=rngs, **run)
        self.final_norm = layer_norm(width, epsilon=epsilon, rngs=rngs) if norm_first else nnx.data(None)

    def _build_embedding(self, segments, rngs):
        start = nnx.initializers.truncated_normal(self.initializer_range)
        table = lambda count: nnx.Embed(count, self.embedding_width, embedding_init=start, rngs=rngs)
        self.tokens = table(self.vocab_size)
        self.positions = table(self.max_length)
        self.segments = table(segments) if segments else nnx.data(None)
        normalize = lambda: layer_norm(self.embedding_width, epsilon=self.epsilon, rngs=rngs)
        self.norm = nnx.data(None) if self.norm_first else normalize()
        widen = dict(dtype=settings.computation_dtype(self.dtype), kernel_init=start, rngs=rngs)
        narrow = self.embedding_width != self.features
        self.projection = nnx.Linear(self.embedding_width, self.features, **widen) if narrow else nnx.data(None)

    def _shape(self):
        sizes = dict(width=self.features, heads=self.heads, mlp_dim=self.mlp_dim)
        return sizes | dict(dropout=self.dropout, gelu=self.gelu, epsilon=self.epsilon, dtype=self.dtype)

    def _post_norm_block(self, rngs):
        return PostNormBlock(initializer_range=self.initializer_range, rngs=rngs, **self._shape())

    def _pre_norm_block(self, rngs):
        normal, smaller = nnx.initializers.truncated_normal, (2 * self.depth) ** -0.5
        start = dict(kernel_init=normal(self.initializer_range), out_init=normal(self.initializer_range * smaller))
        rates = dict(mlp_dropout=0.0, attention_dropout=self.dropout)
        return PreNormBlock(rngs=rngs, **self._shape(), **rates, **start)

    def smaller(self, fraction: float, *, rngs: nnx.Rngs) -> "TextTransformer":
        """An encoder of as many layers with `fraction` of the width, heads and hidden units, on these very embeddings.

        ELECTRA's generator (Clark et al. 2020, section 3.2). Tables and the normalisation of embeddings are one and the
        same, so that both train them.

        Raises:
          ValueError: the width is no multiple of the heads.
        """
        part = lambda count: max(1, round(fraction * count))
        same = ("vocab_size", "max_length", "depth", "embedding_width", "share_layers", "causal", "dropout", "gelu")
        same += ("epsilon", "initializer_range", "scan", "remat", "accumulate", "dtype")
        sizes = dict(width=part(self.features), heads=part(self.heads), mlp_dim=part(self.mlp_dim))
        kind = dict(norm_first=self.norm_first, segments=0)
        encoder = TextTransformer(**{name: getattr(self, name) for name in same}, **sizes, **kind, rngs=rngs)
        encoder.tokens, encoder.positions = self.tokens, self.positions
        encoder.segments, encoder.norm = self.segments, self.norm
        return encoder

    @property
    def token_embedding(self) -> jax.Array:
        """The embedding of every token, float32 [vocab_size, embedding_width]; heads use it as their output matrix."""
        return self.tokens.embedding[...]

    def __call__(
        self,
        tokens: jax.Array,
        segments: jax.Array,
        mask: jax.Array,
        *,
        positions: jax.Array | None = None,
        train: bool = False,
        key: jax.Array | None = None,
    ) -> jax.Array:
        """Encodes sequences.

        Args:
          tokens: int [B, S], S <= max_length.
          segments: int [B, S].
          mask: True where a token may be attended to, which padding may not: bool [B, S], or [B, S, S] (query, key) as
            `attending.within_parts` gives it for packed rows.
          positions: int [B, S], each below max_length; None: 0 to S - 1.
          train: drop.
          key: of the drawing; needed when training with dropout.

        Returns:
          [B, S, width].

        Raises:
          ValueError: the sequences are too long, or training needs a key.
        """
        x, mask, key = self.embed_tokens(tokens, segments, mask, positions, train=train, key=key)
        x = self.stack(x, mask, key)
        return x if self.final_norm is None else self.final_norm(x).astype(x.dtype)

    def states(
        self,
        tokens: jax.Array,
        segments: jax.Array,
        mask: jax.Array,
        *,
        positions: jax.Array | None = None,
        train: bool = False,
        key: jax.Array | None = None,
        of: Literal["blocks", "branches"] = "blocks",
    ) -> jax.Array:
        """What comes out of every block, [depth, B, S, width], without a last normalisation.

        Args: as for a call; `of`: as for `Stack.states`.
        """
        return self.stack.states(*self.embed_tokens(tokens, segments, mask, positions, train=train, key=key), of=of)

    def embed_tokens(
        self,
        tokens: jax.Array,
        segments: jax.Array,
        mask: jax.Array,
        positions: jax.Array | None = None,
        *,
        train: bool = False,
        key: jax.Array | None = None,
    ) -> tuple[jax.Array, jax.Array, jax.Array | None]:
        """What the blocks are given: embeddings [B, S, width], who attends to whom, and a key.

        Args: as for a call.

        Raises:
          ValueError: tokens that are longer than `max_length`, or training with dropout and no key.
        """
        if tokens.shape[1] > self.max_length:
            raise ValueError(f"tokens are {tokens.shape[1]} long, more than max_length {self.max_length}")
        key = settings.training_key(train, key, dropout=self.dropout)
        first, rest = (None, None) if key is None else jax.random.split(key)
        x = self.tokens(tokens) + self._placed(tokens, positions)
        if self.segments is not None:
            x = x + self.segments(segments)
        x = dropout((x if self.norm is None else self.norm(x)).astype(self.dtype), self.dropout, first)
        x = x if self.projection is None else self.projection(x)
        return x, attending.causal(mask) if self.causal else mask, rest

    def _placed(self, tokens: jax.Array, positions: jax.Array | None) -> jax.Array:
        if positions is None:
            return self.positions.embedding[: tokens.shape[1]][None]
        return self.positions(positions)
