"""The predictor of joint-embedding predictive architectures (Assran et al. 2023, I-JEPA)."""

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.models import settings
from ssl_jax.models.normalization import layer_norm
from ssl_jax.models.positions import sincos2d
from ssl_jax.models.transformer import PreNormBlock, Remat, Stack
from ssl_jax.models.vit import shrink_branches


class JEPAPredictor(nnx.Module):
    """A narrow transformer that reads a context's patches, and says what an encoder would make of patches elsewhere.

    Fixed sin-cos positions. Matrices and mask token start normal with deviation 0.02, the last matrix of each branch of
    block l (from 1) divided by sqrt(2 l), as in the official code, which cuts at 100 deviations.

    Args:
      features: width of the encoder's states, read and predicted.
      grid: (rows, columns) of patches, the encoder's `grid`.
      width, depth, heads: sizes of the blocks; their MLPs are 4 times as wide.
      scan, remat, accumulate: as for `Stack`.
      dtype: of the computation; parameters are float32.
      rngs: stream `params`.
    """

    def __init__(
        self,
        features: int,
        *,
        grid: tuple[int, int],
        width: int,
        depth: int,
        heads: int,
        scan: bool = False,
        remat: Remat = False,
        accumulate: int = 1,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        sincos2d(grid, width)  # so that an impossible width is refused now
        self.grid, self.width = tuple(grid), width
        start = nnx.initializers.normal(0.02)
        make = dict(dtype=settings.computation_dtype(dtype), kernel_init=start, rngs=rngs)
        self.embedding = nnx.Linear(features, width, **make)
        self.mask_token = nnx.Param(start(rngs.params(), (width,)))

        def block(rngs):
            return PreNormBlock(width, heads=heads, mlp_dim=4 * width, kernel_init=start, dtype=dtype, rngs=rngs)

        self.stack = Stack(block, depth=depth, scan=scan, remat=remat, accumulate=accumulate, rngs=rngs)
        shrink_branches(self.stack)
        self.norm = layer_norm(width, epsilon=1e-6, rngs=rngs)
        self.prediction = nnx.Linear(width, features, **make)

    def __call__(
        self, context: jax.Array, visible: jax.Array, seen: jax.Array, targets: jax.Array, counted: jax.Array
    ) -> jax.Array:
        """Predicts each target block by itself.

        Args:
          context: states of the visible patches, [B, V, features].
          visible: their numbers, int [B, V].
          seen: which of them count, bool [B, V].
          targets: numbers of the patches of K blocks, int [B, K, T].
          counted: which of them count, bool [B, K, T].

        Returns:
          [B, K, T, features]; of no meaning where a patch does not count.
        """
        batch, blocks, most = targets.shape
        positions = jnp.asarray(sincos2d(self.grid, self.width))
        x = self.embedding(context)
        x = x + positions[visible].astype(x.dtype)
        wanted = self.mask_token[...][None, None, :] + positions[targets.reshape(batch * blocks, most)]
        each = lambda array: jnp.repeat(array, blocks, axis=0)
        tokens = jnp.concatenate([each(x), wanted.astype(x.dtype)], axis=1)
        mask = jnp.concatenate([each(seen), counted.reshape(batch * blocks, most)], axis=1)
        found = self.norm(self.stack(tokens, mask))[:, x.shape[1] :].astype(x.dtype)
        return self.prediction(found).reshape(batch, blocks, most, -1)
