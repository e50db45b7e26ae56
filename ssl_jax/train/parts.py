"""What an optimizer does differently for some parts of a method: other learning rates, none at all; clipping."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from ssl_jax.models import settings
from ssl_jax.train.optimizers import decay_mask

MakeOptimizer = Callable[[optax.Schedule], optax.GradientTransformation]


def by_part(
    make: MakeOptimizer,
    rate: optax.Schedule,
    peak: float,
    *,
    clip_norm: float | None = None,
    constant_rate: tuple[str, ...] = (),
    frozen: tuple[str, ...] = (),
    bias_rate: float = 1.0,
    layer_decay: float = 1.0,
) -> optax.GradientTransformation:
    """The optimizer `make(rate)`, with what papers ask for beside it.

    A part is named by the beginning of its parameters' path: 'predictor', 'backbone.patch_embedding'.

    Args:
      make: learning rate by step -> optimizer.
      rate: learning rate by step.
      peak: its highest value.
      clip_norm: largest global norm of the gradient, None for no clipping.
      constant_rate: parts trained at `peak` throughout (SimSiam's predictor; Chen and He 2021, section 4.2).
      frozen: parts that stay as they are drawn (MoCo v3's patch projection; Chen et al. 2021, section 4.2).
      bias_rate: multiplies the rate of what is not decayed: biases and normalisation scales (Barlow Twins' code).
      layer_decay: multiplies the rate once more for each block of a ViT further from its output (BEiT, DINOv2): of a
        depth L, block i (from 0) has `layer_decay ** (L - i)`, the embedding `layer_decay ** (L + 1)`.

    Raises:
      ValueError: a setting that is not positive.
    """
    settings.positive(clip_norm=1.0 if clip_norm is None else clip_norm, bias_rate=bias_rate, layer_decay=layer_decay)
    update = make(rate)
    if constant_rate:
        choices = {True: make(optax.constant_schedule(peak)), False: update}
        update = optax.partition(choices, lambda params: _mapped(lambda path, _: _of(path, constant_rate), params))
    if frozen or bias_rate != 1 or layer_decay != 1:
        update = optax.chain(update, _scaled(frozen, bias_rate, layer_decay))
    return update if clip_norm is None else optax.chain(optax.clip_by_global_norm(clip_norm), update)


def _scaled(frozen: tuple[str, ...], bias_rate: float, layer_decay: float) -> optax.GradientTransformation:
    """Multiplies finished updates, which is the same as another learning rate."""

    def update(updates: optax.Updates, params: optax.Params) -> optax.Updates:
        depth, decays = _depth(params), decay_mask(params)

        def scaled(path: str, leaf: jax.Array, decayed: bool) -> jax.Array:
            if _of(path, frozen):
                return jnp.zeros_like(leaf)
            factor = _layer_factor(path, leaf, depth, layer_decay) * (1.0 if decayed else bias_rate)
            return leaf * jnp.asarray(factor, leaf.dtype)

        return _mapped(scaled, updates, decays)

    return optax.stateless(update)


def _layer_factor(path: str, leaf: jax.Array, depth: int, layer_decay: float) -> float | jax.Array:
    """Of one leaf; a column of factors, one a block, where blocks are stacked for `lax.scan`."""
    if layer_decay == 1 or not path.startswith("backbone."):
        return 1.0
    inside = path.partition("stack.blocks.")[2]
    if not inside:
        return 1.0 if path.startswith("backbone.norm.") else layer_decay ** (depth + 1)
    number = inside.partition(".")[0]
    if number.isdigit():
        return layer_decay ** (depth - int(number))
    factors = layer_decay ** (depth - jnp.arange(depth, dtype=jnp.float32))
    return factors.reshape(-1, *(1,) * (leaf.ndim - 1))


def _depth(params: optax.Params) -> int:
    """Number of blocks of the backbone, 0 where it has none."""
    depth = 0
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        inside = path_name(path).partition("backbone.stack.blocks.")[2]
        number = inside.partition(".")[0]
        depth = max(depth, 0 if not inside else int(number) + 1 if number.isdigit() else leaf.shape[0])
    return depth


def _of(path: str, parts: tuple[str, ...]) -> bool:
    return any(path == part or path.startswith(f"{part}.") for part in parts)


def _mapped(function: Callable, tree: optax.Params, *rest: optax.Params) -> optax.Params:
    """`function(path, leaf, ...)` of every leaf, the path as in 'backbone.stem.kernel'."""
    return jax.tree_util.tree_map_with_path(lambda path, *leaves: function(path_name(path), *leaves), tree, *rest)


def path_name(path: tuple) -> str:
    """'backbone.stem.kernel' for the path of a leaf of an nnx.State."""
    return jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value")
