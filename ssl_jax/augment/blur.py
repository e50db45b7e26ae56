"""Gaussian blur, separable: one banded matrix product an axis."""

import jax
import jax.numpy as jnp

from ssl_jax.augment.pixels import mix_pixels


def draw_blur(key: jax.Array, *, sigma: tuple[float, float] = (0.1, 2.0), probability: float = 0.5) -> jax.Array:
    """A standard deviation in pixels, uniform in `sigma` with `probability`, else 0 (no blur)."""
    u = jax.random.uniform(key, (2,))
    return jnp.where(u[0] < probability, sigma[0] + (sigma[1] - sigma[0]) * u[1], 0.0)


def gaussian_blur(image: jax.Array, sigma: jax.Array, *, radius: int) -> jax.Array:
    """Blurs with a normalised Gaussian of `2 * radius + 1` taps, the image being mirrored at its border.

    The border (without the edge pixel repeated) is torchvision's; the authors' TensorFlow code for SimCLR pads with
    zeros, which darkens it.

    Args:
      image: float32 [H, W, C].
      sigma: a scalar, in pixels; 0 changes nothing.
      radius: of the kernel, smaller than H and W.

    Returns:
      float32 [H, W, C].

    Raises:
      ValueError: `radius` is not smaller than the image.
    """
    if radius >= min(image.shape[:2]):
        raise ValueError(f"blur radius {radius} is not smaller than the image, {image.shape[0]} x {image.shape[1]}")
    if radius == 0:
        return image
    down = _blur_matrix(sigma, radius, image.shape[0])
    across = _blur_matrix(sigma, radius, image.shape[1])
    return mix_pixels(down, image, across)


def _blur_matrix(sigma, radius, size):
    """Weights [size, size]: row i gathers the pixels around i, those beyond a border from inside of it."""
    pixels = jnp.arange(size)
    i, j = pixels[:, None], pixels[None, :]
    straight = _gaussian(i - j, sigma, radius)
    before = jnp.where(j > 0, _gaussian(i + j, sigma, radius), 0)
    after = jnp.where(j < size - 1, _gaussian(2 * (size - 1) - i - j, sigma, radius), 0)
    return (straight + before + after) / jnp.sum(_gaussian(jnp.arange(-radius, radius + 1), sigma, radius))


def _gaussian(offset, sigma, radius):
    sharp = sigma <= 0
    spread = jnp.exp(-0.5 * jnp.square(offset.astype(jnp.float32) / jnp.where(sharp, 1.0, sigma)))
    kernel = jnp.where(sharp, (offset == 0).astype(jnp.float32), spread)
    return jnp.where(jnp.abs(offset) <= radius, kernel, 0)
