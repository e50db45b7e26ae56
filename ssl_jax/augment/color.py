"""Colour jitter and grayscale.

There are no branches: an operation that is not wanted gets the parameter that changes nothing, since under `vmap` both
sides of a branch would be computed anyway. Every operation works on the colour planes as separate arrays: XLA then
fuses a chain of them into plain loops, where a broadcast over a channel axis makes it compute each gray value again
for each channel, nested for each operation (5 times slower on CPUs).
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax.augment.pixels import merge_planes, split_planes

_BRIGHTNESS, _CONTRAST, _SATURATION, _HUE = range(4)
_ORDERS = tuple(itertools.permutations(range(4)))
# For each order: which of the three blending operations come first, second and third, and where hue comes in.
_BLENDS = np.array([[step for step in order if step != _HUE] for order in _ORDERS], np.int32)
_HUE_AT = np.array([order.index(_HUE) for order in _ORDERS], np.int32)
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
) -> Jitter:
    """Draws the parameters of colour jitter, with torchvision's distribution.

    Args:
      key: of this view.
      brightness: its factor is uniform in `max(0, 1 - brightness)` to `1 + brightness`.
      contrast: likewise.
      saturation: likewise.
      hue: the shift is uniform in `-hue` to `hue`, in turns of the colour circle (at most 0.5).
      probability: with which there is any jitter at all; else the parameters are those that change nothing.
    """
    u = jax.random.uniform(key, (6,))
    factors = [_factor(x, strength) for x, strength in zip(u[:3], (brightness, contrast, saturation), strict=True)]
    applied = u[5] < probability
    factors = [jnp.where(applied, factor, 1.0) for factor in factors]
    order = jnp.minimum(jnp.floor(u[4] * len(_ORDERS)), len(_ORDERS) - 1).astype(jnp.int32)
    return Jitter(*factors, hue=jnp.where(applied, hue * (2 * u[3] - 1), 0.0), order=order)


def _factor(uniform, strength):
    low = max(0.0, 1.0 - strength)
    return low + (1.0 + strength - low) * uniform


def color_jitter(image: jax.Array, jitter: Jitter) -> jax.Array:
    """Changes brightness, contrast, saturation and hue, in the drawn order, clipping after each.

    The operations are torchvision's on float images. On images of other than 3 channels saturation and hue do nothing.

    Args:
      image: float32 [H, W, C] in 0..1.
      jitter: from `draw_color_jitter`, or chosen. `order` is the index of a permutation of (brightness, contrast,
        saturation, hue) in lexicographic order, 0 being that very order.

    Returns:
      float32 [H, W, C] in 0..1.
    """
    planes = split_planes(image)
    blends, hue_at = jnp.asarray(_BLENDS)[jitter.order], jnp.asarray(_HUE_AT)[jitter.order]
    factors = jnp.stack([jitter.brightness, jitter.contrast, jitter.saturation])[blends]
    # The hue shift is the costly one, so it is computed once, and the three others before it or after it.
    for i in range(3):
        planes = _blend(planes, blends[i], jnp.where(i < hue_at, factors[i], 1.0))
    planes = _shift_hue(planes, jitter.hue) if len(planes) == 3 else planes
    for i in range(3):
        planes = _blend(planes, blends[i], jnp.where(i >= hue_at, factors[i], 1.0))
    return merge_planes(planes)


def _blend(planes, operation, factor):
    """`factor * image + (1 - factor) * other`: towards or away from black, the mean gray, or its own gray."""
    gray = _luma(planes)
    other = jnp.where(operation == _CONTRAST, jnp.mean(gray), jnp.where(operation == _SATURATION, gray, 0.0))
    return [jnp.clip(other + factor * (plane - other), 0, 1) for plane in planes]


def _luma(planes):
    if len(planes) != 3:
        return sum(planes) / len(planes)
    return sum(weight * plane for weight, plane in zip(_LUMA, planes, strict=True))


def _shift_hue(planes, shift):
    """Turns the colour circle by `shift` turns; the largest and smallest of R, G, B stay (HSV's value and chroma)."""
    red, green, blue = planes
    value = jnp.maximum(jnp.maximum(red, green), blue)
    chroma = value - jnp.minimum(jnp.minimum(red, green), blue)
    sixth = _hue(red, green, blue, value, chroma) + 6 * shift
    return [_channel(offset, sixth, value, chroma) for offset in (5.0, 3.0, 1.0)]


def _hue(red, green, blue, value, chroma):
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
    luma = _luma(planes)
    return merge_planes([jnp.where(gray, luma, plane) for plane in planes])


def solarize(image: jax.Array, inverted: jax.Array | bool, *, threshold: float = 0.5) -> jax.Array:
    """Where the scalar `inverted` is true, pixels of `threshold` and more become 1 - pixel: [H, W, C] in 0..1.

    The threshold is that of BYOL's code; PIL and torchvision invert uint8 pixels from 128 on, which is 0.502.
    """
    return jnp.where(inverted & (image >= threshold), 1 - image, image)
