"""Patches that are hidden from a ViT: drawing them, what it makes of them, and looking at them."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ssl_jax import augment, masking
from ssl_jax.models.patches import take_patches


def hide_patches(
    draw: Callable[[jax.Array, jax.Array], jax.Array], key: jax.Array, given: jax.Array, most: int
) -> dict[str, jax.Array]:
    """What is hidden of each view of each example.

    Args:
      draw: (key, what is given of a view) -> bool [N], True where a patch is hidden.
      key: of this step.
      given: [B, V, ...].
      most: M, how many are hidden at most.

    Returns:
      'hidden' bool [B, V, N], and, of the hidden patches, 'places' int32 [B, V, M] and 'counted' float32 [B, V, M], 0
      where fewer are hidden.
    """
    of_views = lambda key, views: jax.vmap(draw)(jax.random.split(key, len(views)), views)
    hidden = augment.per_example(of_views, key, given)
    places, counted = augment.each_view(jax.vmap(lambda mask: masking.hidden_first(mask, most)), hidden)
    return {"hidden": hidden, "places": places, "counted": counted}


def hide_some(draw: Callable[[jax.Array], jax.Array], key: jax.Array, images: jax.Array, most: int) -> dict:
    """What is hidden of each image, where all hide as many patches.

    Args:
      draw: key -> bool [N], True for the `most` patches that are hidden.
      key: of this step.
      images: [B, H, W, C].
      most: M.

    Returns:
      'image', 'hidden' bool [B, N], and the hidden ones' 'places', int32 [B, M], in order.
    """
    views = hide_patches(lambda key, _: draw(key), key, images[:, None], most)
    return {"image": images, "hidden": views["hidden"][:, 0], "places": views["places"][:, 0]}


def hide_blocks(
    backbone: Any, key: jax.Array, images: jax.Array, count: int, *, min_block: int
) -> dict[str, jax.Array]:
    """`hide_some` by blocks (`masking.exact_blocks`).

    Args:
      backbone: a ViT.
      key: of this step.
      images: [B, H, W, C].
      count: how many patches of each are hidden.
      min_block: patches of the smallest block that is drawn.
    """
    draw = lambda key: masking.exact_blocks(key, backbone.grid, count, min_block=min_block)
    return hide_some(draw, key, images, count)


def hidden_states(
    backbone: Any, views: Mapping[str, jax.Array], mask_token: jax.Array, *, train: bool, key: jax.Array
) -> jax.Array:
    """What a ViT makes of the patches that are hidden from it, [B, M, F].

    Args:
      backbone: the ViT.
      views: as `hide_some` gives them.
      mask_token: [F], in their place.
      train: drop.
      key: of the drawing.
    """
    states = backbone.tokens(views["image"], hidden=views["hidden"], mask_token=mask_token, train=train, key=key)[1]
    return take_patches(states, views["places"])


def paint(backbone: Any, images: jax.Array, hidden: jax.Array, predicted: jax.Array) -> tuple[jax.Array, ...]:
    """For looking at: images [B, H, W, C], the same with hidden patches grey, and with hidden patches as predicted.

    Args:
      backbone: a ViT.
      images: [B, H, W, C].
      hidden: [B, N], 1 (or True) for hidden patches.
      predicted: their pixels, [B, N, P]; those of others are not looked at.
    """
    hidden, patches = hidden[:, :, None] > 0, backbone.patchify(images)
    seen, painted = jnp.where(hidden, 0, patches), jnp.where(hidden, predicted, patches)
    return images, backbone.unpatchify(seen), backbone.unpatchify(painted)


def blocks_hidden(backbone: Any, mask_ratio: float) -> int:
    """How many patches of a ViT are hidden where `mask_ratio` of them are, rounded.

    Raises:
      ValueError: none would be hidden or visible.
    """
    count = round(backbone.num_patches * mask_ratio)
    if not 0 < count < backbone.num_patches:
        raise ValueError(
            f"mask_ratio {mask_ratio} leaves nothing to see or to predict of {backbone.num_patches} patches"
        )
    return count


def most_hidden(num_patches: int, ratio: tuple[float, float]) -> int:
    """How many patches are hidden at most, where `mask_ratio` is the range of ratios.

    Raises:
      ValueError: the range is none, or hides no patch at its end.
    """
    low, high = ratio if len(ratio) == 2 else (1, 0)
    most = int(num_patches * high + 1e-6)
    if not 0 <= low <= high < 1 or most < 1:
        raise ValueError(f"mask_ratio {tuple(ratio)} must be two ratios below 1, low before high, that hide a patch")
    return most
