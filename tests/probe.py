"""A tiny method to ask questions of: its loss, gradients and state."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.experiment import build
from ssl_jax.models import normalize_apart, targets
from ssl_jax.models.paths import path_name
from ssl_jax.train import mesh as meshes
from tests import tiny

KEY = jax.random.key(0)


def made(name: str, data_dir: str, /, parts: dict[str, Any] | None = None, **method: Any) -> tuple[nnx.Module, Any]:
    """The method `name` of `tiny` on one device, with the settings `method`, and the views of its first batch.

    Its weights are moved from where they begin: some begin at 0 (where others get no gradient), and a target equals
    what it follows. `parts` are more leaves of the config.
    """
    config = tiny.config(name, **{**(parts or {}), "method": method})
    experiment = build(config, data_dir=data_dir, mesh=meshes.make_mesh(jax.devices()[:1]))
    module = experiment.module(experiment.initial_state())
    for start, kind in enumerate((nnx.Param, targets.TargetWeight)):
        nnx.update(module, _moved(nnx.state(module, kind), start))
    return module, jax.jit(module.views)(experiment.batch_at(0), jax.random.key(1))


@jax.jit
def _moved(weights, start):
    waves = lambda weight: jnp.sin(start + jnp.arange(weight.size) ** 2).reshape(weight.shape)
    return jax.tree.map(lambda weight: weight + 0.1 * waves(weight), weights)


def twin(method: nnx.Module) -> nnx.Module:
    """The same method again, with a state of its own, for passes of one view (and not all views in one pass)."""
    same = nnx.merge(*nnx.split(method), copy=True)
    normalize_apart(same, views=1)
    return same


@nnx.jit(static_argnames="train")
def loss(method: nnx.Module, views: Any, *, train: bool = True, key: jax.Array = KEY) -> jax.Array:
    """The loss, compiled; what it leaves in the method's state is left there."""
    return method.loss(views, key, train=train)[0]


def descended(method: nnx.Module, views: Any, *, steps: int = 300, rate: float = 0.1, apart: Sequence[str]) -> float:
    """The loss after steps of gradient descent on one batch; weights called as `apart` says stay as they are."""
    graphdef, params, rest = nnx.split(method, nnx.Param, ...)

    @jax.jit
    def step(params):
        loss = lambda params: nnx.merge(graphdef, params, rest, copy=True).loss(views, KEY, train=False)[0]
        value, gradients = jax.value_and_grad(loss)(params)
        moved = lambda path, w, g: w if path_name(path) in apart else w - rate * g
        return value, jax.tree_util.tree_map_with_path(moved, params, gradients)

    for _ in range(steps):
        value, params = step(params)
    return float(value)


@nnx.jit
def projections(method: nnx.Module, images: jax.Array) -> jax.Array:
    """One pass of training through backbone and projector."""
    return method.projector(method.backbone(images, train=True), train=True)


def gradients(method: nnx.Module, views: Any, *, train: bool = True) -> dict[str, jax.Array]:
    """The gradient of the loss with respect to every variable of floats, by path ('backbone.stem.kernel')."""
    return gradients_of(lambda method: method.loss(views, KEY, train=train)[0], method)


def gradients_of(loss_of: Callable[[nnx.Module], jax.Array], method: nnx.Module) -> dict[str, jax.Array]:
    """The same for any scalar that is computed from a method."""
    graphdef, state = nnx.split(method)
    is_float = lambda leaf: jnp.issubdtype(leaf.dtype, jnp.floating)
    leaves, tree = jax.tree.flatten(state)
    floats = [leaf for leaf in leaves if is_float(leaf)]

    def loss(floats):
        given = iter(floats)
        merged = jax.tree.unflatten(tree, [next(given) if is_float(leaf) else leaf for leaf in leaves])
        return loss_of(nnx.merge(graphdef, merged, copy=True))

    paths = [path for path, leaf in jax.tree_util.tree_leaves_with_path(state) if is_float(leaf)]
    return dict(zip(map(path_name, paths), jax.jit(jax.grad(loss))(floats), strict=True))


def check_gradients(method: nnx.Module, views: Any, *, without: tuple[str, ...] = ()) -> None:
    """Every `nnx.Param` has a gradient, those whose path begins with one of `without` excepted; nothing else has."""
    params = jax.tree_util.tree_leaves_with_path(nnx.state(method, nnx.Param))
    names = {path_name(path) for path, _ in params}
    for name, gradient in gradients(method, views).items():
        trained = name in names and not name.startswith(without)
        assert bool(jnp.abs(gradient).max() > 0) == trained, name
