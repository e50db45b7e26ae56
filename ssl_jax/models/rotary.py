"""Positions that turn queries and keys (Su et al. 2021, RoFormer), of patches, and the blocks that know them so.

As in CAPI (Darcet et al. 2025) and the authors' `model.py`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ssl_jax.models import settings
from ssl_jax.models.normalization import rms_norm
from ssl_jax.models.transformer import MLP, attention_weights, drop_path, linear, mixed_values

EPSILON = 1e-5  # of all normalisations
FASTEST, SLOWEST = 7.0, 7e-4  # turns from one edge of a picture to the other


class Beside(NamedTuple):
    """What a block is given beside its tokens; a `Stack` hands it on.

    Attributes:
      places: coordinates of the tokens, float32 [B or 1, N, 2].
      context: what is attended to, [B, M, context features]; None: the tokens themselves.
      context_places: its coordinates, [B or 1, M, 2], or None.
    """

    places: jax.Array
    context: jax.Array | None = None
    context_places: jax.Array | None = None


def patch_places(grid: tuple[int, int]) -> np.ndarray:
    """Coordinates of patches, row by row: float32 [rows * columns, 2], row and column, from 0 to 1 at the edges."""
    axes = [np.linspace(0, 1, size, dtype=np.float32) for size in grid]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)


def edge_places(count: int) -> np.ndarray:
    """Coordinates of `count` points along the edges of a picture, evenly and once around: float32 [count, 2].

    Raises:
      ValueError: `count` is no multiple of 4.
    """
    if count % 4:
        raise ValueError(f"registers {count} is not a multiple of 4: as many lie along each edge")
    along = np.arange(count // 4, dtype=np.float32) / max(count // 4, 1)
    still = np.zeros_like(along)
    edges = [(along, still), (still + 1, along), (1 - along, still + 1), (still, 1 - along)]
    return np.concatenate([np.stack(edge, axis=1) for edge in edges])


def angles(places: jax.Array, width: int) -> jax.Array:
    """By how much each feature of a head is turned: float32 [..., N, width], in radians, of places [..., N, 2].

    The first half of the features turns with the row, the second with the column; each half goes twice through
    frequencies that fall from `FASTEST` to `SLOWEST` by equal factors.
    """
    falling = FASTEST * (SLOWEST / FASTEST) ** np.linspace(0, 1, width // 4)
    frequencies = np.zeros((2, width), np.float32)
    frequencies[0, : width // 2] = frequencies[1, width // 2 :] = 2 * np.pi * np.tile(falling, 2)
    return jnp.einsum("...c,cf->...f", places, frequencies, precision=jax.lax.Precision.HIGHEST)


def turned(x: jax.Array, by: jax.Array) -> jax.Array:
    """Queries or keys x [B, heads, N, F] turned by angles [B or 1, N, F]; computed in float32.

    Feature i is paired with feature i + F / 2, as in the authors' code, where therefore each of a pair is turned by an
    angle of its own: the one by that of the row, the other by that of the column.
    """
    by, full = by[:, None], x.astype(jnp.float32)
    first, second = jnp.split(full, 2, axis=-1)
    return (full * jnp.cos(by) + jnp.concatenate([-second, first], axis=-1) * jnp.sin(by)).astype(x.dtype)


class RotaryAttention(nnx.Module):
    """Multi-head attention to a context, with matrices of their own for queries, keys and values, and no biases.

    Args:
      width: features of a token; a multiple of 4 `heads`.
      heads: number of heads.
      context_width: features of what is attended to.
      dtype: of the computation; the softmax is in float32.
      rngs: stream `params`; matrices are Xavier uniform.

    Raises:
      ValueError: a `width` that is no multiple of 4 times `heads`, or a dtype that does not exist.
    """

    def __init__(self, width: int, *, heads: int, context_width: int, dtype: str, rngs: nnx.Rngs):
        settings.divisible("width", width, "heads", heads)
        if width // heads % 4:
            raise ValueError(
                f"heads {heads} leave each {width // heads} features; rotary positions need a multiple of 4"
            )
        self.heads = heads
        make = linear(dtype, nnx.initializers.xavier_uniform(), rngs, use_bias=False)
        self.query, self.key, self.value = make(width, width), make(context_width, width), make(context_width, width)
        self.out = make(width, width)

    def __call__(self, x: jax.Array, beside: Beside) -> jax.Array:
        """x [B, N, width] -> [B, N, width]."""
        context, there = (x, beside.places) if beside.context is None else (beside.context, beside.context_places)
        split = lambda y: y.reshape(*y.shape[:2], self.heads, -1).swapaxes(1, 2)
        queries, keys, values = split(self.query(x)), split(self.key(context)), split(self.value(context))
        width = queries.shape[-1]
        weights = attention_weights(turned(queries, angles(beside.places, width)), turned(keys, angles(there, width)))
        mixed = mixed_values(weights.astype(values.dtype), values).swapaxes(1, 2)
        return self.out(mixed.reshape(*x.shape[:2], -1))


class RotaryBlock(nnx.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)): RMS normalisations, and no biases.

    Args:
      width, heads, context_width, dtype, rngs: as for `RotaryAttention`.
      mlp_dim: hidden features of the MLP.
    """

    def __init__(self, width: int, *, heads: int, mlp_dim: int, context_width: int, dtype: str, rngs: nnx.Rngs):
        shared = dict(dtype=dtype, rngs=rngs)
        self.norm1 = rms_norm(width, epsilon=EPSILON, rngs=rngs)
        self.attention = RotaryAttention(width, heads=heads, context_width=context_width, **shared)
        self.norm2 = rms_norm(width, epsilon=EPSILON, rngs=rngs)
        xavier = nnx.initializers.xavier_uniform()
        self.mlp = MLP(width, hidden=mlp_dim, use_bias=False, kernel_init=xavier, **shared)

    def __call__(self, x, beside, key=None, drop_path_rate=None):
        """x [B, N, width], what is `Beside` it; `drop_path_rate` of both branches, a scalar, or None."""
        keys = (None, None) if key is None else jax.random.split(key)
        x = x + drop_path(self.attention(self.norm1(x), beside), drop_path_rate, keys[0])
        return x + drop_path(self.mlp(self.norm2(x)), drop_path_rate, keys[1])
