"""T5's encoder and decoder (Raffel et al. 2020)."""

import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ssl_jax.models import attending, settings
from ssl_jax.models.transformer import Remat, Stack, dropout


class EncoderDecoder(nnx.Module):
    """Transformer that reads one sequence and writes another (section 2.1, and the released code).

    Blocks normalise what goes into each branch, by its root mean square and a scale alone. No linear layer has a bias.
    Places enter through a learned bias on the attention scores, by the bucket of the distance of query and key, which
    all blocks of a stack share; so there is no longest sequence. Scores are not divided by the root of their width:
    matrices start smaller instead, normal with a deviation by their number of inputs, and embeddings with one of 1.

    Args:
      vocab_size: number of tokens.
      width, depth, heads, mlp_dim: sizes of the blocks; the defaults are T5-base.
      head_width: features of a head; None: width / heads.
      decoder_depth: number of the decoder's blocks; None: as many as the encoder's.
      buckets: kinds of distance: half of them a distance each, the others wider and wider ones.
      max_distance: beyond it all distances are alike.
      gated: MLPs multiply two branches, one behind a GELU (Shazeer 2020), and logits have a matrix of their own, as in
        T5 1.1; otherwise MLPs have a ReLU, and logits are the decoder's states, divided by the root of their width,
        times the embedding, as in T5 1.0.
      dropout: rate on embeddings, attention weights, inside MLPs, after each branch and at the end of each stack.
      scan: run the blocks as one `jax.lax.scan` over stacked parameters.
      remat: keep only each block's input for the backward pass, or ('elementwise') the matrix products too.
      dtype: of the computation; parameters are float32.
      rngs: stream `params`.

    Attributes:
      features: width of the encoder's and the decoder's states.
      vocab_size, depth, heads, mlp_dim, head_width, decoder_depth, gated, dropout, scan, remat, dtype: as given.

    Raises:
      ValueError: a size below 1, a `width` that is no multiple of `heads`, `buckets` that are no multiple of 4, a
        `max_distance` that is not above half of them, a rate outside 0 <= rate < 1, or a dtype that does not exist.
    """

    reads: ClassVar[str] = "text"

    def __init__(
        self,
        *,
        vocab_size: int,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        mlp_dim: int = 3072,
        head_width: int | None = None,
        decoder_depth: int | None = None,
        buckets: int = 32,
        max_distance: int = 128,
        gated: bool = False,
        dropout: float = 0.1,
        scan: bool = False,
        remat: Remat = False,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        settings.at_least(1, vocab_size=vocab_size, width=width, mlp_dim=mlp_dim, heads=heads)
        settings.probability(dropout=dropout)
        _check_buckets(buckets, max_distance)
        if head_width is None:
            settings.divisible("width", width, "heads", heads)
        else:
            settings.at_least(1, head_width=head_width)
        self.features, self.vocab_size = width, vocab_size
        self.depth, self.decoder_depth = depth, depth if decoder_depth is None else decoder_depth
        self.heads, self.head_width = heads, width // heads if head_width is None else head_width
        self.mlp_dim, self.gated, self.dropout = mlp_dim, gated, dropout
        self.buckets, self.max_distance = buckets, max_distance
        self.scan, self.remat, self.dtype = scan, remat, dtype
        self.tokens = nnx.Embed(vocab_size, width, embedding_init=nnx.initializers.normal(1.0), rngs=rngs)
        self.encoder = self._build_stack(self.depth, False, rngs)
        self.decoder = self._build_stack(self.decoder_depth, True, rngs)
        self.output = _linear(width, vocab_size, width**-0.5, dtype, rngs) if gated else nnx.data(None)

    def _build_stack(self, depth, cross, rngs):
        shape = dict(heads=self.heads, head_width=self.head_width, mlp_dim=self.mlp_dim, gated=self.gated)
        shape |= dict(dropout=self.dropout, dtype=self.dtype, cross=cross)
        run = dict(depth=depth, scan=self.scan, remat=self.remat)
        table = nnx.initializers.normal(self.features**-0.5)
        return nnx.Dict(
            stack=Stack(lambda rngs: Block(self.features, rngs=rngs, **shape), rngs=rngs, **run),
            distances=nnx.Embed(self.buckets, self.heads, embedding_init=table, rngs=rngs),
            norm=_norm(self.features, rngs),
        )

    @property
    def token_embedding(self) -> jax.Array:
        """The embedding of every token, float32 [vocab_size, width]."""
        return self.tokens.embedding[...]

    def __call__(
        self,
        tokens: jax.Array,
        segments: jax.Array | None,
        mask: jax.Array,
        *,
        positions: jax.Array | None = None,
        train: bool = False,
        key: jax.Array | None = None,
    ) -> jax.Array:
        """Encodes sequences.

        Args:
          tokens: int [B, S].
          segments, positions: not looked at; of places only distances count.
          mask: True where a token may be attended to: bool [B, S], or [B, S, S] (query, key).
          train: drop.
          key: of the drawing; needed when training with dropout.

        Returns:
          [B, S, width].
        """
        del segments, positions
        x, seen, key, last = self._begin(self.encoder, tokens, mask, train, key)
        x = self.encoder.stack(x, seen, key)
        return self._end(self.encoder, x, last)

    def states(self, tokens: jax.Array, segments: jax.Array | None, mask: jax.Array) -> jax.Array:
        """What comes out of every block of the encoder, [depth, B, S, width], without a last normalisation."""
        del segments
        x, seen, _, _ = self._begin(self.encoder, tokens, mask, False, None)
        return self.encoder.stack.states(x, seen)

    def decode(
        self,
        tokens: jax.Array,
        encoded: jax.Array,
        encoded_mask: jax.Array,
        *,
        train: bool = False,
        key: jax.Array | None = None,
    ) -> jax.Array:
        """The decoder's states, each of which has seen the tokens up to its own and all that was encoded.

        Args:
          tokens: int [B, T], the output moved one place to the right.
          encoded: [B, S, width], from a call.
          encoded_mask: bool [B, S], True at its real tokens.
          train: drop.
          key: of the drawing; needed when training with dropout.

        Returns:
          [B, T, width].
        """
        mask = attending.causal(jnp.ones(tokens.shape, bool))
        x, seen, key, last = self._begin(self.decoder, tokens, mask, train, key, directed=True)
        x = self.decoder.stack(x, seen._replace(encoded=encoded, encoded_mask=encoded_mask), key)
        return self._end(self.decoder, x, last)

    def logits(self, states: jax.Array) -> jax.Array:
        """Scores every token, float32 [..., vocab_size], from the decoder's states [..., width]."""
        if self.output is not None:
            return self.output(states).astype(jnp.float32)
        scaled = states * jnp.asarray(self.features**-0.5, states.dtype)
        table = self.token_embedding.astype(states.dtype)
        return jnp.einsum("...d,vd->...v", scaled, table, preferred_element_type=jnp.float32)

    def _begin(self, part, tokens, mask, train, key, directed=False):
        """Embedded tokens, what the blocks see, a key for them and one for the end."""
        key = settings.training_key(train, key, dropout=self.dropout)
        first, rest, last = (None,) * 3 if key is None else jax.random.split(key, 3)
        places = np.arange(tokens.shape[1])
        bucket = distance_buckets(
            places[None, :] - places[:, None], buckets=self.buckets, max_distance=self.max_distance, directed=directed
        )
        bias = jnp.moveaxis(part.distances(bucket), -1, 0)[None]
        x = dropout(self.tokens(tokens).astype(self.dtype), self.dropout, first)
        return x, Seen(mask, bias), rest, last

    def _end(self, part, x, key):
        return dropout(part.norm(x).astype(x.dtype), self.dropout, key)


class Seen(NamedTuple):
    """What the blocks of a stack attend to.

    Attributes:
      mask: of the sequence itself, bool [B, N] or [B, N, N] (query, key).
      bias: on its scores, float32 [1, heads, N, N].
      encoded, encoded_mask: what a decoder reads beside it, [B, S, width] and bool [B, S].
    """

    mask: jax.Array
    bias: jax.Array
    encoded: jax.Array | None = None
    encoded_mask: jax.Array | None = None


def distance_buckets(distances: np.ndarray, *, buckets: int, max_distance: int, directed: bool) -> np.ndarray:
    """The kind of each distance between a query and a key.

    Small distances are a kind each; larger ones share kinds, whose width grows with the logarithm of the distance up to
    `max_distance`.

    Args:
      distances: int, the place of the key less that of the query.
      buckets: number of kinds.
      max_distance: from here on all are of the last kind.
      directed: only keys before the query (of which none is ahead) differ; otherwise half of the kinds are of keys
        behind it.

    Returns:
      int32, of the same shape.
    """
    behind = np.zeros_like(distances) if directed else (distances > 0) * (buckets // 2)
    count = buckets if directed else buckets // 2
    far = np.maximum(-distances, 0) if directed else np.abs(distances)
    exact = count // 2
    # In float32, as in the released code: where a logarithm is whole, rounding decides.
    decades = np.log(np.maximum(far, 1).astype(np.float32) / np.float32(exact))
    ratio = decades / np.float32(math.log(max_distance / exact))
    wide = exact + (ratio * np.float32(count - exact)).astype(np.int32)
    return (behind + np.where(far < exact, far, np.minimum(wide, count - 1))).astype(np.int32)


def _check_buckets(buckets: int, max_distance: int) -> None:
    if buckets < 4 or buckets % 4:
        raise ValueError(f"buckets {buckets} is not 4, 8 or another multiple of 4")
    if max_distance <= buckets // 2:
        raise ValueError(f"max_distance {max_distance} is not above half of buckets {buckets}")


class Block(nnx.Module):
    """x + attention(norm(x)), in a decoder then what was encoded likewise, then x + mlp(norm(x)).

    Args:
      width, heads, head_width, mlp_dim, gated, dropout, dtype, rngs: as for `EncoderDecoder`.
      cross: a decoder's.
    """

    def __init__(
        self,
        width: int,
        *,
        heads: int,
        head_width: int,
        mlp_dim: int,
        gated: bool,
        dropout: float,
        dtype: str,
        cross: bool,
        rngs: nnx.Rngs,
    ):
        attention = dict(heads=heads, head_width=head_width, dropout=dropout, dtype=dtype, rngs=rngs)
        self.dropout = dropout
        self.norm1 = _norm(width, rngs)
        self.attention = BiasedAttention(width, **attention)
        self.cross_norm = _norm(width, rngs) if cross else nnx.data(None)
        self.cross_attention = BiasedAttention(width, **attention) if cross else nnx.data(None)
        self.norm2 = _norm(width, rngs)
        self.mlp = ReluMLP(width, hidden=mlp_dim, gated=gated, dropout=dropout, dtype=dtype, rngs=rngs)

    def __call__(self, x, seen, key=None, drop_path_rate=None):
        """x [B, N, width], what is `Seen`; no stochastic depth."""
        del drop_path_rate
        keys = [None] * 6 if key is None else list(jax.random.split(key, 6))
        narrow = lambda norm, x: norm(x).astype(x.dtype)
        inside = narrow(self.norm1, x)
        x = x + dropout(self.attention(inside, inside, seen.mask, seen.bias, keys[0]), self.dropout, keys[1])
        if self.cross_attention is not None:
            branch = self.cross_attention(narrow(self.cross_norm, x), seen.encoded, seen.encoded_mask, None, keys[2])
            x = x + dropout(branch, self.dropout, keys[3])
        return x + dropout(self.mlp(narrow(self.norm2, x), keys[4]), self.dropout, keys[5])


class BiasedAttention(nnx.Module):
    """Multi-head attention with a bias on the scores, which are not scaled, and without biases in the layers.

    Args:
      width, heads, head_width, dropout, dtype, rngs: as for `EncoderDecoder`.
    """

    def __init__(self, width: int, *, heads: int, head_width: int, dropout: float, dtype: str, rngs: nnx.Rngs):
        inner = heads * head_width
        self.heads = heads
        self.dropout = dropout
        self.query = _linear(width, inner, (width * head_width) ** -0.5, dtype, rngs)
        self.key = _linear(width, inner, width**-0.5, dtype, rngs)
        self.value = _linear(width, inner, width**-0.5, dtype, rngs)
        self.out = _linear(inner, width, inner**-0.5, dtype, rngs)

    def __call__(self, x, source, mask, bias, key=None):
        """x [B, N, width] reads source [B, M, width]; mask bool [B, M] or [B, N, M]; bias [1, heads, N, M] or None."""
        split = lambda y: y.reshape(*y.shape[:2], self.heads, -1)
        queries, keys, values = split(self.query(x)), split(self.key(source)), split(self.value(source))
        scores = jnp.einsum("bqhd,bkhd->bhqk", queries, keys, preferred_element_type=jnp.float32)
        scores = scores if bias is None else scores + bias
        mask = mask[:, None, None, :] if mask.ndim == 2 else mask[:, None]
        weights = jax.nn.softmax(jnp.where(mask, scores, jnp.finfo(jnp.float32).min), axis=-1)
        weights = dropout(weights, self.dropout, key).astype(values.dtype)
        return self.out(jnp.einsum("bhqk,bkhd->bqhd", weights, values).reshape(*x.shape[:2], -1))


class ReluMLP(nnx.Module):
    """Linear, ReLU, dropout, linear; `gated`: GELU (by tanh) of one linear layer times another in place of the ReLU."""

    def __init__(self, width: int, *, hidden: int, gated: bool, dropout: float, dtype: str, rngs: nnx.Rngs):
        self.dropout = dropout
        self.hidden = _linear(width, hidden, width**-0.5, dtype, rngs)
        self.gate = _linear(width, hidden, width**-0.5, dtype, rngs) if gated else nnx.data(None)
        self.out = _linear(hidden, width, hidden**-0.5, dtype, rngs)

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """[..., width] -> [..., width]."""
        if self.gate is None:
            hidden = jax.nn.relu(self.hidden(x))
        else:
            hidden = self.hidden(x) * jax.nn.gelu(self.gate(x), approximate=True)
        return self.out(dropout(hidden, self.dropout, key))


def _linear(inputs, outputs, deviation, dtype, rngs):
    start = dict(kernel_init=nnx.initializers.normal(deviation), dtype=settings.computation_dtype(dtype))
    return nnx.Linear(inputs, outputs, use_bias=False, rngs=rngs, **start)


def _norm(width, rngs):
    return nnx.RMSNorm(width, epsilon=1e-6, dtype=jnp.float32, rngs=rngs)
