"""RandAugment: two operations on each picture, drawn among all (Cubuk et al. 2019, arXiv:1909.13719).

As timm reads 'rand-m9-mstd0.5-inc1' (`timm/data/auto_augment.py`), with which MAE is fine-tuned: 15 operations, equally
likely, and either is applied with a probability of a half; its magnitude is drawn anew each time, about the one that is
given; all grow with it. In the paper both are applied, with the magnitude that is given, and 'nothing' is one of 14.

The operations are those of `ssl_jax.augment.auto_augment`, which says how codes differ. What comes in from outside is
128, gray, and warps take the nearest pixel, as in the authors' code; timm takes ImageNet's mean colour, and
interpolates. Its shears keep the corner of the first pixel where it is. Posterisation keeps no bits, and so leaves
black, where a magnitude is 10, as PIL did; it now refuses to.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax.augment.auto_augment import OPERATIONS, Operations, apply_operations

CHOICES = tuple(name for name in OPERATIONS if name != "nothing")
"""Names of what is drawn from."""
LARGEST = 10.0
"""Magnitudes are in 0 to this."""
_FILL = 128.0


def draw_rand_augment(key: jax.Array, size: tuple[int, int], *, magnitude: float, deviation: float) -> Operations:
    """Draws two operations, for each whether it is applied, and its magnitude and sign.

    Args:
      key: of this view.
      size: height and width of the picture.
      magnitude: mean of the magnitudes, in 0 to 10.
      deviation: of their normal distribution, which is cut off at 0 and 10; 0: all are the mean.
    """
    choice_key, coin_key, level_key, sign_key = jax.random.split(key, 4)
    choice = jax.random.randint(choice_key, (2,), 0, len(CHOICES))
    applied = jax.random.bernoulli(coin_key, shape=(2,))
    level = jnp.clip(magnitude + deviation * jax.random.normal(level_key, (2,)), 0, LARGEST) / LARGEST
    magnitudes = _magnitudes(level, jax.random.rademacher(sign_key, (2,), jnp.float32), size)
    places = jnp.asarray([OPERATIONS.index(name) for name in CHOICES])
    return Operations(jnp.where(applied, places[choice], 0), magnitudes[choice, np.arange(2)])


def _magnitudes(level, sign, size):
    """Of each of `CHOICES`, in its own unit, at levels [2] in 0..1 with signs [2]: [15, 2]."""
    height, width = size
    factor = jnp.maximum(1 + 0.9 * level * sign, 0.1)
    of = {
        "shear_x": 0.3 * level * sign,
        "shear_y": 0.3 * level * sign,
        "translate_x": 0.45 * width * level * sign,
        "translate_y": 0.45 * height * level * sign,
        "rotate": 30 * level * sign,
        "posterize": 4 - jnp.floor(4 * level),
        "solarize": 256 - jnp.floor(256 * level),
        "solarize_add": jnp.floor(110 * level),
        **dict.fromkeys(("color", "contrast", "brightness", "sharpness"), factor),
    }
    return jnp.stack([of.get(name, jnp.zeros(2)) for name in CHOICES])


def rand_augment(image: jax.Array, operations: Operations) -> jax.Array:
    """Applies two operations to the picture, which is rounded to whole pixel values first.

    Under `vmap` every operation is computed twice for every picture.

    Args:
      image: float32 [H, W, C] in 0..1.
      operations: from `draw_rand_augment`.

    Returns:
      float32 [H, W, C] in 0..1, whole pixel values over 255.
    """
    return apply_operations(image, operations, among=[set(CHOICES)] * 2, fill=_FILL)
