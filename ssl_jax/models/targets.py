"""Target networks: copies of a network that follow it slowly, and are not trained themselves."""

import jax
import jax.numpy as jnp
from flax import nnx


class TargetWeight(nnx.Variable):
    """A weight of a target network: saved with everything else, but no `nnx.Param`, so no optimizer changes it."""


class StepCount(nnx.Variable):
    """How many steps a method has done, int32 scalar, for schedules inside of its loss."""


class Center(nnx.Variable):
    """The running mean of a teacher's logits, float32 [K], zeros at first (Caron et al. 2021, DINO, equation 4)."""


def center(prototypes: int) -> Center:
    """The centre of so many logits at the start."""
    return Center(jnp.zeros((prototypes,), jnp.float32))


def step_count() -> StepCount:
    """A counter at 0; a method's `follow` sets it."""
    return StepCount(jnp.zeros((), jnp.int32))


def target_copy(online: nnx.Module) -> nnx.Module:
    """A copy of `online`, equal to it at first, whose parameters are `TargetWeight`s.

    Its batch statistics are its own: they come from its own passes (as in the official codes of BYOL, MoCo and DINO),
    only weights follow. Trained, it drops what the online network drops (`never_dropping`).
    """
    target = nnx.clone(online)
    for _, node in list(nnx.iter_graph(target)):
        if isinstance(node, nnx.Module):
            for name, value in list(vars(node).items()):
                if isinstance(value, nnx.Param):
                    setattr(node, name, TargetWeight(value[...]))
    return target


def never_dropping(network: nnx.Module) -> nnx.Module:
    """`network` without dropout and stochastic depth, also in training, as teachers are; changed in place."""
    for _, node in list(nnx.iter_graph(network)):
        for rate in ("dropout", "attention_dropout", "drop_path"):
            if isinstance(node, nnx.Module) and hasattr(node, rate):
                setattr(node, rate, 0.0)
    return network


def follow(target: nnx.Module, online: nnx.Module, momentum: float | jax.Array) -> None:
    """Moves every weight of `target` in place: `momentum * target + (1 - momentum) * online`, in float32.

    Args:
      target: from `target_copy(online)`.
      online: as trained so far.
      momentum: 0 (a copy) to 1 (stands still).
    """
    weights, new = nnx.state(target, TargetWeight), nnx.state(online, nnx.Param)
    old, tree = jax.tree.flatten(weights)
    moved = [momentum * was + (1 - momentum) * now for was, now in zip(old, jax.tree.leaves(new), strict=True)]
    nnx.update(target, jax.tree.unflatten(tree, moved))


def follow_all(method: nnx.Module, momentum: float | jax.Array) -> None:
    """Each module that `method` calls `target_NAME` follows the one called `NAME`, as `follow` says."""
    for name, target in list(vars(method).items()):
        if name.startswith("target_") and isinstance(target, nnx.Module):
            follow(target, getattr(method, name.removeprefix("target_")), momentum)


def cosine_ramp(step: jax.Array, steps: int, start: float, end: float) -> jax.Array:
    """From `start` at step 0 to `end` at step `steps` along half a cosine, then `end`.

    As a momentum it is BYOL's (section 3.3): `1 - (1 - start) (cos(pi step / steps) + 1) / 2` for `end` = 1.
    """
    done = jnp.clip(step / max(steps, 1), 0.0, 1.0)
    return end - (end - start) * (jnp.cos(jnp.pi * done) + 1) / 2


def linear_ramp(step: jax.Array, steps: int, start: float, end: float) -> jax.Array:
    """From `start` at step 0 to `end` at step `steps` along a line, then `end`; `end` at once where `steps` is 0."""
    done = jnp.clip(step / steps, 0.0, 1.0) if steps > 0 else 1.0
    return jnp.float32(start + (end - start) * done)


def frozen_until(step: jax.Array, steps: int, module: nnx.Module) -> nnx.Module:
    """`module`, with no gradient into its parameters while `step` is below `steps`.

    What the optimizer does without a gradient (weight decay, momentum) it still does.
    """
    graphdef, params, rest = nnx.split(module, nnx.Param, ...)
    hold = lambda w: jnp.where(step < steps, jax.lax.stop_gradient(w), w)
    return nnx.merge(graphdef, jax.tree.map(hold, params), rest)
