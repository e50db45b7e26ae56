"""Settings of a task of `launch.py evaluate`: some of its own, and those of the training."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

from ssl_jax import config as configs
from ssl_jax.errors import unknown
from ssl_jax.evaluate.fine_tune import FineTuning
from ssl_jax.experiment import trained

RESULTS = "fine_tuned.json"


def parted(
    own: Callable[..., dict[str, Any]], settings: Mapping[str, Any], **defaults: Any
) -> tuple[dict[str, Any], FineTuning]:
    """What was set, checked.

    Args:
      own: takes the settings of the task by name and returns all of them.
      settings: as given.
      **defaults: of the training, where the task has others.

    Returns:
      The task's settings, and those of the training.

    Raises:
      UserError: there is no such setting, or a value cannot be.
    """
    tasks, trainings = configs.settings_of(own), configs.settings_of(FineTuning)
    for name in settings:
        if name not in tasks and name not in trainings:
            raise unknown("--task", name, [*tasks, *trainings])
    chosen = configs.construct(own, {name: settings[name] for name in tasks if name in settings}, "--task")
    training = defaults | {name: settings[name] for name in trainings if name in settings}
    return chosen, configs.construct(FineTuning, training, "--task")


def keep(
    workdir: str | os.PathLike, task: str, results: dict[str, float], chosen: dict[str, Any], training: FineTuning
) -> None:
    """Adds what a task found, and its settings, to the file of results in a run's folder."""
    trained.keep(workdir, RESULTS, {task: results | {"settings": dataclasses.asdict(training) | chosen}})
