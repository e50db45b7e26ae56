"""What is done to the pixels of one image: number formats, normalisation, noise, sums along the axes."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np


def to_float(image: jax.Array) -> jax.Array:
    """Pixels as float32 in 0..1: uint8 is divided by 255, floats are taken to be in that range already.

    Raises:
      ValueError: the pixels are integers other than uint8, whose range is not known.
    """
    if image.dtype == jnp.uint8:
        return image.astype(jnp.float32) * (1 / 255)
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise ValueError(f"images must be uint8 (0..255) or floats (0..1), not {image.dtype}")
    return image.astype(jnp.float32)


def split_planes(image: jax.Array) -> list[jax.Array]:
    """The channels of an image [H, W, C] as separate arrays [H, W]."""
    return [image[..., channel] for channel in range(image.shape[-1])]


def merge_planes(planes: Sequence[jax.Array]) -> jax.Array:
    """The image of such channels; a split that follows costs nothing when compiled."""
    return jnp.stack(planes, axis=-1)


def mix_pixels(down: jax.Array, image: jax.Array, across: jax.Array) -> jax.Array:
    """Pixels mixed along both axes, in float32: weights [h, H], image [H, W, C] and weights [w, W] give [h, w, C]."""
    # Accelerators multiply float32 in fewer bits by default, which would move pixels by a grey level.
    times = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
    return merge_planes([times(times(down, plane), across.T) for plane in split_planes(image)])


def add_noise(key: jax.Array, image: jax.Array, std: float | jax.Array) -> jax.Array:
    """The image plus Gaussian noise, independent by pixel and channel; not clipped."""
    return image + std * jax.random.normal(key, image.shape)


class Normalize:
    """`(image - mean) / std` by channel.

    Args:
      channels: how many channels images have.
      mean: of each channel, or one value for all; None: 0.
      std: of each channel, or one value for all; None: 1.

    Raises:
      ValueError: there are neither 1 nor `channels` values, or a std is not positive.
    """

    def __init__(self, channels: int, mean: tuple[float, ...] | None, std: tuple[float, ...] | None):
        self.mean = _by_channel("mean", (0.0,) if mean is None else mean, channels)
        self.std = _by_channel("std", (1.0,) if std is None else std, channels)
        if not np.all(self.std > 0):
            raise ValueError(f"std {std} is not positive")

    def __call__(self, images: jax.Array) -> jax.Array:
        """Images [..., C] in 0..1, normalised."""
        shape = (1,) * (images.ndim - 1) + self.mean.shape
        return (images - self.mean.reshape(shape)) * (1 / self.std).reshape(shape)

    def invert(self, images: jax.Array) -> jax.Array:
        """Normalised images [..., C] back in 0..1, clipped to it."""
        shape = (1,) * (images.ndim - 1) + self.mean.shape
        return jnp.clip(images * self.std.reshape(shape) + self.mean.reshape(shape), 0, 1)


def _by_channel(name, values, channels):
    if len(values) not in (1, channels):
        raise ValueError(f"{name} {tuple(values)} has {len(values)} values, but images have {channels} channel(s)")
    return np.broadcast_to(np.asarray(values, np.float32), (channels,)).copy()
