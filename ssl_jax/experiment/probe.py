"""What the features of a run tell of other labels than those that it was evaluated by, as `launch.py evaluate` does."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ssl_jax import config as configs
from ssl_jax.errors import UserError
from ssl_jax.evaluate import prefixed
from ssl_jax.experiment import trained
from ssl_jax.experiment.scores import Scorer
from ssl_jax.train.workdir import read_json

RESULTS = "probes.json"
_WHERE = ("label_key", "eval_train_split", "eval_split")  # of config.data


def evaluate(
    workdir: str | os.PathLike, task: str, settings: Mapping[str, Any], *, data_dir: str | None = None
) -> dict[str, float]:
    """Nearest neighbours and a linear probe on frozen features: raw, of the untrained network, of the trained one.

    Args:
      workdir: the run's folder, which is not changed but for the results.
      task: 'probe'.
      settings: of `_settings`.
      data_dir: where TFDS data lies, None for TFDS's own default.

    Returns:
      `raw/NAME`, `untrained/NAME` and `pretrained/NAME` of each task, shares, and `chance`, the share of the commonest
      label among those that are tested.

    Raises:
      UserError: a wrong setting, no such run, or no such label or split.
    """
    if task != "probe":
        raise UserError(f"--task={task!r} does not exist: features are probed by --task=probe.")
    chosen = configs.construct(_settings, dict(settings), "--task")
    given = {name: chosen[name] for name in _WHERE if chosen[name] is not None}
    plan = dict(tasks=chosen["tasks"], layers=chosen["layers"], during=(), every=0, diagnostics=False)
    plan |= dict(likelihood_limit=0, collapse_patience=None, limit=None)
    experiment, _, state = trained.load(workdir, data_dir=data_dir, data=given, evaluate=plan)
    if not experiment.data.spec.num_classes:
        raise UserError("--task.label_key: there are no labels; name the feature of the set that holds a class.")
    scorer, tasks = Scorer(experiment), experiment.plan
    of = lambda state, splits: tasks(*splits) | scorer.layers(state)  # without what the method measures of its task
    untrained, splits = experiment.unprepared_state(), scorer.splits(state)
    results = prefixed("raw", scorer.raw_tasks()) | prefixed("untrained", of(untrained, scorer.splits(untrained)))
    results |= prefixed("pretrained", of(state, splits)) | {"chance": _commonest(splits[1][1])}
    name = ", ".join(f"{setting}={experiment.config['data'].get(setting)}" for setting in _WHERE)
    before = read_json(pathlib.Path(workdir).expanduser() / RESULTS) or {}
    trained.keep(workdir, RESULTS, {name: before.get(name, {}) | results})
    return results


def _settings(
    *,
    label_key: str | None = None,
    eval_train_split: str | None = None,
    eval_split: str | None = None,
    tasks: tuple[str, ...] = ("knn_full", "linear"),
    layers: bool = False,
) -> dict[str, Any]:
    """What is probed; None: as in the run's config.data.

    Args:
      label_key: feature that holds the class; examples where it is -1 are left out.
      eval_train_split: labelled split to learn from.
      eval_split: split to be tested on.
      tasks: of `evaluate.Evaluation`.
      layers: a linear probe of each layer too.
    """
    where = dict(label_key=label_key, eval_train_split=eval_train_split, eval_split=eval_split)
    return where | dict(tasks=tuple(tasks), layers=layers)


def _commonest(labels: np.ndarray) -> float:
    counts = np.bincount(labels[labels >= 0])
    return float(counts.max() / counts.sum())
