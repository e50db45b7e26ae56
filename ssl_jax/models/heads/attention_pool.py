"""Pooling by attention (Zhai et al. 2022, Scaling Vision Transformers, arXiv:2106.04560, section 3.2)."""

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.models import settings
from ssl_jax.models.normalization import layer_norm
from ssl_jax.models.transformer import GELU, MLP, attention_weights, mixed_values


class AttentionPool(nnx.Module):
    """One learnt query attends to all tokens, and an MLP with a residual branch follows: big_vision's `MAPHead`.

    The attention has no residual branch and no normalisation of its own. Keys and values are one matrix, which starts
    uniform over both (Xavier): at 0.82 of theirs, which are two.

    Args:
      width: features of a token; a multiple of `heads`.
      heads: number of heads.
      mlp_dim: hidden features of the MLP.
      gelu: of the MLP, as for `transformer.MLP`.
      epsilon: of the layer normalisation.
      dtype: of the computation; the softmax is in float32.
      rngs: stream `params`.

    Raises:
      ValueError: a size below 1, a `width` that is no multiple of `heads`, or a `gelu` or dtype that does not exist.
    """

    def __init__(
        self,
        width: int,
        *,
        heads: int,
        mlp_dim: int,
        gelu: GELU = "exact",
        epsilon: float = 1e-6,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        settings.at_least(1, width=width, mlp_dim=mlp_dim)
        settings.divisible("width", width, "heads", heads)
        start, computation = nnx.initializers.xavier_uniform(), settings.computation_dtype(dtype)
        linear = lambda outputs: nnx.Linear(width, outputs, dtype=computation, kernel_init=start, rngs=rngs)
        self.heads = heads
        self.probe = nnx.Param(start(rngs.params(), (1, width))[0])
        self.query, self.keys_values, self.out = linear(width), linear(2 * width), linear(width)
        self.norm = layer_norm(width, epsilon=epsilon, rngs=rngs)
        self.mlp = MLP(width, hidden=mlp_dim, gelu=gelu, dtype=dtype, kernel_init=start, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Tokens [B, N, width] -> [B, width]."""
        batch, count, width = tokens.shape
        pairs = self.keys_values(tokens).reshape(batch, count, 2, self.heads, width // self.heads)
        keys, values = (pairs[:, :, part].swapaxes(1, 2) for part in range(2))
        queries = jnp.broadcast_to(self.query(self.probe[...]), (batch, width)).reshape(batch, self.heads, 1, -1)
        weights = attention_weights(queries, keys).astype(values.dtype)
        pooled = self.out(mixed_values(weights, values).reshape(batch, width))
        return pooled + self.mlp(self.norm(pooled))
