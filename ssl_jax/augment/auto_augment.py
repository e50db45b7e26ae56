"""AutoAugment: one of 25 pairs of operations on each picture (Cubuk et al. 2019, arXiv:1805.09501).

An operation takes whole pixel values, 0 to 255, and gives such values, as in PIL and in TensorFlow's code: that is what
equalisation and posterisation are defined on. Where TensorFlow (tensorflow/models, official/vision/
image_classification/augment.py), PIL and torchvision differ:

- the gray picture, which changes of colour and contrast look at, is TensorFlow's; PIL rounds it, torchvision cuts it
  off, so that colours come out 1 of 255 apart;
- contrast is about the rounded mean of the gray picture, as in PIL; TensorFlow's mean is that of the histogram's 256
  counts, which the size of the picture decides;
- sharpness rounds the smoothed picture, as PIL and torchvision do; TensorFlow cuts it off;
- shear keeps the centre of the first pixel where it is, as in TensorFlow; PIL and torchvision its corner;
- all take the nearest pixel where they resample. What comes in from outside is said by the policy.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax.augment.affine import nearest
from ssl_jax.augment.color import luma
from ssl_jax.augment.pixels import merge_planes, split_planes
from ssl_jax.augment.policies import POLICIES

WARPS = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")


class Operations(NamedTuple):
    """Drawn operations, in the order in which they are applied.

    Attributes:
      operation: int32 [2], indices into `OPERATIONS`.
      magnitude: float32 [2], of each, in its own unit; see `apply_operation`.
    """

    operation: jax.Array
    magnitude: jax.Array


def draw_auto_augment(key: jax.Array, size: tuple[int, int], *, policy: str) -> Operations:
    """Draws one pair of a policy, and for each of its two operations whether it is applied, and its sign.

    Args:
      key: of this view.
      size: height and width of the picture.
      policy: a name in `POLICIES`.
    """
    operations, probabilities, magnitudes = _table(policy, size)
    pair_key, coin_key, sign_key = jax.random.split(key, 3)
    pair = jax.random.randint(pair_key, (), 0, len(operations))
    applied = jax.random.uniform(coin_key, (2,)) < probabilities[pair]
    sign = jax.random.bernoulli(sign_key, shape=(2,))
    magnitude = jnp.where(sign, magnitudes[pair, :, 0], magnitudes[pair, :, 1])
    return Operations(jnp.where(applied, operations[pair], 0), magnitude)


def _table(policy, size):
    """Operations [25, 2], probabilities [25, 2] and magnitudes [25, 2, 2] of a policy."""
    pairs, magnitudes, _ = POLICIES[policy]
    along = lambda name: size[0] if name == "translate_y" else size[1]
    columns = (
        np.array([[OPERATIONS.index(name) for name, _, _ in pair] for pair in pairs], np.int32),
        np.array([[probability for _, probability, _ in pair] for pair in pairs], np.float32),
        np.array([[magnitudes(name, level, along(name)) for name, _, level in pair] for pair in pairs], np.float32),
    )
    return tuple(jnp.asarray(column) for column in columns)


def auto_augment(image: jax.Array, operations: Operations, *, policy: str) -> jax.Array:
    """Applies two operations to the picture, which is rounded to whole pixel values first.

    Under `vmap` every operation that the policy may apply is computed for every picture.

    Args:
      image: float32 [H, W, C] in 0..1.
      operations: from `draw_auto_augment` with the same policy.
      policy: a name in `POLICIES`.

    Returns:
      float32 [H, W, C] in 0..1, whole pixel values over 255.
    """
    names = [{name for name, *_ in of_one} for of_one in zip(*POLICIES[policy].pairs)]
    return apply_operations(image, operations, among=names, fill=POLICIES[policy].fill)


def apply_operations(
    image: jax.Array, operations: Operations, *, among: Sequence[set[str]], fill: float | None
) -> jax.Array:
    """Applies operations to the picture, one after the other, after rounding it to whole pixel values.

    Args:
      image: float32 [H, W, C] in 0..1.
      operations: as many as there are in `among`.
      among: of each, see `apply_operation`.
      fill: see `apply_operation`.

    Returns:
      float32 [H, W, C] in 0..1, whole pixel values over 255.
    """
    pixels = jnp.floor(255 * image + 0.5)
    for operation, magnitude, names in zip(operations.operation, operations.magnitude, among, strict=True):
        pixels = apply_operation(pixels, operation, magnitude, among=names, fill=fill)
    return pixels * (1 / 255)


def apply_operation(
    pixels: jax.Array, operation: jax.Array, magnitude: jax.Array, *, among: set[str], fill: float | None
) -> jax.Array:
    """Applies one operation.

    Magnitudes are: of 'shear_x' and 'shear_y', pixels a pixel, rows further down to the left, columns further right up
    where positive; of 'translate_x' and 'translate_y', pixels, to the right and down; of 'rotate', degrees, counter-
    clockwise; of 'posterize', how many bits are kept, 0 to 8; of 'solarize', the pixel value from which on pixels are
    inverted; of 'solarize_add', what pixels below 128 get more; of 'color', 'contrast', 'brightness' and 'sharpness',
    the factor, where 1 changes nothing. 'auto_contrast', 'equalize' and 'invert' have none.

    Args:
      pixels: float32 [H, W, C], whole numbers in 0..255.
      operation: int32 scalar, an index into `OPERATIONS`; 0 changes nothing.
      magnitude: float32 scalar.
      among: names of the operations that it may be; others are not compiled, and change nothing.
      fill: the pixel value that comes in from outside; None: the picture is mirrored there.

    Returns:
      float32 [H, W, C], whole numbers in 0..255.
    """
    if not among.isdisjoint(WARPS):
        pixels = _warp(pixels, operation, magnitude, fill)
    names = [name for name in _COLORS if name in among]
    branch = np.zeros(len(OPERATIONS), np.int32)
    branch[[OPERATIONS.index(name) for name in names]] = 1 + np.arange(len(names))
    functions = [lambda pixels, magnitude: pixels, *(_COLORS[name] for name in names)]
    return jax.lax.switch(jnp.asarray(branch)[operation], functions, pixels, magnitude)


def _warp(pixels, operation, magnitude, fill):
    """All of `WARPS` as one resampling; the picture itself where the operation is none of them."""
    height, width = pixels.shape[:2]
    amount = {name: jnp.where(operation == OPERATIONS.index(name), magnitude, 0.0) for name in WARPS}
    cos, sin = (function(jnp.deg2rad(amount["rotate"])) for function in (jnp.cos, jnp.sin))
    rows, columns = (jnp.arange(n, dtype=jnp.float32) for n in (height, width))
    rows, columns = rows[:, None], columns[None, :]
    down, right = rows - (height - 1) / 2, columns - (width - 1) / 2
    from_rows = cos * down + sin * right + (height - 1) / 2
    from_columns = cos * right - sin * down + (width - 1) / 2
    return nearest(
        pixels,
        from_rows + amount["shear_y"] * columns - amount["translate_y"],
        from_columns + amount["shear_x"] * rows - amount["translate_x"],
        fill=fill,
    )


def _auto_contrast(pixels, magnitude):
    """Stretches each channel over 0 to 255."""
    low, high = (f(pixels, axis=(0, 1), keepdims=True) for f in (jnp.min, jnp.max))
    # A quarter more than a whole number: so no rounding of the quotient reaches the next one, nor falls below its own.
    stretched = jnp.floor((255 * (pixels - low) + 0.25) / jnp.maximum(high - low, 1))
    return jnp.where(high > low, stretched, pixels)


def _equalize(pixels, magnitude):
    return merge_planes([_equalized(plane) for plane in split_planes(pixels.astype(jnp.int32))])


def _equalized(plane):
    """One channel: how many pixels are darker, counted in steps of a 255th of how many are not the brightest."""
    counts = jnp.zeros(256, jnp.int32).at[plane].add(1)
    darker = jnp.cumsum(counts) - counts
    step = darker[jnp.max(plane)] // 255
    levels = jnp.clip((darker + step // 2) // jnp.maximum(step, 1), 0, 255)
    return jnp.where(step > 0, levels[plane], plane).astype(jnp.float32)


def _invert(pixels, magnitude):
    return 255 - pixels


def _posterize(pixels, magnitude):
    shift = 8 - magnitude.astype(jnp.int32)
    return ((pixels.astype(jnp.int32) >> shift) << shift).astype(jnp.float32)


def _solarize(pixels, magnitude):
    return jnp.where(pixels < magnitude, pixels, 255 - pixels)


def _solarize_add(pixels, magnitude):
    return jnp.where(pixels < 128, jnp.clip(pixels + magnitude, 0, 255), pixels)


def _color(pixels, magnitude):
    return _blend(pixels, _gray(pixels)[..., None], magnitude)


def _contrast(pixels, magnitude):
    return _blend(pixels, jnp.floor(jnp.mean(_gray(pixels)) + 0.5), magnitude)


def _brightness(pixels, magnitude):
    return _blend(pixels, 0.0, magnitude)


def _sharpness(pixels, magnitude):
    """Blends with PIL's `SMOOTH` filter, which leaves the border as it is."""
    height, width, _ = pixels.shape
    around = sum(pixels[y : height - 2 + y, x : width - 2 + x] for y in range(3) for x in range(3))
    smooth = jnp.floor((around + 4 * pixels[1:-1, 1:-1]) / 13 + 0.5)
    return _blend(pixels, pixels.at[1:-1, 1:-1].set(smooth), magnitude)


def _gray(pixels):
    """TensorFlow's `rgb_to_grayscale` of uint8 pixels: 255.5 of 255, and what is not whole is cut off."""
    return jnp.floor(luma(split_planes(pixels)) * (255.5 / 255))


def _blend(pixels, other, factor):
    """`other` at a factor of 0, the picture at 1; what is not whole is cut off, as in all three codes."""
    # Factors have two decimals: what is whole but for the rounding of float32 stays so.
    return jnp.floor(jnp.clip(other + factor * (pixels - other), 0, 255) + 1e-3)


_COLORS = {
    "auto_contrast": _auto_contrast,
    "equalize": _equalize,
    "invert": _invert,
    "posterize": _posterize,
    "solarize": _solarize,
    "solarize_add": _solarize_add,
    "color": _color,
    "contrast": _contrast,
    "brightness": _brightness,
    "sharpness": _sharpness,
}
OPERATIONS = ("nothing", *WARPS, *_COLORS)
"""Names of the operations; an operation is drawn as its place here."""
