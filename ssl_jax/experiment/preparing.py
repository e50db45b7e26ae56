"""What a method makes of the training split before its first step: HuBERT's clusters."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from ssl_jax.data import progress
from ssl_jax.models import targets
from ssl_jax.models.paths import path_name
from ssl_jax.train import mesh as meshes
from ssl_jax.train import processes
from ssl_jax.train.checkpoints import Checkpoints
from ssl_jax.train.state import TrainState
from ssl_jax.train.workdir import Workdir, read_json

_TEACHER = "teacher"


def prepared(experiment: Any, state: TrainState) -> TrainState:
    """`state` after the method's `prepare(source, seed)`, which sets variables and no parameters.

    Where the method has a `teacher_folder`, its `teacher` first gets the weights of the run there. Each process
    prepares by itself on one device, and what the first one finds is what all of them have.

    Args:
      experiment: whose method, training split and seed these are.
      state: at step 0.

    Raises:
      UserError: the teacher has no checkpoint, or the split is too small.
    """
    method = experiment.module(meshes.on_one_device(state))
    if getattr(method, "teacher_folder", None) is not None:
        _set_weights(method.teacher, method.teacher_folder)
    with progress.announced(f"Computing what {experiment.config['method']['name']} learns from, before the first step"):
        method.prepare(experiment.data.train, experiment.recipe.seed)
    found = processes.of_first(jax.device_get(nnx.state(method, nnx.Not(nnx.Param))))
    return dataclasses.replace(state, variables=jax.tree.map(_placed, found, state.variables))


def keep_teacher(method: nnx.Module, folder: Workdir) -> None:
    """Keeps in a run's folder what its teacher's network is, whose weights are in the run's own checkpoints."""
    if getattr(method, "teacher_folder", None) is not None and folder.writes:
        (folder.path / _TEACHER).mkdir(exist_ok=True)
        config = read_json(pathlib.Path(method.teacher_folder).expanduser() / "config.json")
        folder.write_json(f"{_TEACHER}/config.json", config)


def with_kept_teacher(config: Mapping[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """The config of the run in `folder`, which names no other run where this one keeps its teacher's config."""
    kept = folder / _TEACHER
    return config | {"method": config["method"] | {"teacher": str(kept)}} if kept.exists() else dict(config)


def _set_weights(teacher: nnx.Module, folder: str) -> None:
    """The weights of a run's network, from its newest checkpoint."""
    checkpoints = Checkpoints(pathlib.Path(folder).expanduser())
    try:
        arrays = checkpoints.newest_arrays()
    finally:
        checkpoints.close()
    weights = nnx.state(teacher, targets.TargetWeight)

    def of_run(path: tuple, leaf: jax.Array) -> np.ndarray:
        """Of blocks that are stacked, those that the teacher has."""
        array = arrays[f"params.backbone.{path_name(path)}"].astype(leaf.dtype)
        return array if array.shape == leaf.shape else array[: len(leaf)]

    nnx.update(teacher, jax.tree_util.tree_map_with_path(of_run, weights))


def _placed(array: np.ndarray, like: jax.Array) -> jax.Array:
    return meshes.placed(np.asarray(array, like.dtype), like.sharding)
