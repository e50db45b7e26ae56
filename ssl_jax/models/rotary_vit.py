"""The vision transformer of CAPI (Darcet et al. 2025, arXiv:2502.08769): rotary positions and registers."""

from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.models import patches, settings
from ssl_jax.models.initializers import torch_start
from ssl_jax.models.normalization import rms_norm
from ssl_jax.models.rotary import EPSILON, Beside, RotaryBlock, edge_places, patch_places
from ssl_jax.models.transformer import Remat, Stack
from ssl_jax.models.vit import sized


class RotaryViT(nnx.Module):
    """Vision transformer whose queries and keys are turned by where patches lie (`models.rotary`).

    RMS normalisations, the last one without a scale; no biases but the patch embedding's; no class token, but registers
    (Darcet et al. 2024), which lie along the edges of what is seen. Any part of a picture can be read, and pictures of
    any size: coordinates go from 0 to 1.

    Matrices start Xavier uniform, registers normal with deviation 0.02, and the bias as in PyTorch's convolutions.

    Args:
      size: the letter of the papers, as for `ViT`.
      patch_size: side of a patch in pixels.
      image_size: side of the images in pixels; a multiple of `patch_size`.
      channels: colours a pixel has.
      width, depth, heads, mlp_dim: override what `size` says.
      registers: tokens beside the patches; a multiple of 4.
      drop_path: stochastic depth, of all blocks alike.
      scan, remat, accumulate: as for `Stack`.
      dtype: of the computation; parameters are float32.
      rngs: stream `params`.

    Attributes:
      features: width of what `__call__` returns.
      grid: (rows, columns) of patches.
      num_patches: rows * columns.
      patch_size, heads, mlp_dim, scan, remat, accumulate, drop_path, dtype: as given.

    Raises:
      ValueError: a size below 1, `registers` that are not 4, 8 or another multiple of 4, an `image_size` that is no
        multiple of `patch_size`, a `width` that is no multiple of 4 times `heads`, a rate outside 0 <= rate < 1, or a
        letter or dtype that does not exist.
    """

    reads = "image"

    def __init__(
        self,
        *,
        size: Literal["Ti", "S", "B", "L", "H", "g"] = "B",
        patch_size: int = 16,
        image_size: int = 224,
        channels: int = 3,
        width: int | None = None,
        depth: int | None = None,
        heads: int | None = None,
        mlp_dim: int | None = None,
        registers: int = 16,
        drop_path: float = 0.0,
        scan: bool = False,
        remat: Remat = False,
        accumulate: int = 1,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        settings.at_least(1, image_size=image_size, channels=channels)
        settings.at_least(4, registers=registers)
        edge_places(registers)  # so that an impossible number is refused now
        settings.divisible("image_size", image_size, "patch_size", patch_size)
        sizes = sized(size, width=width, depth=depth, heads=heads, mlp_dim=mlp_dim)
        self.features, self.heads, self.mlp_dim = sizes.width, sizes.heads, sizes.mlp_dim
        self.patch_size, self.channels = patch_size, channels
        self.image_size = self.image_width = image_size
        self.grid = (image_size // patch_size,) * 2
        self.num_patches = self.grid[0] * self.grid[1]
        self.drop_path, self.scan, self.remat, self.accumulate = drop_path, scan, remat, accumulate
        self.dtype = dtype
        pixels, start = patch_size**2 * channels, dict(kernel_init=nnx.initializers.xavier_uniform())
        start |= dict(bias_init=torch_start(pixels)["bias_init"], dtype=settings.computation_dtype(dtype))
        self.patch_embedding = nnx.Linear(pixels, sizes.width, **start, rngs=rngs)
        normal = nnx.initializers.normal(0.02)
        self.registers = nnx.Param(normal(rngs.params(), (registers, sizes.width)))

        def block(rngs):
            shape = dict(heads=sizes.heads, mlp_dim=sizes.mlp_dim, context_width=sizes.width)
            return RotaryBlock(sizes.width, **shape, dtype=dtype, rngs=rngs)

        run = dict(scan=scan, remat=remat, accumulate=accumulate, drop_path=drop_path, drop_path_uniform=True)
        self.stack = Stack(block, depth=sizes.depth, rngs=rngs, **run)
        self.norm = rms_norm(sizes.width, epsilon=EPSILON, scaled=False, rngs=rngs)

    def encode(
        self, images: jax.Array, *, seen: jax.Array | None = None, train: bool = False, key: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """States of the registers and of the patches that are seen, and where they lie.

        Args:
          images: float [B, H, W, channels], H and W multiples of `patch_size`.
          seen: numbers of the patches that are seen, int [B, n], row by row; None: all.
          train: drop.
          key: of the drawing; needed when training with drop_path.

        Returns:
          [B, registers + n, features], the registers first, normalised; and coordinates, float32
          [B or 1, registers + n, 2] (`rotary.patch_places`).

        Raises:
          ValueError: the images have other channels, or cannot be cut into patches.
        """
        if images.shape[3] != self.channels:
            raise ValueError(f"images have {images.shape[3]} channels, this RotaryViT was built for {self.channels}")
        key = settings.training_key(train, key, drop_path=self.drop_path)
        tokens = self.patch_embedding(patches.patchify(images, self.patch_size))
        places = jnp.asarray(patch_places(tuple(side // self.patch_size for side in images.shape[1:3])))
        if seen is not None:
            tokens, places = patches.take_patches(tokens, seen), places[seen]
        else:
            places = places[None]
        places = jnp.concatenate([self._edges_of(places), places], axis=1)
        registers = jnp.broadcast_to(self.registers[...].astype(tokens.dtype), (len(images), *self.registers.shape))
        states = self.stack(jnp.concatenate([registers, tokens], axis=1), Beside(places), key)
        return self.norm(states).astype(self.dtype), places

    def _edges_of(self, places):
        """Coordinates of the registers, along the edges of the box that holds `places`, [B, n, 2]."""
        low, high = places.min(1, keepdims=True), places.max(1, keepdims=True)
        return low + edge_places(len(self.registers))[None] * (high - low)

    def tokens(self, images: jax.Array, *, train: bool = False, key: jax.Array | None = None) -> tuple[None, jax.Array]:
        """No class token, and the patches' states, [B, N, features], of all patches of images; as `ViT.tokens`."""
        return None, self.encode(images, train=train, key=key)[0][:, len(self.registers) :]

    def __call__(self, images: jax.Array, *, train: bool = False, key: jax.Array | None = None) -> jax.Array:
        """Images float [B, H, W, channels] -> the mean of their patches' states, [B, features]."""
        return jnp.mean(self.tokens(images, train=train, key=key)[1], axis=1, dtype=jnp.float32).astype(self.dtype)
