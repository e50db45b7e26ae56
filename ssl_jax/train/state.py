"""What a run is at one step: parameters, the method's other variables, optimizer state, the step number."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh

from ssl_jax.train import mesh as meshes

REPLICATED = meshes.Sharding()


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that a checkpoint holds.

    Attributes:
      step: int32 scalar, number of steps done.
      params: the method's `nnx.Param`s: what the optimizer changes.
      variables: its other `nnx.Variable`s: batch statistics, target weights, queues, centres.
      optimizer: the optimizer's state.
      bad_step: int32 scalar, the first step (counted from 0) whose loss or gradient was not finite, or -1. From that
        step on the rest of the state stands still, so that a poisoned state is never saved.
    """

    step: jax.Array
    params: nnx.State
    variables: nnx.State
    optimizer: optax.OptState
    bad_step: jax.Array


def run_keys(seed: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """A run's three independent keys: of the first parameters, of the steps, of views in evaluations."""
    parameters, steps, evaluations = jax.random.split(jax.random.key(seed), 3)
    return parameters, steps, evaluations


def abstract(make_method: Callable[..., nnx.Module]) -> nnx.Module:
    """The method with shapes in place of arrays. Nothing is computed, so that bad settings show at once."""
    return nnx.eval_shape(lambda: make_method(nnx.Rngs(0)))


def initialize(
    make_method: Callable[..., nnx.Module],
    optimizer: optax.GradientTransformation,
    seed: int,
    mesh: Mesh,
    sharding: meshes.Sharding = REPLICATED,
    weights: nnx.State | None = None,
) -> TrainState:
    """The state at step 0, a pure function of `seed` and of the weights that `make_method` is to begin with, if any.

    It is split over the mesh as `sharding` says.
    """
    shapes = abstract_state(make_method, optimizer, mesh, sharding)
    make = jax.jit(
        functools.partial(_make, make_method, optimizer),
        out_shardings=jax.tree.map(lambda leaf: leaf.sharding, shapes),
    )
    place = lambda leaf: meshes.placed(np.asarray(leaf), sharding.of(leaf.shape, mesh))
    return make(run_keys(seed)[0], jax.tree.map(place, weights))


def abstract_state(
    make_method: Callable[..., nnx.Module],
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    sharding: meshes.Sharding = REPLICATED,
) -> TrainState:
    """The same with shapes in place of arrays."""
    shapes = jax.eval_shape(functools.partial(_make, make_method, optimizer), jax.random.key(0))
    place = lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding.of(leaf.shape, mesh))
    return jax.tree.map(place, shapes)


def _make(
    make_method: Callable[..., nnx.Module],
    optimizer: optax.GradientTransformation,
    key: jax.Array,
    weights: nnx.State | None = None,
) -> TrainState:
    _, params, variables = nnx.split(make_method(nnx.Rngs(key), weights), nnx.Param, ...)
    none = jnp.full((), -1, jnp.int32)
    return TrainState(jnp.zeros((), jnp.int32), params, variables, optimizer.init(params), none)


def parameter_count(method: nnx.Module) -> int:
    """Number of trainable scalars, of a real or an abstract module."""
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(method, nnx.Param)))
