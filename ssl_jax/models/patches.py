"""Images and clips as sequences of patches, and back."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ssl_jax import augment, masking
from ssl_jax.models import settings


def patchify(images: jax.Array, patch_size: int) -> jax.Array:
    """Cuts images into patches.

    Args:
      images: [B, H, W, C], H and W multiples of `patch_size`.
      patch_size: side of a patch in pixels.

    Returns:
      [B, H/p * W/p, p * p * C]: patches row by row; in each, the order is (row, column, channel).
    """
    batch, height, width, channels = images.shape
    settings.divisible("image height", height, "patch_size", patch_size)
    settings.divisible("image width", width, "patch_size", patch_size)
    rows, columns = height // patch_size, width // patch_size
    patches = images.reshape(batch, rows, patch_size, columns, patch_size, channels)
    return patches.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows * columns, -1)


def patchify_clips(clips: jax.Array, patch_size: int, tubelet_size: int) -> jax.Array:
    """Cuts clips into patches that last several frames.

    Args:
      clips: [B, T, H, W, C], H and W multiples of `patch_size`, T one of `tubelet_size`.
      patch_size: side of a patch in pixels.
      tubelet_size: its frames.

    Returns:
      [B, T/t * H/p * W/p, t * p * p * C]: patches time by time, and there row by row; in each, the order is (frame,
      row, column, channel).
    """
    batch, frames, height, width, channels = clips.shape
    settings.divisible("clip length", frames, "tubelet_size", tubelet_size)
    settings.divisible("clip height", height, "patch_size", patch_size)
    settings.divisible("clip width", width, "patch_size", patch_size)
    times, rows, columns = frames // tubelet_size, height // patch_size, width // patch_size
    patches = clips.reshape(batch, times, tubelet_size, rows, patch_size, columns, patch_size, channels)
    return patches.transpose(0, 1, 3, 5, 2, 4, 6, 7).reshape(batch, times * rows * columns, -1)


def unpatchify(patches: jax.Array, grid: tuple[int, int], channels: int = 3) -> jax.Array:
    """Puts patches together again: the inverse of `patchify`.

    Args:
      patches: [B, rows * columns, p * p * channels].
      grid: (rows, columns).
      channels: colours a pixel has.

    Returns:
      images [B, rows * p, columns * p, channels].
    """
    batch, count, features = patches.shape
    side = round((features / channels) ** 0.5)
    if count != grid[0] * grid[1] or side * side * channels != features:
        raise ValueError(f"patches {patches.shape} do not make a grid {tuple(grid)} with {channels} channels")
    pixels = patches.reshape(batch, grid[0], grid[1], side, side, channels)
    return pixels.transpose(0, 1, 3, 2, 4, 5).reshape(batch, grid[0] * side, grid[1] * side, channels)


def take_patches(tokens: jax.Array, places: jax.Array) -> jax.Array:
    """Tokens [B, N, F] of the patches at `places`, int [B, M]: [B, M, F]."""
    return jnp.take_along_axis(tokens, places[:, :, None], axis=1)


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


def check_patches(method: str, backbone: Any, part: str = "embed_patches") -> None:
    """The backbone is a ViT, or another network with the attribute `part`, where that is enough.

    Raises:
      ValueError: it is not.
    """
    if not hasattr(backbone, part):
        raise ValueError(f"{method} works on patches, so config.model must be a vit, not {type(backbone).__name__}")


def check_any_patches(method: str, backbone: Any) -> None:
    """The backbone can be shown some of a picture's patches, or pictures of another size.

    Raises:
      ValueError: it is a ViT with relative positions.
    """
    if getattr(backbone, "relative", None) is not None:
        raise ValueError(f"{method} shows parts of pictures: set config.model.positions to 'sincos2d' or 'learned'")


def check_class_token(method: str, backbone: Any) -> None:
    """The backbone is a ViT with a class token.

    Raises:
      ValueError: it is not.
    """
    check_patches(method, backbone)
    if backbone.class_token is None:
        raise ValueError(f"{method} needs a class token: set config.model.pooling to 'cls'")


def check_no_class_token(method: str, backbone: Any) -> None:
    """The backbone is a ViT without a class token.

    Raises:
      ValueError: it is not.
    """
    check_patches(method, backbone)
    if backbone.class_token is not None:
        raise ValueError(f"{method} has no class token: set config.model.pooling to 'mean'")


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
