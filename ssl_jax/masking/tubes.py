"""What of a clip is seen, and what is predicted: blocks of an image that are hidden for as long as the clip lasts."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax.masking.blocks import hidden_first
from ssl_jax.masking.multi_block import Blocks, Range, draw_block, draw_size, some_of

_ATTEMPTS = 20  # to leave something to see


def block_tubes(
    key: jax.Array,
    grid: tuple[int, int, int],
    *,
    blocks: int,
    scale: float,
    most_visible: int,
    most_hidden: int,
    aspect: Range = (0.75, 1.5),
) -> Blocks:
    """Hides the union of several blocks of one size at all times of a clip, and predicts it from all else.

    Source: Bardes et al., "Revisiting Feature Prediction for Learning Visual Representations from Video" (V-JEPA),
    2024, section 3.2 and appendix, and the authors' code (`masks/multiblock3d.py`): 8 blocks of 15 % of an image are
    its short-range masks, 2 of 70 % its long-range ones, all of an aspect of 0.75 to 1.5. The code draws one size for
    the blocks of all clips of a device's batch; here each clip has a size of its own. The code cuts what is seen, and
    what is predicted, to the fewest patches of a clip of the batch, from the last time on; here at most `most_visible`
    and `most_hidden` places are left of each clip, at all times, those left out being drawn, and what is shorter is
    filled up. Where nothing is left to see, all is drawn again, there as often as it takes, here up to twenty times.

    Args:
      key: of this example.
      grid: times, rows and columns of patches.
      blocks: how many are drawn; they may overlap.
      scale: area of a block, relative to the image's.
      most_visible: places (of an image) that are seen at most.
      most_hidden: places that are predicted at most.
      aspect: range of a block's height over its width.

    Returns:
      `visible` int32 [V] and `seen`, V being `most_visible` times the times; `targets` int32 [1, T] and `counted`, T
      being `most_hidden` times the times.

    Raises:
      ValueError: a setting is out of range.
    """
    times, *image = grid
    places = math.prod(image)
    _check(image, blocks, scale, most_visible, most_hidden, aspect)
    seen_key, hidden_key, key = jax.random.split(key, 3)

    def draw(number):
        aspect_key, place_key = jax.random.split(jax.random.fold_in(key, number))
        drawn = jax.random.uniform(aspect_key, minval=aspect[0], maxval=aspect[1])
        size = draw_size(jax.random.fold_in(aspect_key, 1), image, (scale, scale), drawn, image)
        return jax.vmap(lambda k: draw_block(k, image, size))(jax.random.split(place_key, blocks)).any(0)

    nothing_left = lambda drawn: drawn[0].all() & (drawn[1] < _ATTEMPTS)
    hidden, _ = jax.lax.while_loop(nothing_left, lambda drawn: (draw(drawn[1]), drawn[1] + 1), (draw(0), 1))
    visible, seen = _at_all_times(some_of(seen_key, ~hidden, most_visible), most_visible, times, places)
    targets, counted = _at_all_times(some_of(hidden_key, hidden, most_hidden), most_hidden, times, places)
    return Blocks(visible, seen, targets[None], counted[None])


def _at_all_times(mask, most, times, places):
    """Numbers of the patches at the True places of an image, int32 [times * most], and whether they count."""
    found, counted = hidden_first(mask, most)
    numbers = jnp.arange(times, dtype=jnp.int32)[:, None] * places + found[None, :]
    return numbers.reshape(-1), jnp.tile(counted > 0, times)


def _check(image, blocks, scale, most_visible, most_hidden, aspect):
    if blocks < 1:
        raise ValueError(f"blocks {blocks} is below 1")
    if not 0 < scale < 1:
        raise ValueError(f"scale {scale} of a block is not between 0 and 1")
    if int(math.prod(image) * scale) < 1:
        raise ValueError(f"scale {scale} leaves no patch of {image[0]} x {image[1]}")
    if not 0 < aspect[0] <= aspect[1]:
        raise ValueError(f"aspect {tuple(aspect)} is not a range, low before high, above 0")
    aspects = np.linspace(*aspect, 101)
    sides = np.round(np.sqrt(int(math.prod(image) * scale) * np.stack([aspects, 1 / aspects])))
    if (sides >= np.array(image)[:, None]).all(0).any():
        raise ValueError(f"scale {scale} of a block may hide all of {image[0]} x {image[1]} patches")
    for name, value in (("most_visible", most_visible), ("most_hidden", most_hidden)):
        if not 1 <= value <= math.prod(image):
            raise ValueError(f"{name} {value} is not from 1 to the {math.prod(image)} places of an image")
