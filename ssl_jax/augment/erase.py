"""Random erasing: Zhong et al. 2020, Random Erasing Data Augmentation, arXiv:1708.04896."""

import jax
import jax.numpy as jnp

from ssl_jax.augment.crop import ATTEMPTS, Box, draw_sides, place


def draw_erasing(
    key: jax.Array,
    size: tuple[int, int],
    *,
    probability: float = 0.5,
    scale: tuple[float, float] = (0.02, 0.33),
    ratio: tuple[float, float] = (0.3, 3.3),
) -> Box:
    """Draws what to erase: area uniform, aspect log-uniform, whole pixels, place uniform.

    Distribution and numbers are torchvision's `RandomErasing`: the first of ten draws that is smaller than the image
    both ways, and nothing where none is. (The paper's algorithm 1 draws the aspect uniformly, and goes on until
    one fits.)

    Args:
      key: of this image.
      size: height and width of the image.
      probability: with which anything is erased.
      scale: the range of the erased area, relative to the image's.
      ratio: the range of its height over its width.

    Returns:
      A box of whole pixels; one of height and width 0 where nothing is erased.
    """
    height, width = jnp.asarray(size, jnp.float32)
    uniform = jax.random.uniform(key, (2 * ATTEMPTS + 3,))
    widths, heights = draw_sides(uniform[3:], height * width, scale, ratio)
    fits = (widths < width) & (heights < height)
    erased = jnp.any(fits) & (uniform[2] < probability)
    chosen = (jnp.arange(ATTEMPTS) == jnp.argmax(fits)) & erased
    box_height, box_width = jnp.sum(heights * chosen), jnp.sum(widths * chosen)
    return Box(place(uniform[0], height - box_height), place(uniform[1], width - box_width), box_height, box_width)


def erase(image: jax.Array, box: Box, value: jax.Array | float = 0.0) -> jax.Array:
    """The image with what lies in the box replaced.

    Args:
      image: float [H, W, C].
      box: of whole pixels, from `draw_erasing`.
      value: a number (0, the mean of normalised images), or an image of them: noise [H, W, C] for what the paper calls
        random values.

    Returns:
      As the image.
    """
    return jnp.where(inside(box, image.shape[:2])[..., None], value, image)


def inside(box: Box, size: tuple[int, int]) -> jax.Array:
    """Which pixels of an image of this height and width lie in a box of whole pixels: bool [H, W]."""
    row, column = jnp.arange(size[0])[:, None], jnp.arange(size[1])[None, :]
    rows = (row >= box.top) & (row < box.top + box.height)
    return rows & (column >= box.left) & (column < box.left + box.width)
