"""What a run has learnt, tried on a task of its own data: the tasks of `launch.py evaluate`, by how they begin."""

import os
from collections.abc import Mapping
from typing import Any

from ssl_jax.data import glue as glue_tasks
from ssl_jax.errors import unknown
from ssl_jax.experiment import ctc, glue, probe, similarity

EVALUATIONS = {
    "ctc": ctc.evaluate,
    "glue": glue.evaluate,
    "probe": probe.evaluate,
    "similarity": similarity.evaluate,
}
"""By the part of a task's name before the slash; each takes (workdir, task, settings, data_dir=...)."""
VALID = ["ctc", *(f"glue/{name}" for name in glue_tasks.TASKS), "probe", "similarity/stsb"]


def evaluate(
    workdir: str | os.PathLike, task: str, settings: Mapping[str, Any], *, data_dir: str | None = None
) -> dict[str, float]:
    """The scores of a run at a task.

    Args:
      workdir: the run's folder.
      task: 'glue/mrpc', 'ctc', ...
      settings: of the task.
      data_dir: where TFDS data lies, None for TFDS's own default.

    Raises:
      UserError: there is no such task, and what the task raises.
    """
    kind = task.partition("/")[0]
    if kind not in EVALUATIONS:
        raise unknown("--task", task, VALID)
    return EVALUATIONS[kind](workdir, task, settings, data_dir=data_dir)
