"""From a config to the parts of a run: data, method, optimizer, schedule, mesh. Everything is checked on the way."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh

from ssl_jax import augment, config as configs, data, masking, methods, models
from ssl_jax.errors import UserError
from ssl_jax.evaluate import Evaluation
from ssl_jax.train import mesh as meshes
from ssl_jax.train import optimizers, state as states
from ssl_jax.train.checkpoints import Checkpoints
from ssl_jax.train.loop import Recipe

VIEWS = {**augment.VIEWS, **masking.VIEWS}
RATE_SETTINGS = ("learning_rate", "reference_batch_size")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationPlan(Evaluation):
    """When to evaluate, and how.

    Attributes:
      every: steps between evaluations during training, 0 for none before the end.
      during: the tasks of those; `tasks` are those of the end.
      batch_size: examples embedded at once.
      limit: at most so many labelled training examples are used, spread evenly over the split; None for all.
    """

    every: int = 0
    during: tuple[str, ...] = ("knn_full",)
    batch_size: int = 256
    limit: int | None = None

    def __post_init__(self):
        super().__post_init__()
        dataclasses.replace(Evaluation(), tasks=self.during)
        if self.every < 0 or self.batch_size < 1:
            raise ValueError(f"every {self.every} must be at least 0 and batch_size {self.batch_size} at least 1")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit {self.limit} must be at least 1, or None for all examples")


@dataclasses.dataclass(frozen=True)
class Experiment:
    """All parts of a run, built and checked; no parameter exists yet.

    Attributes:
      config: the resolved config, as plain dicts.
      data: the opened data set, with its `spec`.
      make_method: random source -> the method with its parameters.
      method: the same with shapes in place of arrays.
      recipe: what the training loop does.
      plan: of the evaluations.
    """

    config: dict[str, Any]
    data: Any
    make_method: Callable[[nnx.Rngs], nnx.Module]
    method: nnx.Module
    recipe: Recipe
    plan: EvaluationPlan

    def initial_state(self) -> states.TrainState:
        """The state at step 0."""
        recipe = self.recipe
        return states.initialize(self.make_method, recipe.optimizer, recipe.seed, recipe.mesh)

    def batches(self, start: int) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """(step, this process's rows of its batch) from step `start` (counted from 0) to the last."""
        return data.batches(self.data, start=start, stop=self.recipe.steps, **self._rows())

    def batch_at(self, step: int) -> dict[str, np.ndarray]:
        """This process's rows of the batch of one step."""
        return next(data.batches(self.data, start=step, stop=step + 1, **self._rows()))[1]

    def _rows(self) -> dict[str, int]:
        hosts = dict(host_index=jax.process_index(), host_count=jax.process_count())
        return dict(batch_size=self.recipe.batch_size, seed=self.recipe.seed, **hosts)

    def module(self, state: states.TrainState) -> nnx.Module:
        """The method as a module with the parameters of `state`."""
        return nnx.merge(self.recipe.graphdef, state.params, state.variables, copy=True)


def check(config: Mapping[str, Any], method_table: Mapping[str, Callable] = methods.METHODS) -> None:
    """Checks every name, key and type of a plain config against the constructors that it names. Touches no data.

    Raises:
      UserError: one line that says what is wrong, where, and what would be right.
    """
    configs.check_frame(config)
    _check_data(config["data"])
    _check_part(VIEWS, config, "views")
    _check_part(models.MODELS, config, "model", given=("rngs",))
    _check_part(method_table, config, "method", given=("rngs",))
    _check_part(optimizers.SCHEDULES, config, "schedule")
    _rate_and_optimizer(config)
    configs.check(Checkpoints, config["checkpoint"], "config.checkpoint")
    configs.construct(EvaluationPlan, config["evaluate"], "config.evaluate")


def _check_data(node: Mapping[str, Any]) -> None:
    chosen = configs.choose(data.MODALITIES, node, "config.data", by="modality")
    if not isinstance(node.get("name"), str):
        raise UserError("config.data.name must be the name of a data set: digits, openmoji, kjv, or any of TFDS.")
    configs.check(chosen, configs.without(node, "modality", "name"), "config.data", given=("data_dir",))


def _check_part(choices: Mapping, config: Mapping, part: str, *, given: tuple = ()) -> None:
    path = f"config.{part}"
    chosen = configs.choose(choices, config[part], path)
    configs.check(chosen, configs.without(config[part], "name"), path, given=given)


def _rate_and_optimizer(config: Mapping[str, Any]) -> tuple[float, Callable, dict[str, Any]]:
    """Returns the peak learning rate, the optimizer's constructor and its settings."""
    node, path = config["optimizer"], "config.optimizer"
    chosen = configs.choose(optimizers.OPTIMIZERS, node, path)
    rate = {name: node[name] for name in RATE_SETTINGS if name in node}
    peak = configs.construct(optimizers.peak_rate, rate, path, config["batch_size"])
    settings = configs.without(node, "name", *RATE_SETTINGS)
    configs.check(chosen, settings, path)
    return peak, chosen, settings


def build(
    config: Mapping[str, Any],
    *,
    data_dir: str | None = None,
    mesh: Mesh | None = None,
    method_table: Mapping[str, Callable] = methods.METHODS,
) -> Experiment:
    """Builds a checked config: prepares and opens the data, shapes the method, makes the optimizer.

    Args:
      config: plain, as `config.plain` gives it.
      data_dir: where TFDS data lies, None for TFDS's own default.
      mesh: None for one over all devices.
      method_table: name -> class; another table lets a method live outside of this package.

    Raises:
      UserError: a bad setting, missing data, or parts that do not fit together.
    """
    check(config, method_table)
    mesh = mesh or meshes.make_mesh()
    meshes.check_batch_size(config["batch_size"], mesh)
    opened = _open_data(config, data_dir)
    make_method = functools.partial(_make_method, config, opened.spec, method_table)
    method = states.abstract(make_method)
    schedule, optimizer = _optimizer(config)
    plan = configs.construct(EvaluationPlan, config["evaluate"], "config.evaluate")
    recipe = Recipe(
        graphdef=nnx.split(method)[0],
        optimizer=optimizer,
        schedule=schedule,
        mesh=mesh,
        seed=config["seed"],
        steps=config["steps"],
        batch_size=config["batch_size"],
        log_every=config.get("log_every", 50),
        evaluate_every=plan.every,
    )
    return Experiment(dict(config), opened, make_method, method, recipe, plan)


def _open_data(config: Mapping[str, Any], data_dir: str | None) -> Any:
    node = config["data"]
    chosen = configs.choose(data.MODALITIES, node, "config.data", by="modality")
    settings = configs.without(node, "modality", "name")
    return configs.construct(chosen, settings, "config.data", node["name"], data_dir=data_dir)


def _optimizer(config: Mapping[str, Any]) -> tuple[optax.Schedule, optax.GradientTransformation]:
    peak, chosen, settings = _rate_and_optimizer(config)
    node = config["schedule"]
    make = configs.choose(optimizers.SCHEDULES, node, "config.schedule")
    schedule = configs.construct(make, configs.without(node, "name"), "config.schedule", peak, config["steps"])
    return schedule, configs.construct(chosen, settings, "config.optimizer", schedule)


def _make_method(config: Mapping[str, Any], spec: Any, method_table: Mapping, rngs: nnx.Rngs) -> nnx.Module:
    view = _named(VIEWS, config["views"], "config.views", spec)
    backbone = _named(models.MODELS, config["model"], "config.model", rngs=rngs)
    _check_fit(backbone, view, spec)
    return _named(method_table, config["method"], "config.method", backbone, view, rngs=rngs)


def _named(choices: Mapping, node: Mapping, path: str, *args: Any, **given: Any) -> Any:
    chosen = configs.choose(choices, node, path)
    return configs.construct(chosen, configs.without(node, "name"), path, *args, **given)


def _check_fit(backbone: nnx.Module, view: Any, spec: Any) -> None:
    """Raises UserError where the model was made for other data than what comes."""
    wanted = {name: getattr(backbone, name) for name in ("image_size", "channels", "vocab_size") if hasattr(backbone, name)}
    shape = spec.shapes.get("image")
    if ("vocab_size" in wanted) != (shape is None):
        raise UserError(f"config.model {type(backbone).__name__} cannot read config.data of kind {', '.join(spec.shapes)}.")
    if shape is None:
        found = {"vocab_size": spec.vocab_size}
    else:
        found = {"image_size": view.shape[0], "channels": view.shape[-1]}
    for name, value in wanted.items():
        if found[name] != value:
            raise UserError(f"config.model.{name} is {value}, but the data and config.views give {found[name]}.")
    if shape is None and spec.shapes["tokens"][0] > backbone.max_length:
        longest = spec.shapes["tokens"][0]
        raise UserError(f"config.model.max_length {backbone.max_length} is below config.data.sequence_length {longest}.")
