"""Crops, resized. A crop with its resize (and flip) is two small matrix products, one an axis."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from ssl_jax.augment.pixels import mix_pixels

Interpolation = Literal["bilinear", "bicubic"]
ATTEMPTS = 10


class Box(NamedTuple):
    """A rectangle in pixels; scalars, not necessarily whole. Pixel i spans i to i + 1."""

    top: jax.Array
    left: jax.Array
    height: jax.Array
    width: jax.Array


def random_resized_crop(
    key: jax.Array,
    image: jax.Array,
    *,
    out_size: int,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    interpolation: Interpolation = "bicubic",
    size: jax.Array | None = None,
) -> jax.Array:
    """A random part of the image, resized to a square: `draw_crop`, then `crop_and_resize`.

    Args:
      key: of this view.
      image: float32 [H, W, C].
      out_size: height and width of the result.
      scale: the range of the part's area, relative to the image's.
      ratio: the range of its width over its height.
      interpolation: see `crop_and_resize`.
      size: int [2], height and width of the original that was stretched to [H, W], if it was. The part is then
        drawn in the geometry of the original, as though nothing had been stretched.

    Returns:
      float32 [out_size, out_size, C], in the range of the image.
    """
    box = draw_crop(key, original_size(image, size), scale=scale, ratio=ratio)
    return crop_and_resize(image, on_canvas(box, image, size), out_size=out_size, interpolation=interpolation)


def draw_crop(
    key: jax.Array,
    size: jax.Array,
    *,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Box:
    """Draws the part to keep: area uniform, aspect log-uniform, whole pixels, place uniform.

    The distribution is that of torchvision's `RandomResizedCrop`: the first of ten draws that fits in the image; when
    none does, the largest centred part whose aspect is allowed. (The authors' TensorFlow code for SimCLR uses
    `sample_distorted_bounding_box`, also the first that fits, of up to 100.)

    Args:
      key: of this view.
      size: height and width of the image, [2].
      scale: the range of the part's area, relative to the image's.
      ratio: the range of its width over its height.
    """
    height, width = size[0].astype(jnp.float32), size[1].astype(jnp.float32)
    uniform = jax.random.uniform(key, (2 * ATTEMPTS + 2,))
    heights, widths = draw_sides(uniform[2:], height * width, scale, ratio)
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    first = jnp.arange(ATTEMPTS) == jnp.argmax(fits)
    fallback = _largest_allowed(height, width, ratio)
    any_fits = jnp.any(fits)
    box_height = jnp.where(any_fits, jnp.sum(heights * first), fallback[0])
    box_width = jnp.where(any_fits, jnp.sum(widths * first), fallback[1])
    top = jnp.where(any_fits, place(uniform[0], height - box_height), jnp.floor((height - box_height) / 2))
    left = jnp.where(any_fits, place(uniform[1], width - box_width), jnp.floor((width - box_width) / 2))
    return Box(top, left, box_height, box_width)


def draw_sides(
    uniform: jax.Array, image_area: jax.Array, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[jax.Array, jax.Array]:
    """Heights and widths in whole pixels, 10 of each, of rectangles with uniform area and log-uniform aspect."""
    area = image_area * (scale[0] + (scale[1] - scale[0]) * uniform[:ATTEMPTS])
    low, high = jnp.log(ratio[0]), jnp.log(ratio[1])
    aspect = jnp.exp(low + (high - low) * uniform[ATTEMPTS:])
    return jnp.round(jnp.sqrt(area / aspect)), jnp.round(jnp.sqrt(area * aspect))


def _largest_allowed(height, width, ratio):
    return jnp.minimum(height, jnp.round(width / ratio[0])), jnp.minimum(width, jnp.round(height * ratio[1]))


def place(uniform: jax.Array, room: jax.Array) -> jax.Array:
    """A whole number from 0 to `room`, each equally likely."""
    return jnp.minimum(jnp.floor(uniform * (room + 1)), room)


def center_box(size: jax.Array, proportion: float) -> Box:
    """The centred square whose side is `proportion` of the image's shorter side."""
    height, width = size[0].astype(jnp.float32), size[1].astype(jnp.float32)
    side = proportion * jnp.minimum(height, width)
    return Box((height - side) / 2, (width - side) / 2, side, side)


def original_size(image: jax.Array, size: jax.Array | None) -> jax.Array:
    """Height and width of the picture before it was stretched to the canvas, [2]."""
    return jnp.asarray(image.shape[:2]) if size is None else size


def on_canvas(box: Box, image: jax.Array, size: jax.Array | None) -> Box:
    """A box of the original picture, in pixels of the canvas that it was stretched to."""
    if size is None:
        return box
    down = image.shape[0] / size[0].astype(jnp.float32)
    across = image.shape[1] / size[1].astype(jnp.float32)
    return Box(box.top * down, box.left * across, box.height * down, box.width * across)


def crop_and_resize(
    image: jax.Array,
    box: Box,
    *,
    out_size: int,
    interpolation: Interpolation = "bicubic",
    flip: jax.Array | bool = False,
) -> jax.Array:
    """Cuts out `box` and resizes it to a square, smoothing where it shrinks (as PIL and torchvision's antialias do).

    Args:
      image: float32 [H, W, C] in 0..1.
      box: what to keep, inside of the image.
      out_size: height and width of the result.
      interpolation: 'bilinear' or 'bicubic' (a = -0.5), clipped to 0..1 as bicubic weights overshoot.
      flip: whether to mirror the result left to right, which costs nothing here.

    Returns:
      float32 [out_size, out_size, C].
    """
    down = resize_matrix(box.top, box.height, image.shape[0], out_size, interpolation)
    across = resize_matrix(box.left, box.width, image.shape[1], out_size, interpolation)
    across = jnp.where(flip, across[::-1], across)
    resized = mix_pixels(down, image, across)
    return jnp.clip(resized, 0, 1) if interpolation == "bicubic" else resized


def resize_matrix(
    start: jax.Array, length: jax.Array, in_size: int, out_size: int, interpolation: Interpolation
) -> jax.Array:
    """Weights [out_size, in_size] that resample the pixels from `start` to `start + length` to `out_size` ones.

    Only pixels in that range count (in part, where it begins or ends inside of one), and each row sums to 1.
    """
    step = length / out_size
    centers = start + (jnp.arange(out_size, dtype=jnp.float32) + 0.5) * step
    pixels = jnp.arange(in_size, dtype=jnp.float32)
    distance = (pixels + 0.5)[None, :] - centers[:, None]
    inside = jnp.clip(jnp.minimum(pixels + 1, start + length) - jnp.maximum(pixels, start), 0, 1)
    weights = _KERNELS[interpolation](distance / jnp.maximum(step, 1.0)) * inside[None, :]
    return weights / jnp.sum(weights, axis=1, keepdims=True)


def _triangle(x):
    return jnp.maximum(1 - jnp.abs(x), 0)


def _cubic(x):
    """Keys' cubic convolution kernel with a = -0.5."""
    x = jnp.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return jnp.where(x < 1, near, jnp.where(x < 2, far, 0))


_KERNELS = {"bilinear": _triangle, "bicubic": _cubic}
