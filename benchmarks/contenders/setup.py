"""What all contenders of benchmarks/peers.py share: one config's settings in full, and the data as arrays.

No JAX is imported here but where a setup is made, so that contenders in PyTorch run without it.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ssl_jax import config as configs
from ssl_jax.errors import UserError

Split = tuple[np.ndarray, np.ndarray]
CHUNK = 256  # pictures that contenders take features of at once


@dataclasses.dataclass(frozen=True)
class Setup:
    """One run, the same for all contenders.

    Attributes:
      config: the resolved config, as plain dicts.
      defaults: part -> what its constructor takes where the config says nothing.
      rates: learning rates by step, float64 [steps].
      peak: the highest of the schedule.
      images: to train on, uint8 [N, H, W, C].
      data_dir: where TFDS data lies.
    """

    config: dict[str, Any]
    defaults: dict[str, dict[str, Any]]
    rates: np.ndarray
    peak: float
    images: np.ndarray
    data_dir: str | None

    def part(self, name: str) -> dict[str, Any]:
        """All settings of one part, those that the config leaves at their defaults included."""
        return self.defaults[name] | configs.without(self.config[name], "name")

    def build(self, table: Mapping[str, Callable], name: str, *args: Any) -> Any:
        """Calls what `table` has for the name in a part, with the settings it takes: at least all of the config's.

        Raises:
          UserError: the config says something that this contender has no counterpart for.
        """
        chosen = self.config[name]["name"]
        if chosen not in table:
            raise UserError(f"config.{name}: this contender has no {chosen}, but {', '.join(table)}.")
        builder, part = table[chosen], self.part(name)
        taken = configs.settings_of(builder)
        if lacking := configs.without(self.config[name], "name", *taken):
            raise UserError(f"config.{name}: {builder.__module__}, {chosen} has no counterpart of {lacking}.")
        return builder(*args, **{setting: part[setting] for setting in taken})


def make(config: Mapping[str, Any], data_dir: str | None) -> tuple[Setup, Callable, tuple[Split, Split]]:
    """What contenders need of a plain config, and what judges them.

    Returns:
      The setup; the evaluation, (train, test) -> scores; and the labelled splits it takes features of: images uint8
      [N, H, W, C] and labels int32 [N] of the training and of the test pictures.
    """
    import jax

    from ssl_jax import augment, methods, models
    from ssl_jax.experiment import build
    from ssl_jax.experiment.scores import labelled_rows
    from ssl_jax.train import mesh, optimizers, parts

    experiment = build(config, data_dir=data_dir, mesh=mesh.make_mesh(jax.devices()[:1]))
    steps, data = config["steps"], experiment.data
    rates = np.asarray(experiment.recipe.schedule(np.arange(steps)), np.float64)
    tables = dict(views=augment.VIEWS, model=models.MODELS, method=methods.METHODS)
    defaults = {part: configs.defaults_of(table[config[part]["name"]]) for part, table in tables.items()}
    defaults["method"]["steps"] = steps
    chosen = optimizers.OPTIMIZERS[config["optimizer"]["name"]]
    defaults["optimizer"] = {}
    for constructor in chosen, parts.by_part, optimizers.peak_rate:
        defaults["optimizer"] |= configs.defaults_of(constructor)
    images = data.train.read(np.arange(len(data.train)))["image"]
    setup = Setup(dict(config), defaults, rates, float(rates.max()), np.asarray(images), data_dir)
    judge = dataclasses.replace(experiment.plan, tasks=("knn_full", "linear"), diagnostics=False)
    return setup, judge, (_split(data.eval_train, labelled_rows(experiment)), _split(data.eval))


def chunks(images: np.ndarray) -> list[np.ndarray]:
    """Pictures [N, ...] in parts of `CHUNK`, the last one with what is left."""
    return [images[start : start + CHUNK] for start in range(0, len(images), CHUNK)]


def _split(source: Any, rows: np.ndarray | None = None) -> Split:
    examples = source.read(np.arange(len(source)) if rows is None else rows)
    return np.asarray(examples["image"]), np.asarray(examples["label"])
