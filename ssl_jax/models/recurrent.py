"""Recurrent networks over waveforms (CPC) and over spectrograms (APC)."""

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.models import convolutions, settings
from ssl_jax.models.transformer import dropout


class GRU(nnx.Module):
    """A gated recurrent unit (Cho et al. 2014) in PyTorch's form, from first frame to last, in float32.

    What lies behind the end of a sequence changes nothing before it.

    Args:
      inputs: features of a frame.
      width: of the state.
      rngs: stream `params`; all is uniform within 1 / sqrt(width).
    """

    def __init__(self, inputs: int, width: int, *, rngs: nnx.Rngs):
        bound = width**-0.5
        draw = lambda *shape: nnx.Param(jax.random.uniform(rngs.params(), shape, minval=-bound, maxval=bound))
        self.width = width
        self.kernel, self.bias = draw(inputs, 3 * width), draw(3 * width)
        self.recurrent_kernel, self.recurrent_bias = draw(width, 3 * width), draw(3 * width)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, T, inputs] -> the states after each frame, float32 [B, T, width]."""
        given = jnp.moveaxis(x.astype(jnp.float32) @ self.kernel[...] + self.bias[...][None, None], 1, 0)
        kernel, bias = self.recurrent_kernel[...], self.recurrent_bias[...][None]

        def step(state, given):
            reset, update, new = jnp.split(given, 3, -1)
            reset_of, update_of, new_of = jnp.split(state @ kernel + bias, 3, -1)
            gate = jax.nn.sigmoid(update + update_of)
            candidate = jnp.tanh(new + jax.nn.sigmoid(reset + reset_of) * new_of)
            state = (1 - gate) * candidate + gate * state
            return state, state

        return jnp.moveaxis(jax.lax.scan(step, jnp.zeros((x.shape[0], self.width)), given)[1], 0, 1)


class WaveformGRU(nnx.Module):
    """Convolutions over samples, then a GRU over frames: the network of CPC (van den Oord et al. 2018, section 3.1).

    Convolutions have biases, no padding and no normalisation, and ReLU. The defaults are the paper's, for sound at
    16 kHz: a frame every 10 ms.

    Args:
      conv_channels, conv_kernels, conv_strides: of each convolution, first to last.
      width: of the GRU's state.
      rngs: stream `params`.

    Attributes:
      features: `width`.
      conv_features: channels of the last convolution.
      hop: samples from one frame to the next.

    Raises:
      ValueError: a size below 1, or settings of convolutions of unequal number or of none.
    """

    reads = "waveform"

    def __init__(
        self,
        *,
        conv_channels: tuple[int, ...] = (512,) * 5,
        conv_kernels: tuple[int, ...] = (10, 8, 4, 4, 4),
        conv_strides: tuple[int, ...] = (5, 4, 2, 2, 2),
        width: int = 256,
        rngs: nnx.Rngs,
    ):
        convolutions.check_layers(conv_channels, conv_kernels, conv_strides)
        settings.at_least(1, width=width)
        self.features, self.conv_features = width, conv_channels[-1]
        self.convolutions = convolutions.ConvFeatures(
            conv_channels,
            conv_kernels,
            conv_strides,
            norm="none",
            activation="relu",
            bias=True,
            dtype="float32",
            rngs=rngs,
        )
        self.hop = self.convolutions.hop
        self.gru = GRU(self.conv_features, width, rngs=rngs)

    def frames(self, length: jax.Array | int) -> jax.Array | int:
        """How many frames so many samples have: integers of integers, an int of an int."""
        return self.convolutions.frames(length)

    def __call__(self, waveform: jax.Array, length: jax.Array, *, train: bool = False, key: None = None) -> jax.Array:
        """Waveforms float [B, T], of which `length` int [B] are real -> contexts float32 [B, frames, width]."""
        del train, key
        return self.gru(self.convolve(waveform, length))

    def convolve(self, waveform: jax.Array, length: jax.Array) -> jax.Array:
        """What the convolutions give, float32 [B, frames, conv_features]."""
        return self.convolutions(waveform, length)


class FrameGRU(nnx.Module):
    """GRUs over frames, each but the first added to what it is given: the network of APC (Chung et al. 2019).

    Args:
      mels: features of a frame.
      width: of the GRUs' states.
      depth: how many GRUs.
      dropout: rate between them.
      residual: whether what a GRU is given is added to what it gives, where both have the same width.
      rngs: stream `params`.

    Attributes:
      features: `width`.
      mels, dropout: as given.

    Raises:
      ValueError: a size below 1, or a rate outside 0 <= rate < 1.
    """

    reads = "frames"

    def __init__(
        self,
        *,
        mels: int = 80,
        width: int = 512,
        depth: int = 3,
        dropout: float = 0.0,
        residual: bool = True,
        rngs: nnx.Rngs,
    ):
        settings.at_least(1, mels=mels, width=width, depth=depth)
        settings.probability(dropout=dropout)
        self.features, self.mels, self.dropout, self.residual = width, mels, dropout, residual
        self.layers = nnx.List([GRU(width if number else mels, width, rngs=rngs) for number in range(depth)])

    def frames(self, length: jax.Array | int) -> jax.Array | int:
        """How many frames come out of so many: all."""
        return length

    def __call__(
        self, frames: jax.Array, length: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """The last of `states`: [B, T, width]."""
        return self.states(frames, length, train=train, key=key)[-1]

    def states(
        self, frames: jax.Array, length: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """What every GRU gives, float32 [depth, B, T, width].

        Args:
          frames: [B, T, mels].
          length: int [B], how many are real; of no consequence, as nothing looks ahead.
          train: drop.
          key: of the drawing; needed when training with dropout.

        Raises:
          ValueError: training with dropout and no key.
        """
        del length
        key = settings.training_key(train, key, dropout=self.dropout)
        states, x = [], frames.astype(jnp.float32)
        for number, layer in enumerate(self.layers):
            y = layer(x)
            if key is not None and number + 1 < len(self.layers):
                y = dropout(y, self.dropout, jax.random.fold_in(key, number))
            x = x + y if self.residual and x.shape == y.shape else y
            states.append(x)
        return jnp.stack(states)
