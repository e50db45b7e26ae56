"""Transformer blocks, and the stack that runs them one by one or as one scan."""

from collections.abc import Callable
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ssl_jax.models import settings
from ssl_jax.models.accumulate import in_parts
from ssl_jax.models.normalization import layer_norm

Initializer = Callable[..., jax.Array]
Remat = bool | Literal["elementwise"]
GELU = Literal["exact", "tanh", "quick"]


def dropout(x: jax.Array, rate: float, key: jax.Array | None) -> jax.Array:
    """Zeroes each element with probability `rate` and divides the rest by 1 - rate; no key, no change."""
    return x if key is None or rate == 0 else _drop(x, rate, key, x.shape)


def activation(x: jax.Array, gelu: GELU) -> jax.Array:
    """The GELU of `x`, in the form called `gelu`; see `MLP`."""
    return x * jax.nn.sigmoid(1.702 * x) if gelu == "quick" else jax.nn.gelu(x, approximate=gelu == "tanh")


def drop_path(x: jax.Array, rate: float | jax.Array | None, key: jax.Array | None) -> jax.Array:
    """Stochastic depth (Huang et al. 2016): dropout of whole examples, for the output of a residual branch [B, ...]."""
    return x if key is None or rate is None else _drop(x, rate, key, (x.shape[0],) + (1,) * (x.ndim - 1))


def _drop(x, rate, key, shape):
    keep = jax.random.bernoulli(key, 1.0 - rate, shape)
    scale = jnp.asarray(1.0 / (1.0 - rate), x.dtype)
    return jnp.where(keep, x * scale, jnp.zeros_like(x))


def _split(key: jax.Array | None, count: int) -> list[jax.Array | None]:
    return [None] * count if key is None else list(jax.random.split(key, count))


def _item(array: jax.Array | np.ndarray | None, index: int) -> jax.Array | None:
    return None if array is None else array[index]


def _rows(x: jax.Array) -> jax.Array:
    """[..., width] -> [rows, width]: XLA:CPU's gradient of a small MLP took five times as long on [B, N, width]."""
    return x.reshape(-1, x.shape[-1])


class Attention(nnx.Module):
    """Multi-head self-attention (Vaswani et al. 2017) with one matrix for queries, keys and values.

    Args:
      width: features of a token; a multiple of `heads`.
      heads: number of heads.
      dropout: rate on the attention weights.
      dtype: of the computation; the softmax is in float32.
      kernel_init: for both matrices.
      out_init: for that of the output; None: `kernel_init`.
      rngs: stream `params`.

    Raises:
      ValueError: a `width` that is no multiple of `heads`, or a dtype that does not exist.
    """

    def __init__(
        self,
        width: int,
        *,
        heads: int,
        dropout: float = 0.0,
        dtype: str,
        kernel_init: Initializer,
        out_init: Initializer | None = None,
        rngs: nnx.Rngs,
    ):
        settings.divisible("width", width, "heads", heads)
        self.heads = heads
        self.dropout = dropout
        self.qkv = linear(dtype, kernel_init, rngs)(width, 3 * width)
        self.out = linear(dtype, out_init or kernel_init, rngs)(width, width)

    def __call__(self, x: jax.Array, mask: jax.Array | None = None, key: jax.Array | None = None) -> jax.Array:
        """Mixes tokens x [B, N, width].

        `mask` is True where a token may be attended to, bool [B, N], or [B, N, N] (query, key); or added to the scores,
        float32 [B or 1, heads, N, N].
        """
        batch, tokens, width = x.shape
        qkv = self.qkv(_rows(x)).reshape(batch, tokens, 3, self.heads, width // self.heads)
        queries, keys, values = (qkv[:, :, part].swapaxes(1, 2) for part in range(3))
        weights = attention_weights(queries, keys, mask)
        weights = dropout(weights, self.dropout, key).astype(qkv.dtype)
        mixed = mixed_values(weights, values).swapaxes(1, 2)
        return self.out(mixed.reshape(batch * tokens, width)).reshape(x.shape)


def attention_weights(queries: jax.Array, keys: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """softmax(q k / sqrt(d)) in float32, [B, heads, queries, keys], of queries and keys [B, heads, n, d]."""
    scale = jnp.asarray(queries.shape[-1] ** -0.5, queries.dtype)
    scores = jnp.einsum("hqd,hkd->hqk", _one(queries * scale), _one(keys), preferred_element_type=jnp.float32)
    by_head = (*queries.shape[:2], *scores.shape[1:])
    if mask is not None:
        scores = _one(_masked(scores.reshape(by_head), mask))
    return jax.nn.softmax(scores, axis=-1).reshape(by_head)


def mixed_values(weights: jax.Array, values: jax.Array) -> jax.Array:
    """[B, heads, queries, d], of `attention_weights` and values [B, heads, keys, d]."""
    mixed = jnp.einsum("hqk,hkd->hqd", _one(weights), _one(values))
    return mixed.reshape(*weights.shape[:3], values.shape[-1])


def _one(x: jax.Array) -> jax.Array:
    """[B, heads, ...] -> [B * heads, ...]: XLA:CPU took 1.3 times as long with two axes, gradient and no mask."""
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])  # no -1: there may be no tokens


def _masked(scores: jax.Array, mask: jax.Array) -> jax.Array:
    """Scores [B, heads, queries, keys] with a mask as `Attention` takes it."""
    if mask.dtype != bool:
        return scores + mask
    mask = mask[:, None, None, :] if mask.ndim == 2 else mask[:, None]
    return jnp.where(mask, scores, jnp.finfo(jnp.float32).min)


class MLP(nnx.Module):
    """Linear, GELU, dropout, linear.

    Args:
      width, hidden: features of a token, and between the two layers.
      dropout: rate after the GELU.
      gelu: 'exact', by the error function, or an approximation: 'tanh', that of GPT-2 and ALBERT, or 'quick', a
        sigmoid, that of CLIP (Hendrycks and Gimpel 2016, section 2, for both).
      use_bias: whether the layers have biases.
      dtype: of the computation.
      kernel_init: for both matrices.
      out_init: for the second one; None: `kernel_init`.
      rngs: stream `params`.

    Raises:
      ValueError: a `gelu` or dtype that does not exist.
    """

    def __init__(
        self,
        width: int,
        *,
        hidden: int,
        dropout: float = 0.0,
        gelu: GELU = "exact",
        use_bias: bool = True,
        dtype: str,
        kernel_init: Initializer,
        out_init: Initializer | None = None,
        rngs: nnx.Rngs,
    ):
        self.dropout = dropout
        self.gelu = settings.one_of("gelu", gelu, get_args(GELU))
        self.hidden = linear(dtype, kernel_init, rngs, use_bias)(width, hidden)
        self.out = linear(dtype, out_init or kernel_init, rngs, use_bias)(hidden, width)

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """[..., width] -> [..., width]."""
        hidden = activation(self.hidden(_rows(x)), self.gelu)
        return self.out(dropout(hidden, self.dropout, key)).reshape(x.shape)


def linear(
    dtype: str, kernel_init: Initializer, rngs: nnx.Rngs, use_bias: bool = True
) -> Callable[[int, int], nnx.Linear]:
    """Makes linear layers of so many inputs and outputs.

    Raises:
      ValueError: a dtype that is not float32 or bfloat16.
    """
    shared = dict(dtype=settings.computation_dtype(dtype), kernel_init=kernel_init, use_bias=use_bias, rngs=rngs)
    return lambda inputs, outputs: nnx.Linear(inputs, outputs, **shared)


class PreNormBlock(nnx.Module):
    """The block of ViT (Dosovitskiy et al. 2021): x + attention(norm(x)), then x + mlp(norm(x)).

    Args:
      width, heads, mlp_dim: sizes.
      dropout: rate after attention, inside and after the MLP.
      mlp_dropout: rate inside the MLP, where it is another.
      attention_dropout: rate on the attention weights.
      layer_scale: initial value of a learned scale on each branch (Touvron et al. 2021, CaiT), or None for none.
      epsilon: of the layer normalisations.
      gelu: as for `MLP`.
      kernel_init: of all matrices, None for Xavier uniform; biases start at 0.
      out_init: of the last matrix of each branch, None for `kernel_init`.
      dtype, rngs: as for `Attention`.
    """

    def __init__(
        self,
        width: int,
        *,
        heads: int,
        mlp_dim: int,
        dropout: float = 0.0,
        mlp_dropout: float | None = None,
        attention_dropout: float = 0.0,
        layer_scale: float | None = None,
        epsilon: float = 1e-6,
        gelu: GELU = "exact",
        kernel_init: Initializer | None = None,
        out_init: Initializer | None = None,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        kernel_init = kernel_init or nnx.initializers.xavier_uniform()
        shared = dict(dtype=dtype, kernel_init=kernel_init, out_init=out_init, rngs=rngs)
        inside = dropout if mlp_dropout is None else mlp_dropout
        self.dropout = dropout
        self.norm1 = layer_norm(width, epsilon=epsilon, rngs=rngs)
        self.attention = Attention(width, heads=heads, dropout=attention_dropout, **shared)
        self.scale1 = _layer_scale(layer_scale, width)
        self.norm2 = layer_norm(width, epsilon=epsilon, rngs=rngs)
        self.mlp = MLP(width, hidden=mlp_dim, dropout=inside, gelu=gelu, **shared)
        self.scale2 = _layer_scale(layer_scale, width)

    def __call__(self, x, mask=None, key=None, drop_path_rate=None):
        """x [B, N, width]; `drop_path_rate` is this block's share of stochastic depth, a scalar, or None."""
        return self.with_branch(x, mask, key, drop_path_rate)[0]

    def with_branch(self, x, mask=None, key=None, drop_path_rate=None):
        """The same, and what the MLP gave, before dropout, scale and sum: both [B, N, width]."""
        keys = _split(key, 6)
        branch = dropout(self.attention(self.norm1(x), mask, keys[5]), self.dropout, keys[0])
        x = x + drop_path(_scaled(branch, self.scale1), drop_path_rate, keys[1])
        branch = self.mlp(self.norm2(x), keys[2])
        added = drop_path(_scaled(dropout(branch, self.dropout, keys[3]), self.scale2), drop_path_rate, keys[4])
        return x + added, branch


def _layer_scale(value, width):
    return nnx.data(None) if value is None else nnx.Param(jnp.full((width,), value, jnp.float32))


def _scaled(branch, scale):
    return branch if scale is None else branch * scale[...].astype(branch.dtype)[None, None, :]


class PostNormBlock(nnx.Module):
    """The block of BERT (Devlin et al. 2019): norm(x + attention(x)), then norm(x + mlp(x)).

    Args:
      width, heads, mlp_dim: sizes.
      dropout: rate on the attention weights and after each branch.
      initializer_range: deviation of the matrices at the start, truncated normal.
      epsilon: of the layer normalisations.
      gelu: as for `MLP`.
      dtype, rngs: as for `Attention`.
    """

    def __init__(
        self,
        width: int,
        *,
        heads: int,
        mlp_dim: int,
        dropout: float = 0.0,
        initializer_range: float = 0.02,
        epsilon: float = 1e-12,
        gelu: GELU = "exact",
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        shared = dict(dtype=dtype, kernel_init=nnx.initializers.truncated_normal(initializer_range), rngs=rngs)
        self.dropout = dropout
        self.attention = Attention(width, heads=heads, dropout=dropout, **shared)
        self.norm1 = layer_norm(width, epsilon=epsilon, rngs=rngs)
        self.mlp = MLP(width, hidden=mlp_dim, gelu=gelu, **shared)
        self.norm2 = layer_norm(width, epsilon=epsilon, rngs=rngs)

    def __call__(self, x, mask=None, key=None, drop_path_rate=None):
        """x [B, N, width]; `mask` as for `Attention`; no stochastic depth."""
        return self.with_branch(x, mask, key, drop_path_rate)[0]

    def with_branch(self, x, mask=None, key=None, drop_path_rate=None):
        """The same, and what the MLP gave, before dropout, sum and normalisation: both [B, N, width]."""
        del drop_path_rate
        keys = _split(key, 3)
        x = self._add(self.norm1, x, self.attention(x, mask, keys[0]), keys[1])
        branch = self.mlp(x)
        return self._add(self.norm2, x, branch, keys[2]), branch

    def _add(self, norm, x, branch, key):
        return norm(x + dropout(branch, self.dropout, key)).astype(x.dtype)


def how_it_runs(backbone: nnx.Module) -> dict[str, Any]:
    """The settings of a network's stack that change how it is computed, and not what, for another one beside it."""
    return {name: getattr(backbone, name) for name in ("scan", "remat", "accumulate", "dtype")}


class Stack(nnx.Module):
    """Blocks of one kind, one after the other.

    Args:
      make_block: builds a block from its `nnx.Rngs`; the block is called with (x, mask, key, drop_path_rate).
      depth: number of blocks.
      share: all are one block, run `depth` times (Lan et al. 2020, ALBERT).
      scan: hold the parameters stacked, [depth, ...], and run one compiled block `depth` times. The same seed gives the
        same blocks either way; only the layout of the state differs. A shared block is not stacked.
      remat: compute the inside of a block again in the backward pass instead of keeping it; 'elementwise': keep the
        results of matrix products and compute again only what lies between them.
      accumulate: run the blocks on so many parts of the batch and add up their gradients (`accumulate.in_parts`), so
        that losses over all pairs stay what they are.
      drop_path: stochastic depth of the last block; it grows linearly from 0 at the first.
      drop_path_uniform: it does not grow, all blocks have that rate.
      rngs: stream `params`.

    Attributes:
      blocks: `nnx.List` of blocks (of one, if shared), or with `scan` one block with stacked parameters.

    Raises:
      ValueError: `depth` or `accumulate` below 1, or a rate outside 0 <= rate < 1.
    """

    def __init__(
        self,
        make_block: Callable[[nnx.Rngs], nnx.Module],
        *,
        depth: int,
        share: bool = False,
        scan: bool = False,
        remat: Remat = False,
        accumulate: int = 1,
        drop_path: float = 0.0,
        drop_path_uniform: bool = False,
        rngs: nnx.Rngs,
    ):
        settings.at_least(1, depth=depth, accumulate=accumulate)
        settings.probability(drop_path=drop_path)
        self.depth = depth
        self.share = share
        self.scan = scan
        self.remat = remat
        self.accumulate = accumulate
        self.drop_path = drop_path
        self.drop_path_uniform = drop_path_uniform
        keys = jax.random.split(rngs.params(), 1 if share else depth)
        if scan and not share:
            self.blocks = nnx.vmap(lambda key: make_block(nnx.Rngs(params=key)))(keys)
        else:
            self.blocks = nnx.List([make_block(nnx.Rngs(params=key)) for key in keys])

    def __call__(self, x: jax.Array, mask: jax.Array | None = None, key: jax.Array | None = None) -> jax.Array:
        """x [B, N, width] -> [B, N, width]; without `key` nothing is dropped. `mask` is what the blocks take.

        Its arrays are [B, ...], or [1, ...], the same for all examples.
        """
        arrays, tree = jax.tree.flatten(mask)
        own = [array if len(array) == len(x) else None for array in arrays]

        def of_part(stack: "Stack", rows: tuple, key: jax.Array | None) -> jax.Array:
            x, own = rows
            mask = [whole if of_rows is None else of_rows for whole, of_rows in zip(arrays, own)]
            return stack._whole(_output, x, jax.tree.unflatten(tree, mask), key)[0]

        return in_parts(self, of_part, self.accumulate, (x, own), key)

    def states(
        self,
        x: jax.Array,
        mask: jax.Array | None = None,
        key: jax.Array | None = None,
        *,
        of: Literal["blocks", "branches"] = "blocks",
    ) -> jax.Array:
        """What comes out of every block, [depth, B, N, width]; the whole batch at once, whatever `accumulate` says.

        Args:
          x, mask, key: as for a call.
          of: 'blocks': their outputs; 'branches': their MLPs', before these are added to what goes on (the targets of
            data2vec); for blocks that have `with_branch`.

        Raises:
          ValueError: an `of` that does not exist.
        """
        settings.one_of("of", of, ("blocks", "branches"))
        return self._whole(_output_twice if of == "blocks" else _branch, x, mask, key)[1]

    def _whole(self, call: Callable, x: jax.Array, mask: jax.Array | None, key: jax.Array | None):
        """The last output, and what `call` keeps of each block, stacked; it gives both of one block."""
        keys = None if key is None else jax.random.split(key, self.depth)
        first = self.drop_path if self.drop_path_uniform else 0.0
        rates = np.linspace(first, self.drop_path, self.depth, dtype=np.float32) if self.drop_path else None
        return (self._scanned if self.scan else self._unrolled)(call, x, mask, keys, rates)

    def _unrolled(self, call, x, mask, keys, rates):
        kept = []
        for index in range(self.depth):
            apply, state = self._function(call, self.blocks[0 if self.share else index])
            x, of_block = apply(state, x, mask, _item(keys, index), _item(rates, index))
            kept.append(of_block)
        return x, jax.tree.map(lambda *parts: jnp.stack(parts), *kept)

    def _scanned(self, call, x, mask, keys, rates):
        apply, states = self._function(call, self.blocks[0] if self.share else self.blocks)

        def step(x, inputs):
            state, key, rate = inputs
            return apply(states if self.share else state, x, mask, key, rate)

        inputs = (None if self.share else states, keys, rates)
        return jax.lax.scan(step, x, inputs, length=self.depth)

    def _function(self, call, block):
        graph, state = nnx.split(block)

        def apply(state, x, mask, key, rate):
            return call(nnx.merge(graph, state), x, mask, key, rate)

        if not self.remat:
            return apply, state
        policy = jax.checkpoint_policies.dots_with_no_batch_dims_saveable if self.remat == "elementwise" else None
        # A scan keeps XLA from merging the two computations by itself.
        return jax.checkpoint(apply, prevent_cse=not self.scan, policy=policy), state


def _output(block, *inputs):
    return block(*inputs), None


def _output_twice(block, *inputs):
    output = block(*inputs)
    return output, output


def _branch(block, *inputs):
    return block.with_branch(*inputs)
