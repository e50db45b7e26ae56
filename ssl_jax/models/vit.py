"""The vision transformer (Dosovitskiy et al. 2021; Zhai et al. 2022 for the sizes Ti, S and g)."""

import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.models import patches, settings
from ssl_jax.models.initializers import torch_start
from ssl_jax.models.normalization import layer_norm
from ssl_jax.models.positions import relative_count, relative_places, resize_positions, sincos
from ssl_jax.models.transformer import GELU, PreNormBlock, Remat, Stack, dropout


class Size(NamedTuple):
    """What a letter such as 'B' stands for."""

    width: int
    depth: int
    heads: int
    mlp_dim: int


# ViT paper, table 1 (B, L, H); "Scaling Vision Transformers", table 2 (Ti, S, g).
SIZES = {
    "Ti": Size(192, 12, 3, 768),
    "S": Size(384, 12, 6, 1536),
    "B": Size(768, 12, 12, 3072),
    "L": Size(1024, 24, 16, 4096),
    "H": Size(1280, 32, 16, 5120),
    "g": Size(1408, 40, 16, 6144),
}
_TUBELET = 2  # frames of a patch of clips


class ViT(nnx.Module):
    """Vision transformer of pictures, or with `frames` of clips, without a classifier.

    Initialised as in MAE (He et al. 2022, appendix A.1 and its code): Xavier uniform for all matrices, the patch
    embedding included, normal with deviation 0.02 for the class token and learned positions, zeros for biases (of the
    patch embedding too, whose bias MAE's code leaves as PyTorch draws it). Or, with
    `initializer_range`, as in timm and DINO: matrices of the blocks are normal, the patch embedding as a convolution of
    PyTorch. With `depth_scaled` too, as in BEiT and data2vec: the patch embedding is normal as well, the last matrix of
    each branch of block l (from 1) divided by sqrt(2 l). Their 0.02 is cut at one deviation: 0.0108 is left.

    Args:
      size: the letter of the papers; 'g' with patch_size 14 is ViT-g/14.
      patch_size: side of a patch in pixels.
      image_size: side of the images in pixels, or their height; a multiple of `patch_size`. Those of another size, as
        small crops are, get positions that are resized to them.
      image_width: their width, where it is another, as that of spectrograms; None: `image_size`.
      frames: of a clip, a multiple of `tubelet_size`; None: it reads pictures.
      tubelet_size: frames of a patch of a clip.
      channels: colours a pixel has.
      width, depth, heads, mlp_dim: override what `size` says.
      positions: 'sincos2d' (fixed) or 'learned', added to the patches; or 'relative', a learned bias on the scores of
        each head by how patches lie to each other, shared by all blocks, as in BEiT (Bao et al. 2022): then all patches
        of pictures of `image_size` must be there, seen or masked. Clips have 'sincos3d' (fixed), as in V-JEPA.
      pooling: 'cls' puts a class token in front and returns it; 'mean' has none and averages the patches.
      pre_norm: normalise what goes into the first block too, as in CLIP (Radford et al. 2021, section 2.4).
      gelu: of the MLPs, 'exact', or an approximation: 'tanh', as in SigLIP, or 'quick', as in OpenAI's CLIP.
      epsilon: of the layer normalisations.
      drop_path: stochastic depth of the last block, growing linearly from 0.
      drop_path_uniform: all blocks have the rate of the last, as in DINOv2.
      dropout: rate after the embedding and in each block (not on attention weights), as in the ViT paper.
      attention_dropout: rate on the attention weights.
      layer_scale: initial value of a learned scale on each residual branch; None for none.
      initializer_range: deviation of the blocks' matrices (0.02 in timm and its followers); None: Xavier uniform.
      depth_scaled: branches start smaller, the deeper they are; see above.
      scan: run the blocks as one `jax.lax.scan` over stacked parameters: compiles once instead of `depth` times.
      remat: keep only each block's input for the backward pass, or ('elementwise') the matrix products too.
      accumulate: add up the blocks' gradients over so many parts of the batch, to save memory; the loss is that of the
        whole batch. See `Stack`. CLIP, SigLIP and CLAP run their towers in so many parts instead.
      dtype: of the computation; parameters are float32.
      rngs: stream `params`.

    Attributes:
      features: width of what `__call__` returns.
      grid: (rows, columns) of patches, or (times, rows, columns).
      num_patches: rows * columns, or times * rows * columns.
      patch_dim: numbers in a patch, patch_size ** 2 * channels, and times `tubelet_size` in clips.
      reads: 'image', or 'clip'.
      patch_size, frames, tubelet_size, heads, mlp_dim, gelu, epsilon, layer_scale, scan, remat, accumulate, dtype: as
        given.

    Raises:
      ValueError: a size below 1, sides that are no multiples of `patch_size`, a letter, `positions`, `pooling`, `gelu`
        or dtype that does not exist, `frames`, `tubelet_size` and `positions` that do not go together, a `width` that
        is no multiple of `heads`, or of 4 with positions 'sincos2d', a rate outside 0 <= rate < 1, an
        `initializer_range` or `epsilon` that is not positive, or `depth_scaled` without an `initializer_range`.
    """

    def __init__(
        self,
        *,
        size: Literal["Ti", "S", "B", "L", "H", "g"] = "B",
        patch_size: int = 16,
        image_size: int = 224,
        image_width: int | None = None,
        frames: int | None = None,
        tubelet_size: int = _TUBELET,
        channels: int = 3,
        width: int | None = None,
        depth: int | None = None,
        heads: int | None = None,
        mlp_dim: int | None = None,
        positions: Literal["learned", "relative", "sincos2d", "sincos3d"] = "sincos2d",
        pooling: Literal["cls", "mean"] = "cls",
        pre_norm: bool = False,
        gelu: GELU = "exact",
        epsilon: float = 1e-6,
        drop_path: float = 0.0,
        drop_path_uniform: bool = False,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        layer_scale: float | None = None,
        initializer_range: float | None = None,
        depth_scaled: bool = False,
        scan: bool = False,
        remat: Remat = False,
        accumulate: int = 1,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        image_width = image_size if image_width is None else image_width
        settings.at_least(1, image_size=image_size, image_width=image_width, channels=channels)
        settings.divisible("image_size", image_size, "patch_size", patch_size)
        settings.divisible("image_width", image_width, "patch_size", patch_size)
        settings.one_of("positions", positions, ("learned", "relative", "sincos2d", "sincos3d"))
        _check_clips(frames, tubelet_size, positions)
        settings.one_of("pooling", pooling, ("cls", "mean"))
        settings.probability(dropout=dropout, attention_dropout=attention_dropout)
        settings.positive(epsilon=epsilon)
        if initializer_range is not None:
            settings.positive(initializer_range=initializer_range)
        elif depth_scaled:
            raise ValueError("depth_scaled needs an initializer_range, such as 0.02")
        sizes = sized(size, width=width, depth=depth, heads=heads, mlp_dim=mlp_dim)
        self.features, self.heads, self.mlp_dim = sizes.width, sizes.heads, sizes.mlp_dim
        self.gelu, self.epsilon = gelu, epsilon
        self.patch_size = patch_size
        self.frames, self.tubelet_size = frames, tubelet_size
        self.reads = "image" if frames is None else "clip"
        self.patch_dim = patch_size**2 * channels * (1 if frames is None else tubelet_size)
        self.image_size, self.image_width = image_size, image_width
        self.channels = channels
        self.image_shape = (image_size, image_width, channels)
        self.grid = self._grid_of(self.image_shape if frames is None else (frames, *self.image_shape))
        self.num_patches = math.prod(self.grid)
        self.pooling = pooling
        self.dropout, self.attention_dropout = dropout, attention_dropout
        self.drop_path, self.layer_scale = drop_path, layer_scale
        self.scan = scan
        self.remat = remat
        self.accumulate = accumulate
        self.dtype = dtype
        self._build_embedding(positions, sizes.heads, initializer_range, depth_scaled, rngs)

        shape = dict(heads=sizes.heads, mlp_dim=sizes.mlp_dim, layer_scale=layer_scale, gelu=gelu, epsilon=epsilon)
        if initializer_range is not None:
            shape["kernel_init"] = nnx.initializers.normal(initializer_range)

        def block(rngs):
            rates = dict(dropout=dropout, attention_dropout=attention_dropout)
            return PreNormBlock(sizes.width, **rates, dtype=dtype, rngs=rngs, **shape)

        run = dict(
            scan=scan, remat=remat, accumulate=accumulate, drop_path=drop_path, drop_path_uniform=drop_path_uniform
        )
        self.stack = Stack(block, depth=sizes.depth, rngs=rngs, **run)
        if depth_scaled:
            _shrink_branches(self.stack)
        self.norm = layer_norm(sizes.width, epsilon=epsilon, rngs=rngs)
        self.pre_norm = layer_norm(sizes.width, epsilon=epsilon, rngs=rngs) if pre_norm else nnx.data(None)

    def _build_embedding(self, positions, heads, initializer_range, depth_scaled, rngs):
        normal = nnx.initializers.normal(0.02)
        start = dict(dtype=settings.computation_dtype(self.dtype))
        if initializer_range is None:
            start |= dict(kernel_init=nnx.initializers.xavier_uniform())
        elif depth_scaled:
            start |= dict(kernel_init=nnx.initializers.normal(initializer_range))
        else:
            start |= torch_start(self.patch_dim)
        self.patch_embedding = nnx.Linear(self.patch_dim, self.features, **start, rngs=rngs)
        classes = int(self.pooling == "cls")
        self.class_token = nnx.Param(normal(rngs.params(), (self.features,))) if classes else nnx.data(None)
        self.positions, self.relative = nnx.data(None), nnx.data(None)
        if positions == "learned":
            self.positions = nnx.Param(normal(rngs.params(), (classes + self.num_patches, self.features)))
        elif positions == "relative":
            count = relative_count(self.grid, class_token=self.class_token is not None)
            self.relative = nnx.Param(jnp.zeros((count, heads), jnp.float32))
        else:
            sincos(self.grid, self.features)  # so that an impossible width is refused now

    def _grid_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The grid of a picture or clip of such a shape."""
        *frames, height, width, _ = shape
        return (*(count // self.tubelet_size for count in frames), height // self.patch_size, width // self.patch_size)

    def _patch_positions(self, grid: tuple[int, ...]) -> jax.Array:
        """Positions of the patches of a picture or clip, [N, width], to be added to them."""
        if self.positions is None:
            return jnp.asarray(sincos(grid, self.features, over=self.grid))
        table = self.positions[...] if self.class_token is None else self.positions[1:]
        return resize_positions(table, self.grid, grid)

    def patchify(self, images: jax.Array) -> jax.Array:
        """Images [B, H, W, channels], or clips [B, T, H, W, channels] -> [B, N, patch_dim]; see `patches.patchify`."""
        if self.frames is None:
            return patches.patchify(images, self.patch_size)
        return patches.patchify_clips(images, self.patch_size, self.tubelet_size)

    def unpatchify(self, pixels: jax.Array) -> jax.Array:
        """The inverse of `patchify` of pictures: [B, N, patch_dim] -> [B, H, W, channels]."""
        return patches.unpatchify(pixels, self.grid, self.image_shape[2])

    def embed_patches(
        self, images: jax.Array, *, hidden: jax.Array | None = None, mask_token: jax.Array | None = None
    ) -> jax.Array:
        """Embeds patches and adds their positions; no class token yet.

        Args:
          images: float [B, H, W, channels], H and W multiples of `patch_size`; or clips, [B, T, H, W, channels], T a
            multiple of `tubelet_size`.
          hidden: bool [B, N], True for patches that `mask_token` stands in for, before positions are added, as in
            BEiT and iBOT; None: nothing is hidden.
          mask_token: [features].

        Returns:
          tokens [B, N, features], patches time by time and row by row; N is `num_patches` for images of `image_size`.

        Raises:
          ValueError: the images have other channels, cannot be cut into patches, or are of another size than relative
            positions are.
        """
        if images.shape[-1] != self.channels:
            raise ValueError(f"images have {images.shape[-1]} channels, this ViT was built for {self.channels}")
        tokens = self.patch_embedding(self.patchify(images))
        if hidden is not None:
            tokens = jnp.where(hidden[:, :, None], mask_token.astype(tokens.dtype)[None, None, :], tokens)
        grid = self._grid_of(images.shape[1:])
        if self.relative is not None:
            self._check_whole(grid, self.grid)
            return tokens
        return tokens + self._patch_positions(grid).astype(tokens.dtype)[None]

    def encode(
        self,
        tokens: jax.Array,
        *,
        mask: jax.Array | None = None,
        train: bool = False,
        key: jax.Array | None = None,
    ) -> jax.Array:
        """Runs the blocks on any subset of the embedded patches, as MAE does; on all of them where positions are
        relative.

        Args:
          tokens: [B, n, features] from `embed_patches`.
          mask: what the blocks take (`Attention`), the class token counted; None: all see all, as positions have it.
          train: drop.
          key: of the drawing; needed when training with dropout or drop_path.

        Returns:
          [B, 1 + n, features], the class token first ([B, n, features] with pooling 'mean'), layer-normalised.

        Raises:
          ValueError: positions are relative, and the tokens are not all patches of a picture, or there is a mask.
        """
        tokens, mask, key = self.before_blocks(tokens, mask=mask, train=train, key=key)
        return self.norm(self.stack(tokens, mask, key)).astype(self.dtype)

    def before_blocks(self, tokens, *, mask=None, train=False, key=None):
        """What goes into the blocks: the tokens with the class token first, the mask, and the key; as for `encode`.

        Raises:
          ValueError: training with dropout and no key, or not all patches where positions are relative.
        """
        rates = dict(dropout=self.dropout, attention_dropout=self.attention_dropout, drop_path=self.drop_path)
        key = settings.training_key(train, key, **rates)
        if self.relative is not None:
            self._check_whole((tokens.shape[1], mask is None), (self.num_patches, True))
            mask = self._relative_bias()
        if self.class_token is not None:
            tokens = jnp.concatenate([self._class_tokens(tokens), tokens], axis=1)
        if self.pre_norm is not None:
            tokens = self.pre_norm(tokens).astype(self.dtype)
        if key is not None:
            key, first = jax.random.split(key)
            tokens = dropout(tokens, self.dropout, first)
        return tokens, mask, key

    def _check_whole(self, found, needed):
        if found != needed:
            raise ValueError(
                f"positions 'relative' need all patches of a picture of {self.image_size} x {self.image_width} pixels: "
                "set config.model.positions to 'sincos2d' or 'learned'"
            )

    def _relative_bias(self):
        """What is added to the scores, float32 [1, heads, N, N]."""
        places = relative_places(self.grid, class_token=self.class_token is not None)
        return jnp.moveaxis(self.relative[...][places], -1, 0)[None]

    def _class_tokens(self, tokens):
        token = self.class_token[...]
        token = (token if self.positions is None else token + self.positions[0]).astype(tokens.dtype)
        return jnp.broadcast_to(token[None, None, :], (tokens.shape[0], 1, self.features))

    def tokens(
        self,
        images: jax.Array,
        *,
        hidden: jax.Array | None = None,
        mask_token: jax.Array | None = None,
        train: bool = False,
        key: jax.Array | None = None,
    ) -> tuple[jax.Array | None, jax.Array]:
        """The class token [B, features] (None with pooling 'mean') and the patches [B, N, features] of images.

        Args: as for `embed_patches` and `encode`.
        """
        embedded = self.embed_patches(images, hidden=hidden, mask_token=mask_token)
        tokens = self.encode(embedded, train=train, key=key)
        return (None, tokens) if self.class_token is None else (tokens[:, 0], tokens[:, 1:])

    def __call__(self, images: jax.Array, *, train: bool = False, key: jax.Array | None = None) -> jax.Array:
        """Images float [B, H, W, channels], or clips [B, T, H, W, channels] -> [B, features]."""
        return self.pool(self.encode(self.embed_patches(images), train=train, key=key))

    def pool(self, tokens: jax.Array) -> jax.Array:
        """What `encode` gives, [B, n, features], to [B, features]: the class token, or the mean of all patches."""
        return tokens[:, 0] if self.pooling == "cls" else jnp.mean(tokens, axis=1, dtype=jnp.float32).astype(self.dtype)


def _check_clips(frames: int | None, tubelet_size: int, positions: str) -> None:
    """Clips can be cut into patches, and have positions of their own."""
    if frames is None and tubelet_size != _TUBELET:
        raise ValueError(f"tubelet_size {tubelet_size} is of clips, and frames is None: leave it out, or set frames")
    if frames is not None:
        settings.at_least(1, frames=frames)
        settings.divisible("frames", frames, "tubelet_size", tubelet_size)
    if (frames is not None) != (positions == "sincos3d"):
        wanted = "'sincos2d', 'learned' or 'relative'" if frames is None else "'sincos3d'"
        read = "pictures (frames is None)" if frames is None else f"clips of {frames} frames"
        raise ValueError(f"positions {positions!r} are not for {read}: set {wanted}")


def _shrink_branches(stack: Stack) -> None:
    """Divides the last matrix of each branch of block l, counted from 1, by sqrt(2 l), in place.

    Source: `fix_init_weight` in the official code of BEiT.
    """
    scales = (2 * jnp.arange(1, stack.depth + 1)) ** -0.5
    if stack.scan:
        for layer in (stack.blocks.attention.out, stack.blocks.mlp.out):
            layer.kernel[...] = layer.kernel[...] * scales[:, None, None]
        return
    for block, scale in zip(stack.blocks, scales, strict=True):
        for layer in (block.attention.out, block.mlp.out):
            layer.kernel[...] = layer.kernel[...] * scale


def sized(size: str, **overrides: int | None) -> Size:
    """What a letter stands for, with those sizes that are given in place of its own.

    Raises:
      ValueError: a letter that does not exist, or a size below 1.
    """
    settings.one_of("size", size, SIZES)
    given = {name: value for name, value in overrides.items() if value is not None}
    settings.at_least(1, **given)
    return SIZES[size]._replace(**given)
