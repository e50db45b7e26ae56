"""Colour jitter, grayscale, solarisation.

Every operation works on the colour planes as separate arrays: XLA then fuses it into plain loops, where a broadcast
over a channel axis makes it compute each gray value again for each channel (5 times slower on CPUs). An operation that
one image of a batch does not want gets the parameter that changes nothing, since under `vmap` both sides of a branch
that differs by image would be computed anyway. The order of colour jitter is a real branch where a batch shares it.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax.augment.pixels import merge_planes, split_planes

_ORDERS = np.array(list(itertools.permutations(range(4))), np.int32)
_LUMA = (0.2989, 0.587, 0.114)


class Jitter(NamedTuple):
    """Drawn parameters of colour jitter, scalars."""

    brightness: jax.Array
    contrast: jax.Array
    saturation: jax.Array
    hue: jax.Array
    order: jax.Array


def draw_color_jitter(
    key: jax.Array,
    *,
    brightness: float,
    contrast: float,
    saturation: float,
    hue: float,
    probability: float = 1.0,
    order: jax.Array | None = None,
) -> Jitter:
    """Draws the parameters of colour jitter, with torchvision's distribution.

    Args:
      key: of this view.
      brightness: its factor is uniform in `max(0, 1 - brightness)` to `1 + brightness`.
      contrast: likewise.
      saturation: likewise.
      hue: the shift is uniform in `-hue` to `hue`, in turns of the colour circle (at most 0.5).
      probability: with which there is any jitter at all; else the parameters are those that change nothing.
      order: of the operations, from `draw_order` with a key that the batch shares; None: drawn as well.
    """
    u = jax.random.uniform(key, (5,))
    factors = [_factor(x, strength) for x, strength in zip(u[:3], (brightness, contrast, saturation), strict=True)]
    applied = u[4] < probability
    factors = [jnp.where(applied, factor, 1.0) for factor in factors]
    order = draw_order(jax.random.fold_in(key, 0)) if order is None else order
    return Jitter(*factors, hue=jnp.where(applied, hue * (2 * u[3] - 1), 0.0), order=order)


def draw_order(key: jax.Array) -> jax.Array:
    """One of the 24 orders of colour jitter's operations, each equally likely: an int32 scalar, see `color_jitter`."""
    return jax.random.randint(key, (), 0, len(_ORDERS), dtype=jnp.int32)


def _factor(uniform, strength):
    low = max(0.0, 1.0 - strength)
    return low + (1.0 + strength - low) * uniform


def color_jitter(image: jax.Array, jitter: Jitter) -> jax.Array:
    """Changes brightness, contrast, saturation and hue, in the drawn order, clipping after each.

    The operations are torchvision's on float images. On images of other than 3 channels saturation and hue do nothing.
    Under `vmap` it is about twice as fast when all images share the order, that is, when `order` is not mapped.

    Args:
      image: float32 [H, W, C] in 0..1.
      jitter: from `draw_color_jitter`, or chosen. `order` is the index of a permutation of (brightness, contrast,
        saturation, hue) in lexicographic order, 0 being that very order.

    Returns:
      float32 [H, W, C] in 0..1.
    """
    planes = tuple(split_planes(image))
    for operation in jnp.asarray(_ORDERS)[jitter.order]:
        planes = jax.lax.switch(operation, (_brightness, _contrast, _saturation, _hue), planes, jitter)
    return merge_planes(planes)


def _brightness(planes, jitter):
    return tuple(jnp.clip(jitter.brightness * plane, 0, 1) for plane in planes)


def _contrast(planes, jitter):
    return _blend(planes, jnp.mean(luma(planes)), jitter.contrast)


def _saturation(planes, jitter):
    return _blend(planes, luma(planes), jitter.saturation) if len(planes) == 3 else planes


def _hue(planes, jitter):
    return _shift_hue(planes, jitter.hue) if len(planes) == 3 else planes


def _blend(planes, other, factor):
    """`factor * image + (1 - factor) * other`."""
    return tuple(jnp.clip(other + factor * (plane - other), 0, 1) for plane in planes)


def luma(planes: Sequence[jax.Array]) -> jax.Array:
    """The gray picture [H, W] of such channels [H, W]: ITU-R 601's weights for 3 channels, else their mean."""
    if len(planes) != 3:
        return sum(planes) / len(planes)
    return sum(weight * plane for weight, plane in zip(_LUMA, planes, strict=True))


def _shift_hue(planes, shift):
    """Turns the colour circle by `shift` turns; the largest and smallest of R, G, B stay (HSV's value and chroma)."""
    red, green, blue = planes
    value = jnp.maximum(jnp.maximum(red, green), blue)
    chroma = value - jnp.minimum(jnp.minimum(red, green), blue)
    sixth = _sixth(red, green, blue, value, chroma) + 6 * shift
    return tuple(_channel(offset, sixth, value, chroma) for offset in (5.0, 3.0, 1.0))


def _sixth(red, green, blue, value, chroma):
    """The hue in sixths of a turn, 0 for grays; -1 to 5."""
    first = jnp.where(value == red, green - blue, jnp.where(value == green, blue - red, red - green))
    sector = jnp.where(value == red, 0.0, jnp.where(value == green, 2.0, 4.0))
    return sector + first / jnp.where(chroma > 0, chroma, 1.0)


def _channel(offset, sixth, value, chroma):
    """Smith 1978 in one line: `value - chroma * max(0, min(k, 4 - k, 1))`, `k = (offset + sixth) mod 6`."""
    k = offset + sixth
    k = k - 6 * jnp.floor(k * (1 / 6))
    return value - chroma * jnp.clip(jnp.minimum(k, 4 - k), 0, 1)


def grayscale(image: jax.Array, gray: jax.Array | bool) -> jax.Array:
    """The luma in every channel where the scalar `gray` is true: [H, W, C]. One channel stays as it is."""
    planes = split_planes(image)
    gray_plane = luma(planes)
    return merge_planes([jnp.where(gray, gray_plane, plane) for plane in planes])


def solarize(image: jax.Array, inverted: jax.Array | bool, *, threshold: float = 0.5) -> jax.Array:
    """Where the scalar `inverted` is true, pixels of `threshold` and more become 1 - pixel: [H, W, C] in 0..1.

    The threshold is that of BYOL's code; PIL and torchvision invert uint8 pixels from 128 on, which is 0.502.
    """
    return jnp.where(inverted & (image >= threshold), 1 - image, image)
