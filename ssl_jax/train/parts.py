"""What an optimizer does differently for some parts of a method: other learning rates, none at all; clipping."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ssl_jax.errors import unknown
from ssl_jax.models import settings
from ssl_jax.models.decay import decay_mask
from ssl_jax.models.paths import path_name

PATCHES = "backbone.patch_embedding"
_OUTERMOST = ("backbone.norm.", "backbone.relative")  # BEiT's code counts its table of distances to the head's
MakeOptimizer = Callable[..., optax.GradientTransformation]


def by_part(
    make: MakeOptimizer,
    rate: optax.Schedule,
    peak: float,
    *,
    clip_norm: float | None = None,
    clip_each: float | None = None,
    constant_rate: tuple[str, ...] = (),
    apart: tuple[str, ...] = (),
    apart_rate: float = 1.0,
    apart_decay: float | None = None,
    frozen: tuple[str, ...] = (),
    late: tuple[str, ...] = (),
    late_steps: int = 0,
    bias_rate: float = 1.0,
    patch_rate: float = 1.0,
    layer_decay: float = 1.0,
) -> optax.GradientTransformation:
    """The optimizer `make(rate)`, with what papers ask for beside it.

    A part is named by the beginning of its parameters' path: 'predictor', 'backbone.patch_embedding'.

    Args:
      make: learning rate by step, and settings that are others than usual -> optimizer.
      rate: learning rate by step.
      peak: its highest value.
      clip_norm: largest global norm of the gradient, None for no clipping.
      clip_each: largest norm of each parameter's own gradient (the official codes of DINO and iBOT), None for no
        clipping. Blocks that are stacked for `lax.scan` are clipped one by one.
      constant_rate: parts trained at `peak` throughout (SimSiam's predictor; Chen and He 2021, section 4.2).
      apart: parts that an optimizer of the same kind trains by a rate and a decay of their own (CAPI's clustering).
      apart_rate: multiplies the rate of those.
      apart_decay: their `weight_decay`, None for that of all others.
      frozen: parts that stay as they are drawn (MoCo v3's patch projection; Chen et al. 2021, section 4.2).
      late: parts that stay as they are drawn for the first `late_steps` steps (DINO's last layer). Their moments are
        gathered meanwhile, as in DINOv2's code; in DINO's, they start when the part does.
      late_steps: see `late`.
      bias_rate: multiplies the rate of what is not decayed: biases and normalisation scales (Barlow Twins' code).
      patch_rate: multiplies the rate of the backbone's `patch_embedding` (DINOv2).
      layer_decay: multiplies the rate once more for each block of a ViT further from its output (BEiT, DINOv2): of a
        depth L, block i (from 0) has `layer_decay ** (L - i)`, the embedding and a method's `mask_token`
        `layer_decay ** (L + 1)`, the last normalisation and a table of relative positions 1.

    Raises:
      ValueError: a setting that is not positive, or below 0 where 0 is allowed; `late` or `late_steps` alone; `apart`
        without a rate or decay, or these without it.
    """
    clips = {"clip_norm": clip_norm, "clip_each": clip_each}
    settings.positive(**{name: limit for name, limit in clips.items() if limit is not None})
    settings.positive(apart_rate=apart_rate, bias_rate=bias_rate, patch_rate=patch_rate, layer_decay=layer_decay)
    settings.at_least(0, late_steps=late_steps)
    if bool(late) != bool(late_steps):
        raise ValueError(f"late {late} and late_steps {late_steps} have an effect together only; give both, or neither")
    if bool(apart) != (apart_rate != 1 or apart_decay is not None):
        raise ValueError(f"apart {apart} and its apart_rate or apart_decay have an effect together only")
    update = make(rate)
    if constant_rate:
        update = _by_name(make(optax.constant_schedule(peak)), update, constant_rate)
    if apart:
        other = {} if apart_decay is None else {"weight_decay": apart_decay}
        update = _by_name(make(lambda step: apart_rate * rate(step), **other), update, apart)
    if bias_rate != 1 or patch_rate != 1 or layer_decay != 1:
        update = optax.chain(update, _scaled(bias_rate, patch_rate, layer_decay))
    if late:
        wait = optax.scale_by_schedule(lambda step: jnp.where(step < late_steps, 0.0, 1.0))
        which = lambda params: _mapped(lambda path, _: _of(path, late), params)
        update = optax.chain(update, optax.masked(wait, which))
    if clip_each is not None:
        update = optax.chain(_clipped(clip_each), update)
    if clip_norm is not None:
        update = optax.chain(optax.clip_by_global_norm(clip_norm), update)
    return optax.chain(_without(frozen), update, _without(frozen)) if frozen else update


def _by_name(
    named: optax.GradientTransformation, others: optax.GradientTransformation, parts: tuple[str, ...]
) -> optax.GradientTransformation:
    """One optimizer for `parts`, another one for all else."""
    label = lambda params: _mapped(lambda path, _: _of(path, parts), params)
    return optax.partition({True: named, False: others}, label)


def check_parts(
    params: Mapping[str, Any],
    *,
    constant_rate: tuple[str, ...] = (),
    apart: tuple[str, ...] = (),
    frozen: tuple[str, ...] = (),
    late: tuple[str, ...] = (),
    patch_rate: float = 1.0,
    layer_decay: float = 1.0,
) -> None:
    """Checks that what `by_part` is told of is there.

    Args:
      params: of the method, arrays or shapes.
      constant_rate, apart: as for `by_part`, like the following.
      frozen: parts; not all that there are.
      late: parts.
      patch_rate: other than 1, it needs a backbone with a patch embedding.
      layer_decay: other than 1, it needs a backbone of blocks.

    Raises:
      ValueError: a part has no parameters (names the setting, the part, and those that there are in its place), or
        nothing is left to train.
    """
    paths = [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    for setting, names in dict(constant_rate=constant_rate, apart=apart, frozen=frozen, late=late).items():
        for name in names:
            if not any(_of(path, (name,)) for path in paths):
                raise ValueError(str(unknown(setting, name, _beside(name, paths))))
    if paths and all(_of(path, frozen) for path in paths):
        raise ValueError(f"frozen {frozen} leaves nothing to train")
    if layer_decay != 1 and not _depth(params):
        raise ValueError(f"layer_decay {layer_decay} needs a backbone of blocks, as a vit is")
    if patch_rate != 1 and not any(_of(path, (PATCHES,)) for path in paths):
        raise ValueError(f"patch_rate {patch_rate} needs a {PATCHES}, as a vit has")


def _beside(name: str, paths: list[str]) -> set[str]:
    """The parts that the longest beginning of `name` that exists consists of."""
    above = name.rpartition(".")[0]
    inside = [path for path in paths if not above or _of(path, (above,))]
    if not inside:
        return _beside(above, paths)
    depth = above.count(".") + 2 if above else 1
    return {".".join(path.split(".")[:depth]) for path in inside}


def _clipped(limit: float) -> optax.GradientTransformation:
    """Each parameter's gradient scaled down to a norm of at most `limit`."""

    def clipped(path: str, leaf: jax.Array) -> jax.Array:
        axes = tuple(range(1 if _is_stacked(path) else 0, leaf.ndim))
        norm = jnp.sqrt(jnp.sum(jnp.square(leaf.astype(jnp.float32)), axes, keepdims=True))
        return leaf * jnp.minimum(1.0, limit / (norm + 1e-6)).astype(leaf.dtype)

    return optax.stateless(lambda updates, _: _mapped(clipped, updates))


def _without(frozen: tuple[str, ...]) -> optax.GradientTransformation:
    """Nothing of what is frozen: no gradient, which would count for clipping, and no update, which may be decay."""
    still = lambda path, leaf: jnp.zeros_like(leaf) if _of(path, frozen) else leaf
    return optax.stateless(lambda updates, _: _mapped(still, updates))


def _scaled(bias_rate: float, patch_rate: float, layer_decay: float) -> optax.GradientTransformation:
    """Multiplies finished updates, which is the same as another learning rate."""

    def update(updates: optax.Updates, params: optax.Params) -> optax.Updates:
        depth, decays = _depth(params), decay_mask(params)

        def scaled(path: str, leaf: jax.Array, decayed: bool) -> jax.Array:
            factor = _layer_factor(path, leaf, depth, layer_decay) * (1.0 if decayed else bias_rate)
            factor = factor * (patch_rate if _of(path, (PATCHES,)) else 1.0)
            return leaf * jnp.asarray(factor, leaf.dtype)

        return _mapped(scaled, updates, decays)

    return optax.stateless(update)


def _layer_factor(path: str, leaf: jax.Array, depth: int, layer_decay: float) -> float | jax.Array:
    """Of one leaf; a column of factors, one a block, where blocks are stacked for `lax.scan`."""
    if layer_decay == 1 or not path.startswith(("backbone.", "mask_token")):
        return 1.0
    inside = path.partition("stack.blocks.")[2]
    if not inside:
        return 1.0 if path.startswith(_OUTERMOST) else layer_decay ** (depth + 1)
    if not _is_stacked(path):
        return layer_decay ** (depth - int(inside.partition(".")[0]))
    factors = layer_decay ** (depth - jnp.arange(depth, dtype=jnp.float32))
    return factors.reshape(-1, *(1,) * (leaf.ndim - 1))


def _is_stacked(path: str) -> bool:
    """Whether the leaf of this path holds all blocks of a stack, for `lax.scan`."""
    inside = path.partition("stack.blocks.")[2]
    return bool(inside) and not inside.partition(".")[0].isdigit()


def _depth(params: optax.Params) -> int:
    """Number of blocks of the backbone, 0 where it has none."""
    depth = 0
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        inside = path_name(path).partition("backbone.stack.blocks.")[2]
        if inside:
            depth = max(depth, leaf.shape[0] if _is_stacked(path_name(path)) else int(inside.partition(".")[0]) + 1)
    return depth


def _of(path: str, parts: tuple[str, ...]) -> bool:
    return any(path == part or path.startswith(f"{part}.") for part in parts)


def _mapped(function: Callable, tree: optax.Params, *rest: optax.Params) -> optax.Params:
    """`function(path, leaf, ...)` of every leaf, the path as in 'backbone.stem.kernel'."""
    return jax.tree_util.tree_map_with_path(lambda path, *leaves: function(path_name(path), *leaves), tree, *rest)
