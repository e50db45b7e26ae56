"""How alike two sentences are by what a run has learnt, nothing trained further, as `launch.py evaluate` does."""

import functools
import os
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from ssl_jax import config as configs
from ssl_jax.data import glue
from ssl_jax.errors import UserError
from ssl_jax.evaluate import classify, fine_tune
from ssl_jax.experiment import trained

RESULTS = "similarity.json"


def evaluate(
    workdir: str | os.PathLike, task: str, settings: Mapping[str, Any], *, data_dir: str | None = None
) -> dict[str, float]:
    """Correlations of people's scores of pairs of sentences with the cosines of their embeddings.

    Args:
      workdir: the run's folder, which is not changed but for the results.
      task: 'similarity/stsb', on GLUE's validation split of it, as the test split has no scores.
      settings: of `_settings`.
      data_dir: where TFDS data lies, None for TFDS's own default.

    Returns:
      `spearman` (what SimCSE's paper reports, times 100) and `pearson`; `untrained/spearman`, `untrained/pearson`.

    Raises:
      UserError: a wrong setting, no such task or run, data that is not prepared, or a run that reads no text.
    """
    name = task.removeprefix("similarity/")
    if name not in glue.TASKS or not glue.TASKS[name].regression:
        raise UserError(f"--task={task!r} does not exist: pairs with scores are in --task=similarity/stsb.")
    chosen = configs.construct(_settings, dict(settings), "--task")
    if trained.config_of(workdir)["data"]["modality"] != "text":
        raise UserError(f"--task={task} is for a run whose config.data.modality is 'text', which this is not.")
    experiment, method, _ = trained.load(workdir, data_dir=data_dir)
    opened = experiment.data
    length = opened.spec.shapes["tokens"][0]
    (split,) = glue.TASKS[name].splits
    texts, scores = glue.read_apart(
        name, split, opened.tokenizer, opened.vocabulary, length, data_dir=data_dir, mock=chosen["mock"]
    )
    untrained = experiment.module(experiment.unprepared_state())
    results = correlations(method, texts, scores, chosen["batch_size"])
    beside = correlations(untrained, texts, scores, chosen["batch_size"])
    results |= {f"untrained/{metric}": value for metric, value in beside.items()}
    trained.keep(workdir, RESULTS, {task: results | {"settings": chosen}})
    return results


def _settings(*, mock: int = 0, batch_size: int = 256) -> dict[str, Any]:
    """What can be set.

    Args:
      mock: made-up pairs, to try it without the data; 0 for the real ones.
      batch_size: sentences embedded at once.
    """
    if mock < 0:
        raise ValueError(f"mock {mock} must be at least 0")
    if batch_size < 1:
        raise ValueError(f"batch_size {batch_size} is not positive")
    return {"mock": mock, "batch_size": batch_size}


def correlations(
    method: nnx.Module, texts: list[dict[str, np.ndarray]], scores: np.ndarray, batch_size: int
) -> dict[str, float]:
    """`spearman` and `pearson` between `scores` [N] and the cosines of what `method.embed` gives of both `texts`."""
    graphdef, state = nnx.split(method)
    embed = jax.jit(lambda state, batch: nnx.merge(graphdef, state, copy=True).embed(batch))
    found = (fine_tune.predicted(functools.partial(embed, state), text, batch_size) for text in texts)
    first, second = (features.astype(np.float64) for features in found)  # cosines may be near to each other
    unit = lambda z: z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)
    cosines = np.sum(unit(first) * unit(second), axis=1, keepdims=True)
    return classify.scores(cosines, scores, ("spearman", "pearson"))
