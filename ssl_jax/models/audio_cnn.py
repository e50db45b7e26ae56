"""The convolutional network over log-mel spectrograms of BYOL-A (Niizumi et al. 2021, arXiv:2103.06695)."""

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.models import settings
from ssl_jax.models.initializers import torch_start
from ssl_jax.models.normalization import BatchNorm
from ssl_jax.models.transformer import dropout


class AudioCNN(nnx.Module):
    """Three convolutions of 3 x 3, each halving both sides, then two linear layers a frame, then time is pooled.

    Frames are pooled by the sum of their largest and their mean values (section III-B and appendix A). Layers start as
    PyTorch's do. The linear layers see all mels of a frame, so the spectrograms have as many as the network was built
    for; they may be of any length from 8 frames on. Where values that are pooled differ by rounding alone, rounding
    decides which of them takes the gradient: its norm may differ by 1e-4 from 1 device to 8 where the loss does not.

    Args:
      mels: number of filters; a multiple of 8.
      channels: of the convolutions.
      width: of the linear layers, and of the features (d in the paper: 512, 1024 or 2048).
      dropout: rate between the linear layers.
      axis_name: of `BatchNorm`.
      dtype: of the computation; parameters are float32.
      rngs: stream `params`.

    Attributes:
      features: `width`.
      image_width: `mels`, as spectrograms are pictures of frames by mels.
      channels: 1, that of the pictures.
      least_height: 8 frames.

    Raises:
      ValueError: a size below 1, `mels` that three layers cannot halve, a rate outside 0 <= rate < 1, or a dtype that
        does not exist.
    """

    reads = "image"
    batch_statistics = True
    least_height = 8

    def __init__(
        self,
        *,
        mels: int = 64,
        channels: int = 64,
        width: int = 2048,
        dropout: float = 0.3,
        axis_name: str | tuple[str, ...] | None = None,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        settings.at_least(1, mels=mels, channels=channels, width=width)
        if mels % 8:
            raise ValueError(f"mels {mels} is not divisible by 8, as each of three layers halves them")
        settings.probability(dropout=dropout)
        self.features, self.image_width, self.channels = width, mels, 1
        self.dropout, self.dtype = dropout, dtype
        computed = settings.computation_dtype(dtype)
        inputs = (1, channels, channels)
        self.convolutions = nnx.List(
            nnx.Conv(i, channels, (3, 3), padding=((1, 1),) * 2, dtype=computed, rngs=rngs, **torch_start(9 * i))
            for i in inputs
        )
        self.norms = nnx.List(BatchNorm(channels, axis_name=axis_name, rngs=rngs) for _ in inputs)
        rows = channels * mels // 8
        self.hidden = nnx.Linear(rows, width, dtype=computed, rngs=rngs, **torch_start(rows))
        self.out = nnx.Linear(width, width, dtype=computed, rngs=rngs, **torch_start(width))

    def __call__(self, images: jax.Array, *, train: bool = False, key: jax.Array | None = None) -> jax.Array:
        """Spectrograms float [B, frames, mels, 1] -> [B, features].

        Args:
          images: of at least 8 frames; those behind the last whole 8 are seen from within them alone.
          train: drop, and normalise by the batch's statistics.
          key: of the drawing; needed when training with dropout.

        Raises:
          ValueError: training with dropout and no key.
        """
        key = settings.training_key(train, key, dropout=self.dropout)
        x = images.astype(self.dtype)
        for convolution, norm in zip(self.convolutions, self.norms):
            x = _halved(norm(convolution(x), train=train, relu=True))
        x = jax.nn.relu(self.hidden(x.reshape(*x.shape[:2], -1)))
        x = jax.nn.relu(self.out(dropout(x, self.dropout, key))).astype(jnp.float32)
        return (x.max(axis=1) + x.mean(axis=1)).astype(self.dtype)


def _halved(x: jax.Array) -> jax.Array:
    """The largest of each 2 x 2, [B, H // 2, W // 2, C]; XLA's own pooling takes several times as long on CPUs."""
    height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    corners = [x[:, i:height:2, j:width:2] for i in range(2) for j in range(2)]
    return jnp.maximum(jnp.maximum(corners[0], corners[1]), jnp.maximum(corners[2], corners[3]))
