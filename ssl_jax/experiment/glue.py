"""Fine-tuning what a run has learnt on a task of GLUE, as `launch.py evaluate` does."""

import functools
import os
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from ssl_jax.data import glue
from ssl_jax.errors import UserError
from ssl_jax.evaluate import classify, fine_tune
from ssl_jax.experiment import task_settings, trained


def evaluate(
    workdir: str | os.PathLike, task: str, settings: Mapping[str, Any], *, data_dir: str | None = None
) -> dict[str, float]:
    """Fine-tunes the backbone of a run on a task and measures it; the results are kept in the run's folder as well.

    Args:
      workdir: the run's folder, which is not changed otherwise.
      task: 'glue/mrpc', ...
      settings: of `fine_tune.FineTuning` and of `_settings`.
      data_dir: where TFDS data lies, None for TFDS's own default.

    Returns:
      Metric -> value; for mnli with the split in front.

    Raises:
      UserError: a wrong setting, no such task or run, data that is not prepared, or a method that reads no text.
      RunError: the loss is NaN or Inf.
    """
    described = glue.task(task)
    chosen, tuning = task_settings.parted(_settings, settings)
    if trained.config_of(workdir)["model"]["name"] != "text_transformer":
        raise UserError(f"--task={task} is for a run whose config.model.name is 'text_transformer', which this is not.")
    experiment, method, _ = trained.load(workdir, data_dir=data_dir)
    read = functools.partial(_read, task, experiment.data, data_dir=data_dir, mock=chosen["mock"])
    model = _classifier(method, glue.classes(task, data_dir), chosen["pool"], tuning.seed)
    examples = read("train")
    steps = fine_tune.steps_of(len(examples["answer"]), tuning)
    batches = fine_tune.shuffled(examples, tuning)
    fine_tune.fine_tune(model, classify.answer_loss, batches, steps, tuning, doing=f"Fine-tuning on {task}")
    results = {}
    for split in described.splits:
        found = _scores(model, read(split), described.metrics, tuning.batch_size)
        prefix = f"{split.removeprefix('validation_')}/" if len(described.splits) > 1 else ""
        results |= {f"{prefix}{name}": value for name, value in found.items()}
    task_settings.keep(workdir, task, results, chosen, tuning)
    return results


def _settings(*, pool: classify.Pool = "cls", mock: int = 0) -> dict[str, Any]:
    """Settings beside those of the training.

    Args:
      pool: what stands for a text: the state of its first token, or the mean of all.
      mock: made-up examples of each split, to try it without the data; 0 for the real ones.
    """
    if mock < 0:
        raise ValueError(f"mock {mock} must be at least 0")
    return {"pool": pool, "mock": mock}


def _read(task: str, data: Any, split: str, *, data_dir: str | None, mock: int) -> dict[str, np.ndarray]:
    return glue.read(task, split, data.tokenizer, data.vocabulary, data.sequence_length, data_dir=data_dir, mock=mock)


def _classifier(method: nnx.Module, outputs: int, pool: classify.Pool, seed: int) -> classify.Classifier:
    if pool == "cls" and getattr(method.backbone, "causal", False):
        raise UserError("--task.pool='cls': the first token of a causal network sees no other; take 'mean'.")
    pooler = getattr(method, "pooler", None) if pool == "cls" else None
    kind = dict(pad_id=method.view.pad_id, pool=pool, pooler=pooler, rngs=nnx.Rngs(seed))
    return classify.Classifier(method.backbone, outputs, **kind)


def _scores(
    model: classify.Classifier, examples: dict[str, np.ndarray], metrics: tuple[str, ...], batch_size: int
) -> dict[str, float]:
    graphdef, state = nnx.split(model)
    compiled = jax.jit(lambda state, batch: nnx.merge(graphdef, state, copy=True)(batch))
    outputs = fine_tune.predicted(lambda batch: compiled(state, batch), examples, batch_size)
    return classify.scores(outputs, examples["answer"], metrics)
