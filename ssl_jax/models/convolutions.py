"""The convolutions before and within the transformers of speech: a waveform's features, and positions."""

import math
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.models import settings
from ssl_jax.models.initializers import torch_start
from ssl_jax.models.normalization import layer_norm

_EPSILON = 1e-5
_KAIMING = nnx.initializers.variance_scaling(2.0, "fan_in", "normal")


def frames_of(length: jax.Array | int, kernels: tuple[int, ...], strides: tuple[int, ...]) -> jax.Array | int:
    """How many frames convolutions without padding make of `length` samples, an int of an int; 0 of too few."""
    at_least = max if isinstance(length, int) else jnp.maximum
    for kernel, stride in zip(kernels, strides, strict=True):
        length = at_least((length - kernel) // stride + 1, 0)
    return length


def check_layers(channels: tuple[int, ...], kernels: tuple[int, ...], strides: tuple[int, ...]) -> None:
    """Raises ValueError unless the three are settings of as many convolutions."""
    if not len(channels) == len(kernels) == len(strides) > 0:
        raise ValueError(f"conv_channels {channels} must be as long as conv_kernels {kernels}, conv_strides {strides}")
    settings.at_least(1, **{"conv_channels": min(channels), "conv_kernels": min(kernels), "conv_strides": min(strides)})


def real(count: jax.Array, size: int) -> jax.Array:
    """bool [B, size]: which places lie before the end, of int `count` [B]."""
    return jnp.arange(size)[None, :] < count[:, None]


class TimeNorm(nnx.Module):
    """Normalises each channel over the real frames of its example: group normalisation with one channel a group.

    Without padding it is the group normalisation of wav2vec 2.0. With padding, fairseq's and transformers' statistics
    are over the padding too, so that an utterance's features change with the length of its batch; these do not.

    Args:
      features: C.
      rngs: not used; nothing is random.
    """

    def __init__(self, features: int, *, rngs: nnx.Rngs):
        del rngs
        self.scale = nnx.Param(jnp.ones((features,)))
        self.bias = nnx.Param(jnp.zeros((features,)))

    def __call__(self, x: jax.Array, there: jax.Array) -> jax.Array:
        """x [B, T, C], `there` bool [B, T] at real frames -> float32 [B, T, C]."""
        x, weights = x.astype(jnp.float32), there[:, :, None].astype(jnp.float32)
        count = jnp.maximum(weights.sum(1, keepdims=True), 1.0)
        centred = x - jnp.sum(x * weights, 1, keepdims=True) / count
        variance = jnp.sum(jnp.square(centred) * weights, 1, keepdims=True) / count
        unit = centred * jax.lax.rsqrt(variance + _EPSILON)
        return unit * self.scale[...][None, None] + self.bias[...][None, None]


class ConvFeatures(nnx.Module):
    """Convolutions over a waveform, without padding: the feature encoder of wav2vec 2.0 (section 2), and of CPC.

    A frame's samples all lie before the end of its example where the frame does, so padding reaches no real frame.

    Args:
      channels, kernels, strides: of each layer, first to last.
      norm: 'group': `TimeNorm` after the first convolution; 'layer': layer normalisation after each (the large models);
        'none'.
      activation: 'gelu' (exact) or 'relu'.
      bias: whether convolutions have one.
      dtype: of the computation.
      rngs: stream `params`.

    Attributes:
      hop: samples from one frame to the next.
    """

    def __init__(
        self,
        channels: tuple[int, ...],
        kernels: tuple[int, ...],
        strides: tuple[int, ...],
        *,
        norm: Literal["group", "layer", "none"],
        activation: Literal["gelu", "relu"] = "gelu",
        bias: bool,
        dtype: str,
        rngs: nnx.Rngs,
    ):
        self.kernels, self.strides, self.hop = tuple(kernels), tuple(strides), math.prod(strides)
        self.activation = activation
        self.layers = nnx.List()
        for index, (inputs, outputs) in enumerate(zip((1, *channels), channels)):
            make_norm = {"group": None if index else TimeNorm, "layer": _layer_norm, "none": None}[norm]
            sizes = (inputs, outputs, kernels[index], strides[index])
            self.layers.append(_ConvLayer(*sizes, make_norm, bias, dtype, rngs))

    def frames(self, length: jax.Array | int) -> jax.Array | int:
        """How many frames so many samples have: integers of integers, an int of an int."""
        return frames_of(length, self.kernels, self.strides)

    def __call__(self, waveform: jax.Array, length: jax.Array) -> jax.Array:
        """Waveforms [B, T], of which `length` int [B] samples are real -> [B, frames, channels[-1]]."""
        x = waveform[:, :, None]
        for index, layer in enumerate(self.layers):
            count = frames_of(length, self.kernels[: index + 1], self.strides[: index + 1])
            x = self._activated(layer(x, count))
        return x

    def _activated(self, x):
        return jax.nn.gelu(x, approximate=False) if self.activation == "gelu" else jax.nn.relu(x)


class _ConvLayer(nnx.Module):
    """Convolution, and perhaps a normalisation."""

    def __init__(self, inputs, outputs, kernel, stride, make_norm, bias, dtype, rngs):
        shape = dict(kernel_size=(kernel,), strides=(stride,), padding="VALID", use_bias=bias)
        start = dict(torch_start(inputs * kernel), kernel_init=_KAIMING)
        self.conv = nnx.Conv(inputs, outputs, **shape, **start, dtype=settings.computation_dtype(dtype), rngs=rngs)
        self.norm = nnx.data(None) if make_norm is None else make_norm(outputs, rngs=rngs)

    def __call__(self, x, count):
        x = self.conv(x)
        if isinstance(self.norm, TimeNorm):
            x = self.norm(x, real(count, x.shape[1])).astype(x.dtype)
        elif self.norm is not None:
            x = self.norm(x).astype(x.dtype)
        return x


def _layer_norm(features: int, *, rngs: nnx.Rngs) -> nnx.LayerNorm:
    return layer_norm(features, epsilon=_EPSILON, rngs=rngs)


class ConvPositions(nnx.Module):
    """Relative positions by one grouped convolution with GELU (Baevski et al. 2020, section 2).

    As long as its input: of an even kernel the frame too many at the end is cut. Its weight is a direction and, for
    each of the kernel's places, a length (weight normalisation, Salimans and Kingma 2016).

    Args:
      width: features of a frame; a multiple of `groups`.
      kernel: frames that it spans.
      groups: of channels that see each other.
      dtype: of the computation.
      rngs: stream `params`.

    Raises:
      ValueError: a size below 1, or a `width` that is no multiple of `groups`.
    """

    def __init__(self, width: int, *, kernel: int, groups: int, dtype: str, rngs: nnx.Rngs):
        settings.at_least(1, width=width, kernel=kernel)
        settings.divisible("width", width, "groups", groups)
        deviation = 2 * (kernel * width) ** -0.5
        direction = deviation * jax.random.normal(rngs.params(), (kernel, width // groups, width))
        self.groups, self.dtype = groups, dtype
        self.kernel = nnx.Param(direction)
        self.scale = nnx.Param(jnp.sqrt(jnp.sum(jnp.square(direction), (1, 2))))
        self.bias = nnx.Param(jnp.zeros((width,)))

    def __call__(self, x: jax.Array, there: jax.Array) -> jax.Array:
        """x [B, T, width], 0 where `there` bool [B, T] is False -> what is to be added, [B, T, width]."""
        del there
        direction = self.kernel[...]
        length = jnp.sqrt(jnp.sum(jnp.square(direction), (1, 2)))
        weight = direction * (self.scale[...] / length)[:, None, None]
        y = jax.lax.conv_general_dilated(
            x, weight.astype(x.dtype), (1,), [_around(len(weight))], dimension_numbers=("NWC", "WIO", "NWC"),
            feature_group_count=self.groups,
        )  # fmt: skip
        return jax.nn.gelu(y + self.bias[...].astype(x.dtype)[None, None], approximate=False)


class StackedConvPositions(nnx.Module):
    """Relative positions by several grouped convolutions, each layer-normalised, with GELU (data2vec's speech model).

    Frames behind the end stay 0 in every layer, so that an utterance's positions do not depend on its padding; in
    fairseq and transformers, biases and normalisations make something of them that reaches the last real frames.

    Args:
      width, kernel, groups, dtype, rngs: as for `ConvPositions`.
      depth: how many.

    Raises:
      ValueError: a size below 1, a `width` that is no multiple of `groups`, or a dtype that is not float32 or bfloat16.
    """

    def __init__(self, width: int, *, kernel: int, groups: int, depth: int, dtype: str, rngs: nnx.Rngs):
        settings.at_least(1, width=width, kernel=kernel, depth=depth)
        settings.divisible("width", width, "groups", groups)
        shape = dict(kernel_size=(kernel,), padding=[_around(kernel)], feature_group_count=groups)
        start = torch_start(kernel * width // groups)
        make = lambda: nnx.Conv(width, width, **shape, **start, dtype=settings.computation_dtype(dtype), rngs=rngs)
        self.layers = nnx.List([make() for _ in range(depth)])

    def __call__(self, x: jax.Array, there: jax.Array) -> jax.Array:
        """As for `ConvPositions`."""
        for layer in self.layers:
            x = jax.nn.gelu(_standardized(layer(x)), approximate=False)
            x = jnp.where(there[:, :, None], x, jnp.zeros_like(x))
        return x


def _standardized(x):
    x32 = x.astype(jnp.float32)
    centred = x32 - x32.mean(-1, keepdims=True)
    variance = jnp.mean(jnp.square(centred), -1, keepdims=True)
    return (centred * jax.lax.rsqrt(variance + _EPSILON)).astype(x.dtype)


def _around(kernel: int) -> tuple[int, int]:
    """Zeros before and behind, so that as many frames come out as go in."""
    return kernel // 2, (kernel - 1) // 2
