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

from ssl_jax import augment, data, masking, methods, models
from ssl_jax import config as configs
from ssl_jax.errors import UserError
from ssl_jax.evaluate import MATCHING, NEIGHBOURS, ZERO_SHOT, Evaluation, check_tasks
from ssl_jax.experiment import class_texts, initial_weights, preparing
from ssl_jax.train import checkpoints, optimizers, parts
from ssl_jax.train import mesh as meshes
from ssl_jax.train import state as states
from ssl_jax.train.loop import Recipe

VIEWS = {**augment.VIEWS, **masking.VIEWS}
GIVEN = ("steps", "batch_size", "num_classes")  # what a constructor gets to know of the run, where it asks for it
SUPPLIED = {
    "data": ("data_dir",),
    "model": ("rngs", "axis_name"),
    "method": ("rngs", *GIVEN),
    "optimizer": ("steps",),
}  # by part, parameters of its constructors that are no settings
BEGINNINGS = {
    "method": (
        "freeze_prototypes_steps",
        "gumbel_steps",
        "kl_warmup_steps",
        "momentum_warmup_steps",
        "warmup_teacher_steps",
    ),
    "optimizer": ("late_steps",),
}  # by part, settings that count steps from the start of the run, after which something changes
FEWEST_EXAMPLES = 3  # of which a map can be drawn


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationPlan(Evaluation):
    """When to evaluate, and how.

    Attributes:
      every: steps between evaluations during training, 0 for none before the end.
      during: the tasks of those; `tasks` are those of the end.
      batch_size: examples embedded at once.
      limit: at most so many labelled training examples are used, spread evenly over the split; None for all.
      layers: whether a linear probe is fitted to the features of each layer too, at the end; the method must have
        `embed_layers`.
      likelihood_limit: of so many held-out texts, spread evenly, the (pseudo-)perplexity is measured at the end; 0: of
        none. Where tokens are masked, it takes as many passes as a text has tokens.
      class_names: what `zero_shot` calls the classes, in the order of their numbers; None: as the data set does.
      templates: what is said of a class in `zero_shot`, with {} in place of its name; one a language, for example.
      map_limit: at most so many held-out examples, chosen at random, are drawn on the map of embeddings at the end; 0:
        there is no map.
      collapse_patience: for how many steps evaluations must have found a collapse, without a healthy one between them,
        before the run warns or stops (`config.on_collapse`); 0: one is enough; None: a tenth of the run.

    Raises:
      ValueError: a task that does not exist, a number below what it may be, or a template without its {}.
    """

    every: int = 0
    during: tuple[str, ...] = ("knn_full",)
    batch_size: int = 256
    limit: int | None = None
    layers: bool = False
    likelihood_limit: int = 0
    class_names: tuple[str, ...] | None = None
    templates: tuple[str, ...] = ("{}",)
    map_limit: int = 1500
    collapse_patience: int | None = None

    def __post_init__(self):
        super().__post_init__()
        check_tasks("during", self.during)
        if self.every < 0:
            raise ValueError(f"every {self.every} must be at least 0 steps; 0 evaluates at the end only")
        if self.batch_size < 1:
            raise ValueError(f"batch_size {self.batch_size} must be at least 1")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit {self.limit} must be at least 1, or None for all examples")
        if self.likelihood_limit < 0:
            raise ValueError(f"likelihood_limit {self.likelihood_limit} must be at least 0 texts")
        if not self.templates or any(template.count("{}") != 1 for template in self.templates):
            raise ValueError(
                f"templates {tuple(self.templates)} must be texts with one {{}} each, such as 'picture of {{}}'"
            )
        if self.map_limit and self.map_limit < FEWEST_EXAMPLES:
            raise ValueError(f"map_limit {self.map_limit} must be at least {FEWEST_EXAMPLES} examples, or 0 for no map")
        if self.collapse_patience is not None and self.collapse_patience < 0:
            raise ValueError(f"collapse_patience {self.collapse_patience} must be at least 0 steps, or None")

    def patience(self, steps: int) -> int:
        """`collapse_patience` in a run of `steps`."""
        return steps // 10 if self.collapse_patience is None else self.collapse_patience


@dataclasses.dataclass(frozen=True)
class Experiment:
    """All parts of a run, built and checked; no parameter exists yet.

    Attributes:
      config: the resolved config, as plain dicts.
      data: the opened data set, with its `spec`.
      make_method: random source, and the weights that its network begins with, if any -> the method with its
        parameters.
      method: the same with shapes in place of arrays.
      recipe: what the training loop does.
      plan: of the evaluations.
      sharding: where the state lies.
    """

    config: dict[str, Any]
    data: Any
    make_method: Callable[..., nnx.Module]
    method: nnx.Module
    recipe: Recipe
    plan: EvaluationPlan
    sharding: meshes.Sharding

    def initial_state(self) -> states.TrainState:
        """The state at step 0, once a method that learns from more than the data as it comes has that (`preparing`)."""
        state = self.unprepared_state()
        return preparing.prepared(self, state) if preparing.needed(self.method) else state

    def unprepared_state(self) -> states.TrainState:
        """The state at step 0 without that: all that an untrained network needs."""
        recipe = self.recipe
        made = (self.make_method, recipe.optimizer, recipe.seed, recipe.mesh, self.sharding)
        return states.initialize(*made, self.initial_weights())

    def initial_weights(self) -> nnx.State | None:
        """The weights of `config.init_from`, None where all are random.

        Raises:
          UserError: they are not there, or do not fit.
        """
        folder = self.config.get("init_from")
        if folder is None:
            return None
        network = nnx.eval_shape(lambda: _network(self.config, nnx.Rngs(0)))
        return initial_weights.read(folder, network, self.config, self.method.view)

    def abstract_state(self) -> states.TrainState:
        """The same with shapes in place of arrays."""
        return states.abstract_state(self.make_method, self.recipe.optimizer, self.recipe.mesh, self.sharding)

    def batches(self, start: int) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """(step, this process's rows of its batch) from step `start` (counted from 0) to the last."""
        return data.batches(self.data, start=start, stop=self.recipe.steps, **self._rows())

    def batch_at(self, step: int) -> dict[str, np.ndarray]:
        """This process's rows of the batch of one step."""
        return data.batch_at(self.data, step=step, **self._rows())

    def _rows(self) -> dict[str, int]:
        hosts = dict(host_index=jax.process_index(), host_count=jax.process_count())
        return dict(batch_size=self.recipe.batch_size, seed=self.recipe.seed, **hosts)

    def module(self, state: states.TrainState) -> nnx.Module:
        """The method as a module with the parameters of `state`."""
        return nnx.merge(self.recipe.graphdef, state.params, state.variables, copy=True)


def check(config: Mapping[str, Any], method_table: Mapping[str, Callable] = methods.METHODS) -> None:
    """Checks every name, key, type and range of a plain config that can be checked without touching data.

    Raises:
      UserError: one line that says what is wrong, where, and what would be right.
    """
    configs.check_frame(config)
    _check_data(config["data"])
    _check_part(VIEWS, config, "views")
    _check_accumulation(config["model"])
    _check_part(models.MODELS, config, "model")
    _check_part(method_table, config, "method")
    _check_batch(config, method_table)
    _check_part(optimizers.SCHEDULES, config, "schedule")
    _optimizer(config)
    _check_beginnings(config, method_table)
    configs.check(checkpoints.Checkpoints, config["checkpoint"], "config.checkpoint")
    configs.construct(checkpoints.check_settings, config["checkpoint"], "config.checkpoint")
    plan = configs.construct(EvaluationPlan, config["evaluate"], "config.evaluate")
    _check_patience(plan, config)
    _check_asked_for(plan, config, method_table)
    _sharding(config)


def _check_accumulation(node: Mapping[str, Any]) -> None:
    """Gradients are not accumulated where that would change them."""
    if "accumulate" in node and getattr(models.MODELS.get(node.get("name")), "batch_statistics", False):
        raise UserError(
            f"config.model.accumulate: a {node['name']} normalises by the statistics of the batch, and its parts have "
            "others, so no accumulation would be exact. Set config.model.remat, or take a vit or more devices."
        )


def _check_batch(config: Mapping[str, Any], method_table: Mapping[str, Callable]) -> None:
    """A method that compares the examples of a batch has some to compare."""
    name, size = config["method"]["name"], config["batch_size"]
    least = getattr(method_table[name], "least_batch", 1)
    if size < least:
        raise UserError(f"config.batch_size is {size}; {name} compares the examples of a batch: at least {least}.")


def _check_beginnings(config: Mapping[str, Any], method_table: Mapping[str, Callable]) -> None:
    """Nothing waits for a step that does not come, as in a run that is shorter than its paper's."""
    for part, names in BEGINNINGS.items():
        defaults = configs.defaults_of(method_table[config[part]["name"]]) if part == "method" else {}
        for name in names:
            value = (defaults | config[part]).get(name, 0)
            if value >= config["steps"]:
                ends = f"and the run ends before, after {config['steps']} steps; lower it"
                raise UserError(f"config.{part}.{name} is {value}, {ends}.")


def _check_patience(plan: EvaluationPlan, config: Mapping[str, Any]) -> None:
    """What was set to be done about a collapse can come to be done in a run of so many steps."""
    stops, steps = config.get("on_collapse") == "stop", config["steps"]
    if not stops and plan.collapse_patience is None:
        return
    what = "config.on_collapse 'stop'" if stops else "config.evaluate.collapse_patience"
    if not (plan.diagnostics and plan.every):
        needed = "every above 0" if plan.diagnostics else "diagnostics to True"
        raise UserError(f"{what} needs diagnoses during training: set config.evaluate.{needed}.")
    between, patience = max(steps - plan.every, 0), plan.patience(steps)
    if between < patience:
        never = f"lie {between} steps, and config.evaluate.collapse_patience is {patience}"
        less = " or less" if between else ""
        instead = f"Set config.evaluate.collapse_patience to {between}{less}, or config.evaluate.every lower"
        raise UserError(f"{what} can never act: between the first and the last evaluation {never}. {instead}.")


def _check_asked_for(plan: EvaluationPlan, config: Mapping[str, Any], method_table: Mapping[str, Callable]) -> None:
    name = config["method"]["name"]
    if plan.layers and not hasattr(method_table[name], "embed_layers"):
        raise UserError(f"config.evaluate.layers: {name} does not give the features of its layers; leave it out.")
    for setting in ("during", "tasks"):
        matching = next((task for task in getattr(plan, setting) if task in MATCHING), None)
        if matching and not hasattr(method_table[name], "project_texts"):
            lacking = f"{matching!r} needs texts, and {name} reads none; leave it out"
            raise UserError(f"config.evaluate.{setting}: {lacking}.")
    guesses = any(hasattr(method_table[name], guess) for guess in ("logits_at", "next_logits"))
    if plan.likelihood_limit and not guesses:
        raise UserError(f"config.evaluate.likelihood_limit: {name} does not say how likely a text is; set it to 0.")


def _check_data(node: Mapping[str, Any]) -> None:
    chosen, names = configs.choose(data.MODALITIES, node, "config.data", by="modality"), ("modality", "name")
    configs.check(chosen, configs.without(node, *names), "config.data", given=SUPPLIED["data"], also=names)
    if not isinstance(node.get("name"), str):
        raise UserError(f"config.data.name must be the name of a data set. Valid: {data.VALID}.")
    data.described(node, data_dir=None)


def _check_part(choices: Mapping, config: Mapping, part: str) -> None:
    path = f"config.{part}"
    chosen = configs.choose(choices, config[part], path)
    given = SUPPLIED.get(part, ())
    configs.check(chosen, configs.without(config[part], "name"), path, given=given, also=("name",))


def build(
    config: Mapping[str, Any],
    *,
    data_dir: str | None = None,
    mesh: Mesh | None = None,
    method_table: Mapping[str, Callable] = methods.METHODS,
    whole_batches: bool = True,
) -> Experiment:
    """Builds a checked config: prepares and opens the data, shapes the method, makes the optimizer.

    Args:
      config: plain, as `config.plain` gives it.
      data_dir: where TFDS data lies, None for TFDS's own default.
      mesh: None for one over all devices.
      method_table: name -> class; another table lets a method live outside of this package.
      whole_batches: the data must fill a batch; without, there are shapes to look at, and nothing to train on.

    Raises:
      UserError: a bad setting, missing data, or parts that do not fit together.
    """
    check(config, method_table)
    mesh = mesh or meshes.make_mesh(model=_sharding(config).model)
    meshes.check_batch_size(config["batch_size"], mesh)
    opened = data.described(config["data"], data_dir)
    make_method = functools.partial(_make_method, config, opened.spec, method_table)
    method = states.abstract(make_method)
    meshes.check_parts(config["batch_size"], mesh, config["model"].get("accumulate", 1))
    _check_named_parts(config["optimizer"], nnx.state(method, nnx.Param))
    _open_splits(config, opened, whole_batches)
    _check_neighbours(config["evaluate"], opened)
    _check_views_are_used(config, method, opened)
    schedule, optimizer = _optimizer(config)
    plan = configs.construct(EvaluationPlan, config["evaluate"], "config.evaluate")
    if ZERO_SHOT in (*plan.during, *plan.tasks):
        class_texts.check(opened, plan.templates, plan.class_names)
    recipe = Recipe(
        graphdef=nnx.split(method)[0],
        optimizer=optimizer,
        schedule=schedule,
        mesh=mesh,
        seed=config["seed"],
        steps=config["steps"],
        batch_size=config["batch_size"],
        log_every=config.get("log_every", configs.OPTIONAL_LEAVES["log_every"]),
        evaluate_every=plan.every,
        hang_seconds=config.get("hang_seconds", configs.OPTIONAL_LEAVES["hang_seconds"]),
    )
    return Experiment(dict(config), opened, make_method, method, recipe, plan, _sharding(config))


def _sharding(config: Mapping[str, Any]) -> meshes.Sharding:
    return configs.construct(meshes.Sharding, config.get("sharding", {}), "config.sharding")


def _open_splits(config: Mapping[str, Any], opened: Any, whole_batches: bool) -> None:
    """Opens all splits, so that what is wrong with one of them shows now and not when it is first read."""
    if whole_batches:
        data.steps_per_epoch(len(opened.train), config["batch_size"])
    for split in ("eval_train", "eval"):
        count = len(getattr(opened, split))
        if count < FEWEST_EXAMPLES:
            few = f"{count} examples; evaluations need at least {FEWEST_EXAMPLES}"
            raise UserError(f"config.data.{split}_split of {config['data']['name']!r} has {few}.")


def _check_neighbours(node: Mapping[str, Any], opened: Any) -> None:
    """Sentences have neighbours where they come one by one, in the order of their texts."""
    for setting in ("during", "tasks"):
        if NEIGHBOURS in node.get(setting, ()) and not hasattr(opened.eval, "document"):
            needed = "needs single sentences: set config.data.layout to 'sentences', or leave it out"
            raise UserError(f"config.evaluate.{setting}: {NEIGHBOURS!r} {needed}.")


def _check_views_are_used(config: Mapping[str, Any], method: nnx.Module, opened: Any) -> None:
    """Small views, and a second one that is drawn otherwise than the first, are views that the method takes."""
    view, name = method.view, config["method"]["name"]
    small, first = getattr(view, "local_crops", 0), getattr(view, "train", None)
    second = getattr(view, "second", first) is not first
    if not small and not second:
        return
    examples, asked = next(data.examples(opened.train, batch_size=1, limit=1)), []
    draw = view.second if second else None
    try:
        if second:
            view.second = lambda *given: asked.append(True) or draw(*given)
        drawn = jax.eval_shape(method.views, examples, jax.random.key(0))
    finally:
        if second:
            view.second = draw
    if small and "local" not in drawn:
        raise UserError(f"config.views.local_crops is {small}, but {name} takes no small views: set it to 0.")
    if second and not asked:
        alone = f"{name} takes one view: set second_blur and second_solarize to None"
        raise UserError(f"config.views: the second view is drawn otherwise than the first, but {alone}.")


def _optimizer(config: Mapping[str, Any]) -> tuple[optax.Schedule, optax.GradientTransformation]:
    node, path = config["optimizer"], "config.optimizer"
    chosen = configs.choose(optimizers.OPTIMIZERS, node, path)
    beside = {name: node[name] for name in configs.settings_of(parts.by_part) if name in node}
    rate = {name: node[name] for name in configs.settings_of(optimizers.peak_rate) if name in node}
    settings = configs.without(node, "name", *beside, *rate)
    others = (*configs.settings_of(optimizers.peak_rate), *configs.settings_of(parts.by_part))
    configs.check(chosen, settings, path, given=SUPPLIED["optimizer"], also=("name", *others))
    peak = configs.construct(optimizers.peak_rate, rate, path, config["batch_size"])
    schedule = _named(optimizers.SCHEDULES, config["schedule"], "config.schedule", peak, config["steps"])
    given = _asked_for(chosen, steps=config["steps"])
    make = lambda rate, **other: configs.construct(chosen, settings | other, path, rate, **given)
    return schedule, configs.construct(parts.by_part, beside, path, make, schedule, peak)


def _check_named_parts(node: Mapping[str, Any], params: nnx.State) -> None:
    """The optimizer's settings that name parts of the method name some that it has."""
    named = {name: node[name] for name in configs.settings_of(parts.check_parts) if name in node}
    configs.construct(parts.check_parts, named, "config.optimizer", params)


def _asked_for(chosen: Callable, **known: int) -> dict[str, int]:
    """What of a run's `known` numbers a constructor takes, for schedules of its own and the like."""
    return {name: value for name, value in known.items() if name in configs.settings_of(chosen)}


def _network(config: Mapping[str, Any], rngs: nnx.Rngs) -> nnx.Module:
    return _named(models.MODELS, config["model"], "config.model", rngs=rngs)


def _make_method(
    config: Mapping[str, Any], spec: Any, method_table: Mapping, rngs: nnx.Rngs, weights: nnx.State | None = None
) -> nnx.Module:
    view, backbone = view_of(config, spec), _network(config, rngs)
    if weights is not None:
        nnx.update(backbone, weights)  # before the method copies it, as targets are
    chosen = method_table[config["method"]["name"]]
    _check_fit(config["method"]["name"], chosen, backbone, view, spec)
    if getattr(chosen, "learns_labels", False) and not spec.num_classes:
        lacking = f"config.method.name: {config['method']['name']} learns from labels, and {config['data']['name']!r}"
        raise UserError(f"{lacking} comes without; set config.data.label_key to the feature that holds the class.")
    numbers = dict(steps=config["steps"], batch_size=config["batch_size"], num_classes=spec.num_classes)
    given = _asked_for(chosen, **numbers)
    return _named(method_table, config["method"], "config.method", backbone, view, rngs=rngs, **given)


def view_of(config: Mapping[str, Any], spec: Any) -> Any:
    """The views of `config` for data of that `spec`."""
    return _named(VIEWS, config["views"], "config.views", spec)


def _named(choices: Mapping, node: Mapping, path: str, *args: Any, **given: Any) -> Any:
    chosen = configs.choose(choices, node, path)
    return configs.construct(chosen, configs.without(node, "name"), path, *args, **given)


def _check_fit(name: str, chosen: Callable, backbone: nnx.Module, view: Any, spec: Any) -> None:
    """Raises UserError where the method or the model was made for other data than what comes."""
    reads, given = getattr(chosen, "reads", ("image",)), getattr(view, "gives", spec.modality)
    if given not in reads:
        data_is = f"config.data.modality is {spec.modality!r}"
        data_is += "" if given == spec.modality else f", of which config.views give {given!r}"
        hint = (
            "; a data set of videos, such as 'moving_digits', gives clips"
            if "clip" in reads and given == "image"
            else ""
        )
        raise UserError(f"config.method.name: {name} learns from {_or(reads)}, and {data_is}{hint}.")
    if backbone.reads != given:
        hint = "; a vit with frames reads clips" if given == "clip" else ""
        reader = f"a {type(backbone).__name__} reads {backbone.reads}"
        raise UserError(f"config.model.name: {reader}, and config.views give {given}{hint}.")
    check = {"image": _check_pictures, "clip": _check_pictures, "text": _check_text, "words": _check_text}.get(given)
    if check is not None:
        check(backbone, view, spec)


def _or(names: tuple[str, ...]) -> str:
    return " or ".join(repr(name) for name in names)


def _check_pictures(backbone: nnx.Module, view: Any, spec: Any) -> None:
    del spec
    *time, height, width, channels = view.shape
    factor = getattr(backbone, "factor", 1)
    if height % factor or width % factor:
        sides = f"pictures of {height} x {width} pixels, which config.model.factor {factor} does not divide"
        raise UserError(f"config.views give {sides}.")
    _check_sizes(backbone, image_size=height, image_width=width, channels=channels)
    _check_sizes(backbone, **({"frames": time[0]} if time else {}))
    least = getattr(backbone, "least_height", 0)
    if height < least:
        few = f"config.model needs at least {least}; raise config.data.seconds, or lower config.views.hop"
        raise UserError(f"config.views give spectrograms of {height} frames, and {few}.")
    small = view.local_shape[0] if getattr(view, "local_crops", 0) else 0
    if small % getattr(backbone, "patch_size", 1):
        cut = f"cannot be cut into patches of config.model.patch_size {backbone.patch_size} pixels"
        raise UserError(f"config.views.local_size {small} {cut}.")
    if small and getattr(backbone, "relative", None) is not None:
        only = "read pictures of one size; set config.views.local_crops to 0, or other positions"
        raise UserError(f"config.model.positions: a vit with relative ones can {only}.")


def _check_text(backbone: nnx.Module, view: Any, spec: Any) -> None:
    del view
    _check_sizes(backbone, vocab_size=spec.vocab_size)
    longest = spec.shapes["tokens"][0]
    if longest > getattr(backbone, "max_length", longest):
        raise UserError(
            f"config.model.max_length {backbone.max_length} is below config.data.sequence_length {longest}."
        )


def _check_sizes(backbone: nnx.Module, **found: int) -> None:
    for name, value in found.items():
        wanted = getattr(backbone, name, value)
        if wanted != value:
            raise UserError(f"config.model.{name} is {wanted}, but config.data and config.views give {value}.")
