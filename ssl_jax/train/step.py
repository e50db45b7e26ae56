"""The train step: one for all methods and modalities."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from ssl_jax.models.paths import path_name
from ssl_jax.train.state import TrainState, run_keys

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]


def step_keys(seed: int, step: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The keys of step `step` (counted from 0): one for views and masks, one for dropout and the like."""
    steps = run_keys(seed)[1]
    views, loss = jax.random.split(jax.random.fold_in(steps, step))
    return views, loss


def make_train_step(
    graphdef: nnx.GraphDef, optimizer: optax.GradientTransformation, schedule: optax.Schedule, seed: int
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """Returns `train_step(state, batch) -> (state, metrics)`, a pure function to be compiled with donated state.

    Args:
      graphdef: the static half of the method, from `nnx.split`.
      optimizer: what turns gradients into updates.
      schedule: learning rate by step, for the metrics.
      seed: with the step number, all randomness of a step.

    The step takes the global batch: under jit over a Mesh every mean, batch statistic and all-pairs loss is over all
    devices. metrics: scalars, the method's own and `loss`, `grad_norm`, `learning_rate`, `bad_step` of the new state.
    """

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        views_key, loss_key = step_keys(seed, state.step)

        # 1. Views and masks, on the device, from this step's key.
        views = nnx.merge(graphdef, state.params, state.variables, copy=True).views(batch, views_key)

        # 2. The loss, its metrics and whatever the forward pass changed (batch statistics, queues).
        def loss_of(params: nnx.State) -> tuple[jax.Array, tuple[Metrics, nnx.State]]:
            method = nnx.merge(graphdef, params, state.variables, copy=True)
            loss, metrics = method.loss(views, loss_key)
            return loss, (metrics, nnx.state(method, nnx.Not(nnx.Param)))

        (loss, (metrics, variables)), grads = jax.value_and_grad(loss_of, has_aux=True)(state.params)

        # 3. The update, then what follows the parameters (target networks).
        updates, optimizer_state = optimizer.update(grads, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        params, variables = _follow(graphdef, params, variables, state.step)

        # 4. A loss, gradient, update or variable that is not finite leaves everything as it was and marks the step.
        grad_norm = optax.tree.norm(grads)
        good = jnp.isfinite(loss) & jnp.isfinite(grad_norm) & _finite((updates, variables)) & (state.bad_step < 0)
        new = (params, variables, optimizer_state)
        old = (state.params, state.variables, state.optimizer)
        params, variables, optimizer_state = jax.tree.map(lambda n, o: jnp.where(good, n, o), new, old)
        bad_step = jnp.where(good | (state.bad_step >= 0), state.bad_step, state.step)
        metrics = {"loss": loss, "grad_norm": grad_norm, "learning_rate": schedule(state.step), **metrics}
        metrics["bad_step"] = bad_step
        return TrainState(state.step + 1, params, variables, optimizer_state, bad_step), metrics

    return train_step


def _finite(tree: tuple[optax.Updates, nnx.State]) -> jax.Array:
    floats = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in floats]).all()


def _follow(
    graphdef: nnx.GraphDef, params: nnx.State, variables: nnx.State, step: jax.Array
) -> tuple[nnx.State, nnx.State]:
    """Lets what follows the new parameters do so: target networks, or parameters kept at unit length."""
    method = nnx.merge(graphdef, params, variables, copy=True)
    if not hasattr(method, "follow"):
        return params, variables
    method.follow(step)
    return nnx.state(method, nnx.Param), nnx.state(method, nnx.Not(nnx.Param))


def first_bad_tensor(graphdef: nnx.GraphDef, state: TrainState, batch: Batch, seed: int, step: int) -> str:
    """Names the first tensor of step `step` that is not finite, in the order in which a step makes them.

    Args:
      graphdef: the static half of the method.
      state: the state before that step (which is what a bad step leaves).
      batch: batch number `step`.
      seed: the run's seed.
      step: counted from 0.

    Returns:
      For example 'gradient of backbone.stem.kernel'.
    """
    views_key, loss_key = step_keys(seed, jnp.int32(step))
    method = nnx.merge(graphdef, state.params, state.variables, copy=True)
    views = method.views(batch, views_key)

    def loss_of(params: nnx.State) -> tuple[jax.Array, Metrics]:
        return nnx.merge(graphdef, params, state.variables, copy=True).loss(views, loss_key)

    (loss, metrics), grads = jax.jit(jax.value_and_grad(loss_of, has_aux=True))(state.params)
    stages = {"batch": batch, "parameter": state.params, "variable": state.variables, "view": views}
    stages |= {"metric": metrics, "loss": {"": loss}, "gradient of": grads}
    for stage, tree in stages.items():
        for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
            if jnp.issubdtype(leaf.dtype, jnp.floating) and not bool(jnp.isfinite(leaf).all()):
                return f"{stage} {path_name(path)}".strip()
    return "update (every tensor before it is finite when the step is computed again)"
