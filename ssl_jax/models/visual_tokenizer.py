"""The networks of a discrete variational autoencoder: pictures to a grid of tokens, and back."""

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.models import settings
from ssl_jax.models.resnet import convolve

_KERNEL = nnx.initializers.variance_scaling(1.0, "fan_in", "normal")


class VisualTokenizer(nnx.Module):
    """The encoder: from a picture to logits of the token of each cell of a grid.

    Source: Ramesh et al. 2021, Zero-Shot Text-to-Image Generation, appendix A.1; layer by layer as `dall_e/encoder.py`
    of openai/DALL-E, whose kernels start normal with deviation 1 / sqrt(inputs), biases at 0. Pictures may have any
    size that `factor` divides.

    Args:
      vocab_size: V, number of tokens.
      width: channels after the first convolution; a halving of the picture doubles them.
      blocks: residual blocks before each halving, and after the last.
      factor: side of a cell in pixels, a power of two: 8 in the paper, less for small pictures.
      channels: colours a pixel has.
      dtype: of the computation; parameters, and the convolution that gives the logits, are float32.
      rngs: stream `params`.

    Attributes:
      features: width of what `__call__` returns.
      vocab_size, width, blocks, factor, channels, dtype: as given.

    Raises:
      ValueError: fewer than two tokens, no channel or no block, a `width` that is no multiple of 4, a `factor` that is
        no power of two, or a dtype that does not exist.
    """

    reads = "image"

    def __init__(
        self,
        *,
        vocab_size: int = 8192,
        width: int = 256,
        blocks: int = 2,
        factor: int = 8,
        channels: int = 3,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        settings.at_least(2, vocab_size=vocab_size)
        settings.at_least(1, channels=channels)
        widths = _widths(width, blocks, factor)
        self.vocab_size, self.width, self.blocks, self.factor = vocab_size, width, blocks, factor
        self.channels, self.dtype, self.features = channels, dtype, widths[-1]
        self.stem = _conv(channels, width, 7, dtype=dtype, rngs=rngs)
        self.groups = _groups(width, widths, blocks, (3, 3, 3, 1), dtype, rngs)
        self.output = _conv(self.features, vocab_size, 1, dtype="float32", rngs=rngs)

    def cells(self, images: jax.Array) -> jax.Array:
        """Images float [B, H, W, channels] -> what the logits are made of, [B, H / factor, W / factor, features].

        Raises:
          ValueError: the images have other channels, or no whole number of cells.
        """
        if images.ndim != 4 or images.shape[-1] != self.channels:
            raise ValueError(f"images are {images.shape}, this tokenizer takes [B, H, W, {self.channels}]")
        settings.divisible("image height", images.shape[1], "factor", self.factor)
        settings.divisible("image width", images.shape[2], "factor", self.factor)
        x = self.stem(images)
        for number, group in enumerate(self.groups):
            if number > 0:
                x = nnx.max_pool(x, (2, 2), strides=(2, 2))
            for block in group:
                x = block(x)
        return jax.nn.relu(x)

    def logits(self, images: jax.Array) -> jax.Array:
        """Of images as for `cells`: float32 [B, H / factor, W / factor, V]."""
        return self.output(self.cells(images).astype(jnp.float32))

    def tokens(self, images: jax.Array) -> jax.Array:
        """The likeliest token of each cell, row by row: int32 [B, H / factor * W / factor]."""
        return jnp.argmax(self.logits(images), -1).astype(jnp.int32).reshape(len(images), -1)

    def __call__(self, images: jax.Array, *, train: bool = False, key: jax.Array | None = None) -> jax.Array:
        """Mean of `cells` over a picture, [B, features]; nothing is dropped or drawn in training."""
        del train, key
        return jnp.mean(self.cells(images), axis=(1, 2), dtype=jnp.float32).astype(self.dtype)


class PixelDecoder(nnx.Module):
    """The decoder: from a grid of tokens, or of shares of tokens, to two numbers for each value of a pixel.

    Source: as for `VisualTokenizer`; `dall_e/decoder.py`. The weights of its first layer are the tokens' vectors.

    Args:
      vocab_size, width, blocks, factor, channels, dtype, rngs: as those of the encoder; the first layer is float32.
      code_width: of a token's vector.

    Raises:
      ValueError: a `code_width` below 1, or a setting that the encoder refuses.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        width: int,
        blocks: int,
        factor: int,
        channels: int,
        code_width: int,
        dtype: str,
        rngs: nnx.Rngs,
    ):
        settings.at_least(2, vocab_size=vocab_size)
        settings.at_least(1, channels=channels, code_width=code_width)
        widths = _widths(width, blocks, factor)[::-1]
        self.codes = _conv(vocab_size, code_width, 1, dtype="float32", rngs=rngs)
        self.groups = _groups(code_width, widths, blocks, (1, 3, 3, 3), dtype, rngs)
        self.output = _conv(width, 2 * channels, 1, dtype=dtype, rngs=rngs)

    def __call__(self, shares: jax.Array) -> jax.Array:
        """Shares of tokens float [B, h, w, V], of each cell 1 together -> [B, h * factor, w * factor, 2 * channels]."""
        x = self.codes(shares)
        for number, group in enumerate(self.groups):
            if number > 0:
                x = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
            for block in group:
                x = block(x)
        return self.output(jax.nn.relu(x))


class _Block(nnx.Module):
    """Four convolutions behind ReLUs, of a quarter of the width, and a shortcut."""

    def __init__(self, inputs, outputs, sizes, gain, dtype, rngs):
        hidden = outputs // 4
        widths = (inputs, hidden, hidden, hidden, outputs)
        make = lambda *shape: _conv(*shape, dtype=dtype, rngs=rngs)
        self.convs = nnx.List([make(*shape) for shape in zip(widths, widths[1:], sizes)])
        self.shortcut = nnx.data(None) if inputs == outputs else make(inputs, outputs, 1)
        self.gain = gain

    def __call__(self, x):
        y = x
        for conv in self.convs:
            y = conv(jax.nn.relu(y))
        return (x if self.shortcut is None else self.shortcut(x)) + self.gain * y


def _conv(inputs, outputs, size, *, dtype, rngs):
    return nnx.Conv(
        inputs,
        outputs,
        (size, size),
        padding=((size // 2, size // 2),) * 2,  # a tuple, so that the module's definition can be hashed
        kernel_init=_KERNEL,
        dtype=settings.computation_dtype(dtype),
        conv_general_dilated=convolve,
        rngs=rngs,
    )


def _widths(width, blocks, factor):
    """Channels at each size of the picture, the largest first."""
    settings.at_least(1, blocks=blocks, factor=factor)
    settings.at_least(4, width=width)
    if width % 4:
        raise ValueError(f"width {width} is not divisible by 4: a block is a quarter as wide inside")
    if factor & (factor - 1):
        raise ValueError(f"factor {factor} is no power of two: each halving of a picture doubles it")
    return [width << number for number in range(factor.bit_length())]


def _groups(inputs, widths, blocks, sizes, dtype, rngs):
    """The blocks at each size of the picture."""
    gain = 1 / (len(widths) * blocks) ** 2  # of the code; without, training is unstable at its start (section 2.1)
    groups = nnx.List([])
    for width in widths:
        groups.append(nnx.List([]))
        for _ in range(blocks):
            groups[-1].append(_Block(inputs, width, sizes, gain, dtype, rngs))
            inputs = width
    return groups
