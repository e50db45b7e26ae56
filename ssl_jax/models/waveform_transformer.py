"""The transformer over waveforms of wav2vec 2.0 (Baevski et al. 2020), HuBERT and data2vec's speech model."""

from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.models import convolutions, settings
from ssl_jax.models.initializers import torch_start
from ssl_jax.models.normalization import layer_norm
from ssl_jax.models.transformer import PostNormBlock, PreNormBlock, Remat, Stack, dropout

EPSILON = 1e-5
"""Of all layer normalisations."""


class WaveformTransformer(nnx.Module):
    """Convolutions over samples, then a transformer over frames; no head.

    Convolutions, layer normalisation, a linear map to `width`, a learned vector in place of hidden frames, positions by
    convolution, then blocks. Whatever lies behind the end of an example changes nothing of its frames (see
    `convolutions`). The defaults are wav2vec 2.0 and HuBERT base, for sound at 16 kHz: a frame every 20 ms.

    Started as in fairseq: convolutions Kaiming normal, the linear map as in PyTorch, the hidden frames' vector uniform
    in [0, 1), matrices of the blocks truncated normal, biases 0. fairseq's layer drop is left out.

    Args:
      conv_channels, conv_kernels, conv_strides: of each convolution, first to last.
      conv_norm: 'group': the first convolution alone is normalised, over time; 'layer': each is, over channels.
      conv_bias: whether convolutions have biases.
      width, depth, heads, mlp_dim: sizes of the blocks.
      position_kernel: frames that positions span.
      position_groups: groups of their channels.
      position_depth: 1: one convolution with weight normalisation; more: so many layer-normalised ones (data2vec: 5).
      norm_first: blocks normalise before attention and MLP, and once at the end, as in the large models.
      dropout: rate on what enters the blocks, on attention weights and after each branch.
      feature_gradient: factor of the gradient into the convolutions (0.1 in wav2vec 2.0 and HuBERT base).
      initializer_range: deviation of the blocks' matrices at the start.
      scan: run the blocks as one `jax.lax.scan` over stacked parameters.
      remat: keep only each block's input for the backward pass, or ('elementwise') the matrix products too.
      accumulate: add up the blocks' gradients over so many parts of the batch. See `Stack`.
      dtype: of the computation; parameters are float32.
      rngs: stream `params`.

    Attributes:
      features: width of what `__call__` returns.
      conv_features: channels of the last convolution.
      feature_norm: the layer normalisation of what the convolutions give.
      hop: samples from one frame to the next.
      heads, mlp_dim, conv_norm, position_kernel, position_groups, position_depth, norm_first, dropout,
        initializer_range, scan, remat, accumulate, dtype: as given.

    Raises:
      ValueError: a size below 1, settings of convolutions of unequal number or of none, a `conv_norm` or dtype that
        does not exist, a `width` that is no multiple of `position_groups` or `heads`, a rate outside 0 <= rate < 1, or
        an `initializer_range` or `feature_gradient` that is not positive.
    """

    reads = "waveform"

    def __init__(
        self,
        *,
        conv_channels: tuple[int, ...] = (512,) * 7,
        conv_kernels: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2),
        conv_strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2),
        conv_norm: Literal["group", "layer"] = "group",
        conv_bias: bool = False,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        mlp_dim: int = 3072,
        position_kernel: int = 128,
        position_groups: int = 16,
        position_depth: int = 1,
        norm_first: bool = False,
        dropout: float = 0.1,
        feature_gradient: float = 1.0,
        initializer_range: float = 0.02,
        scan: bool = False,
        remat: Remat = False,
        accumulate: int = 1,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        convolutions.check_layers(conv_channels, conv_kernels, conv_strides)
        settings.one_of("conv_norm", conv_norm, ("group", "layer"))
        settings.at_least(1, width=width, mlp_dim=mlp_dim, position_kernel=position_kernel)
        settings.at_least(1, position_depth=position_depth)
        settings.divisible("width", width, "position_groups", position_groups)
        settings.probability(dropout=dropout)
        settings.positive(initializer_range=initializer_range, feature_gradient=feature_gradient)
        self.features, self.conv_features = width, conv_channels[-1]
        self.dropout, self.feature_gradient = dropout, feature_gradient
        self.heads, self.mlp_dim, self.conv_norm = heads, mlp_dim, conv_norm
        self.position_kernel, self.position_groups, self.position_depth = (
            position_kernel,
            position_groups,
            position_depth,
        )
        self.initializer_range, self.norm_first = initializer_range, norm_first
        self.scan, self.remat, self.accumulate, self.dtype = scan, remat, accumulate, dtype
        start = dict(dtype=dtype, rngs=rngs)
        self.convolutions = convolutions.ConvFeatures(
            conv_channels, conv_kernels, conv_strides, norm=conv_norm, bias=conv_bias, **start
        )
        self.hop = self.convolutions.hop
        self.feature_norm = layer_norm(self.conv_features, epsilon=EPSILON, rngs=rngs)
        linear = dict(torch_start(self.conv_features), dtype=settings.computation_dtype(dtype), rngs=rngs)
        self.projection = nnx.Linear(self.conv_features, width, **linear)
        self.mask_embedding = nnx.Param(jax.random.uniform(rngs.params(), (width,)))
        around = dict(kernel=position_kernel, groups=position_groups, **start)
        if position_depth == 1:
            self.positions = convolutions.ConvPositions(width, **around)
        else:
            self.positions = convolutions.StackedConvPositions(width, depth=position_depth, **around)
        self.norm = layer_norm(width, epsilon=EPSILON, rngs=rngs)
        block = self._block(width, heads=heads, mlp_dim=mlp_dim)
        self.stack = Stack(block, depth=depth, scan=scan, remat=remat, accumulate=accumulate, rngs=rngs)

    def _block(self, width, **sizes):
        shape = dict(sizes, dropout=self.dropout, epsilon=EPSILON, dtype=self.dtype)
        deviation = self.initializer_range
        if not self.norm_first:
            return lambda rngs: PostNormBlock(width, initializer_range=deviation, rngs=rngs, **shape)
        shape |= dict(attention_dropout=self.dropout, mlp_dropout=0.0)
        return lambda rngs: PreNormBlock(
            width, kernel_init=nnx.initializers.truncated_normal(deviation), rngs=rngs, **shape
        )

    def frames(self, length: jax.Array | int) -> jax.Array | int:
        """How many frames so many samples have: integers of integers, an int of an int."""
        return self.convolutions.frames(length)

    def __call__(
        self,
        waveform: jax.Array,
        length: jax.Array,
        *,
        mask: jax.Array | None = None,
        train: bool = False,
        key: jax.Array | None = None,
    ) -> jax.Array:
        """Encodes waveforms.

        Args:
          waveform: float [B, T].
          length: int [B], how many samples are real.
          mask: bool [B, frames], True where a frame is hidden; None: nothing is.
          train: drop.
          key: of the drawing; needed when training with dropout.

        Returns:
          [B, frames, width]; of no consequence behind `frames(length)`.
        """
        features = self.feature_norm(self.convolve(waveform, length))
        return self.encode(features, self.frames(length), mask=mask, train=train, key=key)

    def states(
        self,
        waveform: jax.Array,
        length: jax.Array,
        *,
        mask: jax.Array | None = None,
        train: bool = False,
        key: jax.Array | None = None,
        of: Literal["blocks", "branches"] = "blocks",
    ) -> jax.Array:
        """What every block gives, [depth, B, frames, width]; see `Stack.states`, and the call for the rest."""
        features = self.feature_norm(self.convolve(waveform, length))
        x, there, key = self._enter(features, self.frames(length), mask, train, key)
        return self.stack.states(x, there, key, of=of)

    def embed_frames(
        self,
        features: jax.Array,
        frames: jax.Array,
        *,
        mask: jax.Array | None = None,
        drop_key: jax.Array | None = None,
    ) -> jax.Array:
        """What comes before the blocks and their normalisation: linear map, hidden frames, positions.

        Args:
          features, frames, mask: as for `encode`.
          drop_key: of dropout after the linear map; None: nothing is dropped.

        Returns:
          [B, F, width].
        """
        there = convolutions.real(frames, features.shape[1])
        x = dropout(self.projection(features.astype(self.dtype)), self.dropout, drop_key)
        if mask is not None:
            x = jnp.where(mask[:, :, None], self.mask_embedding[...].astype(x.dtype)[None, None], x)
        x = jnp.where(there[:, :, None], x, jnp.zeros_like(x))
        return x + self.positions(x, there)

    def convolve(self, waveform: jax.Array, length: jax.Array) -> jax.Array:
        """What the convolutions give, [B, frames, conv_features], not yet normalised."""
        features = self.convolutions(waveform.astype(self.dtype), length)
        return features if self.feature_gradient == 1 else _scale_gradient(features, self.feature_gradient)

    def encode(
        self,
        features: jax.Array,
        frames: jax.Array,
        *,
        mask: jax.Array | None = None,
        train: bool = False,
        key: jax.Array | None = None,
    ) -> jax.Array:
        """The rest of the call.

        Args:
          features: [B, F, conv_features], normalised by `feature_norm`.
          frames: int [B], how many are real.
          mask, train, key: as for the call.

        Returns:
          [B, F, width].
        """
        x, there, key = self._enter(features, frames, mask, train, key)
        x = self.stack(x, there, key)
        return self.norm(x).astype(self.dtype) if self.norm_first else x

    def _enter(self, features, frames, mask, train, key):
        """What the blocks are given, who may be attended to, and their key."""
        keys = settings.training_key(train, key, dropout=self.dropout)
        first, second, rest = (None,) * 3 if keys is None else jax.random.split(keys, 3)
        x = self.embed_frames(features, frames, mask=mask, drop_key=first)
        there = convolutions.real(frames, features.shape[1])
        x = x if self.norm_first else self.norm(x).astype(self.dtype)
        return dropout(x, self.dropout, second), there, rest


@jax.custom_vjp
def _scale_gradient(x, factor):
    del factor
    return x


_scale_gradient.defvjp(lambda x, factor: (x, factor), lambda factor, gradient: (gradient * factor, None))
