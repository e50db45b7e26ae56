"""The decoder of masked autoencoders (He et al. 2022)."""

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.models import settings
from ssl_jax.models.normalization import layer_norm
from ssl_jax.models.positions import sincos2d
from ssl_jax.models.transformer import PreNormBlock, Remat, Stack


class MAEDecoder(nnx.Module):
    """Puts mask tokens where patches were hidden, and predicts every patch's pixels.

    Fixed sin-cos positions; Xavier uniform matrices, mask token normal with deviation 0.02. The defaults are the
    paper's (section 4.1: 8 blocks of width 512).

    Args:
      encoder_features: width of the encoded tokens.
      grid: (rows, columns) of patches, the encoder's `grid`.
      patch_dim: numbers to predict a patch: patch_size ** 2 * channels.
      width, depth, heads, mlp_dim: sizes of the blocks; `mlp_dim` None is 4 * width.
      class_token: whether the encoded tokens begin with a class token.
      scan: run the blocks as one `jax.lax.scan` over stacked parameters.
      remat, accumulate: as for `Stack`.
      dtype: of the computation; parameters are float32.
      rngs: stream `params`.

    Raises:
      ValueError: a size below 1, a `width` that is no multiple of 4 and of `heads`, a dtype that is not float32 or
        bfloat16, or what `Stack` refuses.
    """

    def __init__(
        self,
        encoder_features: int,
        *,
        grid: tuple[int, int],
        patch_dim: int,
        width: int = 512,
        depth: int = 8,
        heads: int = 16,
        mlp_dim: int | None = None,
        class_token: bool = True,
        scan: bool = False,
        remat: Remat = False,
        accumulate: int = 1,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        settings.at_least(1, encoder_features=encoder_features, patch_dim=patch_dim, width=width, heads=heads)
        sincos2d(grid, width)  # so that an impossible width is refused now
        self.grid = tuple(grid)
        self.num_patches = self.grid[0] * self.grid[1]
        self.width, self.heads, self.mlp_dim = width, heads, mlp_dim or 4 * width
        self.class_token = class_token
        xavier = nnx.initializers.xavier_uniform()
        options = dict(dtype=settings.computation_dtype(dtype), kernel_init=xavier, rngs=rngs)
        self.embedding = nnx.Linear(encoder_features, width, **options)
        self.mask_token = nnx.Param(nnx.initializers.normal(0.02)(rngs.params(), (width,)))

        def block(rngs):
            return PreNormBlock(width, heads=heads, mlp_dim=self.mlp_dim, dtype=dtype, rngs=rngs)

        self.stack = Stack(block, depth=depth, scan=scan, remat=remat, accumulate=accumulate, rngs=rngs)
        self.norm = layer_norm(width, epsilon=1e-6, rngs=rngs)
        self.prediction = nnx.Linear(width, patch_dim, **options)

    def __call__(self, tokens: jax.Array, restore: jax.Array) -> jax.Array:
        """Predicts all patches.

        Args:
          tokens: [B, 1 + n, encoder_features], what `ViT.encode` made of the n visible patches (without the 1 if the
            decoder has no class token).
          restore: int [B, num_patches]. For each patch of the picture, its place in the sequence "visible patches, then
            hidden ones".

        Returns:
          [B, num_patches, patch_dim], patches row by row.

        Raises:
          ValueError: `restore` is not of this decoder's number of patches.
        """
        if restore.shape[1] != self.num_patches:
            raise ValueError(f"restore names {restore.shape[1]} patches, this decoder has {self.num_patches}")
        x = self.embedding(tokens)
        first = int(self.class_token)
        x = jnp.concatenate([x[:, :first], self._fill(x[:, first:], restore)], axis=1)
        return self.prediction(self.norm(self.stack(x)))[:, first:]

    def _fill(self, visible, restore):
        """Visible tokens [B, n, width] -> all in the picture's order, positions added, [B, num_patches, width]."""
        batch, count, width = visible.shape
        mask = self.mask_token[...].astype(visible.dtype)[None, None, :]
        hidden = jnp.broadcast_to(mask, (batch, self.num_patches - count, width))
        tokens = jnp.take_along_axis(jnp.concatenate([visible, hidden], axis=1), restore[:, :, None], axis=1)
        return tokens + jnp.asarray(sincos2d(self.grid, width), visible.dtype)[None]
