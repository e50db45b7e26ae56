"""Pairs of patches of which one lies in one of eight directions from the other.

Source: Doersch et al., "Unsupervised Visual Representation Learning by Context Prediction", 2015, section 3. Their
patches are 96 pixels wide, half of that apart, and moved by up to 7 pixels.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax.augment.jigsaw import cut

# Down and right, row by row as one reads, the middle left out: the numbering of the authors' code.
_DIRECTIONS = np.array([(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)], np.int32)


class PatchPair(NamedTuple):
    """Drawn parameters of one pair.

    Attributes:
      position: of the second patch around the first, an int32 scalar, 0 (above, to the left) to 7 (below, to the
        right): the label.
      starts: upper left corners of both, int32 [2, 2], first and second; down, right.
    """

    position: jax.Array
    starts: jax.Array


def draw_patch_pair(
    key: jax.Array, size: tuple[int, int], *, patch_size: int, gap: int | None = None, jitter: int | None = None
) -> PatchPair:
    """Draws one of eight directions, a place where both patches fit, and a shift of each patch, all uniformly.

    The authors' code lays a grid of patches over the image instead and takes all pairs of neighbours in it. As
    there, a patch that its shift would move out of the image is moved back to the border.

    Args:
      key: of this pair.
      size: height and width of the image.
      patch_size: height and width of a patch.
      gap: pixels between the patches before they are shifted; None: half a patch, as in the paper.
      jitter: each patch is shifted by at most so many pixels each way; None: 7 for patches of 96 pixels, as in the
        paper, and in proportion for others.

    Raises:
      ValueError: two patches and the gap do not fit into the image, or shifted patches could overlap.
    """
    gap = patch_size // 2 if gap is None else gap
    jitter = round(patch_size * 7 / 96) if jitter is None else jitter
    step = patch_size + gap
    if min(size) < patch_size + step:
        raise ValueError(
            f"patches of {patch_size} with a gap of {gap} do not fit into an image of {size[0]} x {size[1]}"
        )
    if not 0 <= 2 * jitter <= gap:
        raise ValueError(f"jitter {jitter} is not between 0 and half of the gap, {gap}")
    position_key, place_key, jitter_key = jax.random.split(key, 3)
    position = jax.random.randint(position_key, (), 0, 8, dtype=jnp.int32)
    away = step * jnp.asarray(_DIRECTIONS)[position]
    last = jnp.array(size, jnp.int32) - patch_size
    first = jax.random.randint(place_key, (2,), jnp.maximum(0, -away), last - jnp.maximum(0, away) + 1, dtype=jnp.int32)
    shifts = jax.random.randint(jitter_key, (2, 2), -jitter, jitter + 1, dtype=jnp.int32)
    return PatchPair(position, jnp.clip(jnp.stack([first, first + away]) + shifts, 0, last[None]))


def patch_pair(image: jax.Array, pair: PatchPair, *, patch_size: int) -> jax.Array:
    """Cuts out both patches.

    The authors' code also replaces all colours of a patch but one by noise, since chromatic aberration gives its
    place away, and lowers the resolution of some; that is not done here.

    Args:
      image: [H, W, C], any dtype.
      pair: from `draw_patch_pair`, or chosen; `pair.position` is the label that `losses.relative_position` asks for.
      patch_size: height and width of a patch.

    Returns:
      [2, patch_size, patch_size, C].
    """
    return jax.vmap(lambda start: cut(image, start, patch_size))(pair.starts)
