"""A transformer over the frames of a spectrogram, of which four become one."""

import math

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.models import convolutions, settings
from ssl_jax.models.initializers import torch_start
from ssl_jax.models.normalization import layer_norm
from ssl_jax.models.transformer import PreNormBlock, Remat, Stack, dropout

_EPSILON = 1e-5
STEP = 4  # frames that become one


class FrameTransformer(nnx.Module):
    """Two convolutions of stride 2 in time and pitch, a linear map, positions by convolution, then blocks.

    Subsampling is that of speech recognisers (Dong et al. 2018, Speech-Transformer; 3 x 3, ReLU); positions are those
    of wav2vec 2.0 (`ConvPositions`); blocks normalise first. There is a zero on either side, whatever the length, and
    frames behind the end are zeros before each convolution.

    Args:
      mels: features of a frame.
      channels: of both convolutions.
      width, depth, heads, mlp_dim: sizes of the blocks.
      position_kernel, position_groups: of the positions.
      dropout: rate on what enters the blocks, on attention weights and after each branch.
      initializer_range: deviation of the blocks' matrices at the start, truncated normal.
      scan, remat, accumulate: as for `Stack`.
      dtype: of the computation; parameters are float32.
      rngs: stream `params`.

    Attributes:
      features: width of what `__call__` returns.
      mels, dropout, scan, remat, accumulate, dtype: as given.

    Raises:
      ValueError: a size below 1, a `width` that is no multiple of `position_groups` or `heads`, a rate outside
        0 <= rate < 1, an `initializer_range` that is not positive, or a dtype that does not exist.
    """

    reads = "frames"

    def __init__(
        self,
        *,
        mels: int = 80,
        channels: int = 64,
        width: int = 512,
        depth: int = 12,
        heads: int = 8,
        mlp_dim: int = 2048,
        position_kernel: int = 31,
        position_groups: int = 16,
        dropout: float = 0.1,
        initializer_range: float = 0.02,
        scan: bool = False,
        remat: Remat = False,
        accumulate: int = 1,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        settings.at_least(
            1, mels=mels, channels=channels, width=width, mlp_dim=mlp_dim, position_kernel=position_kernel
        )
        settings.divisible("width", width, "position_groups", position_groups)
        settings.probability(dropout=dropout)
        settings.positive(initializer_range=initializer_range)
        self.features, self.mels, self.dropout = width, mels, dropout
        self.scan, self.remat, self.accumulate, self.dtype = scan, remat, accumulate, dtype
        computation = settings.computation_dtype(dtype)
        shape = dict(kernel_size=(3, 3), strides=(2, 2), padding=1, dtype=computation, rngs=rngs)
        conv = lambda inputs: nnx.Conv(inputs, channels, **shape, **torch_start(9 * inputs))
        self.convolutions = nnx.List([conv(1), conv(channels)])
        flat = channels * math.ceil(math.ceil(mels / 2) / 2)
        self.projection = nnx.Linear(flat, width, dtype=computation, **torch_start(flat), rngs=rngs)
        self.positions = convolutions.ConvPositions(
            width, kernel=position_kernel, groups=position_groups, dtype=dtype, rngs=rngs
        )
        sizes = dict(heads=heads, mlp_dim=mlp_dim, dropout=dropout, attention_dropout=dropout, mlp_dropout=0.0)
        kernel_init = nnx.initializers.truncated_normal(initializer_range)

        def block(rngs):
            return PreNormBlock(width, **sizes, epsilon=_EPSILON, kernel_init=kernel_init, dtype=dtype, rngs=rngs)

        self.stack = Stack(block, depth=depth, scan=scan, remat=remat, accumulate=accumulate, rngs=rngs)
        self.norm = layer_norm(width, epsilon=_EPSILON, rngs=rngs)

    def frames(self, length: jax.Array | int) -> jax.Array | int:
        """How many frames come out of so many: of whole fours."""
        return length // STEP

    def __call__(
        self, frames: jax.Array, length: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Encodes spectrograms.

        Args:
          frames: [B, T, mels].
          length: int [B], how many are real.
          train: drop.
          key: of the drawing; needed when training with dropout.

        Returns:
          [B, T // 4, width]; of no consequence behind `frames(length)`.
        """
        x, there, key = self._enter(frames, length, train, key)
        return self.norm(self.stack(x, there, key)).astype(self.dtype)

    def states(
        self, frames: jax.Array, length: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """What every block gives, [depth, B, T // 4, width]; arguments as for the call."""
        return self.stack.states(*self._enter(frames, length, train, key))

    def _enter(self, frames, length, train, key):
        """What the blocks are given, who may be attended to, and their key."""
        key = settings.training_key(train, key, dropout=self.dropout)
        first, rest = (None, None) if key is None else jax.random.split(key)
        x = self.projection(self._subsampled(frames, length))
        there = convolutions.real(self.frames(length), x.shape[1])
        x = jnp.where(there[:, :, None], x, jnp.zeros_like(x))
        return dropout(x + self.positions(x, there), self.dropout, first), there, rest

    def _subsampled(self, frames, length):
        """[B, T, mels] -> [B, T // 4, channels * mels / 4]."""
        if frames.shape[2] != self.mels:
            raise ValueError(f"frames have {frames.shape[2]} mels, this FrameTransformer was built for {self.mels}")
        count = frames.shape[1] // STEP
        x, left = frames[:, :, :, None].astype(self.dtype), length
        for convolution in self.convolutions:
            there = convolutions.real(left, x.shape[1])[:, :, None, None]
            x = jax.nn.relu(convolution(jnp.where(there, x, jnp.zeros_like(x))))
            left = -(-left // 2)
        return x[:, :count].reshape(x.shape[0], count, -1)
