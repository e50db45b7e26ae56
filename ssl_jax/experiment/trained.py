"""A run that has been trained, taken up again: its parts and its newest checkpoint, on one device."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
from flax import nnx

from ssl_jax import config as configs
from ssl_jax.errors import UserError
from ssl_jax.experiment import preparing
from ssl_jax.experiment.build import Experiment, build
from ssl_jax.train import mesh as meshes
from ssl_jax.train.checkpoints import Checkpoints
from ssl_jax.train.state import TrainState
from ssl_jax.train.workdir import Workdir, read_json


class Trained(NamedTuple):
    """What a run has learnt.

    Attributes:
      experiment: its parts.
      method: with the parameters of the newest checkpoint.
      state: the same, as it is trained.
    """

    experiment: Experiment
    method: nnx.Module
    state: TrainState


def config_of(workdir: str | os.PathLike) -> dict[str, Any]:
    """The resolved config of a run.

    Raises:
      UserError: there is no run.
    """
    folder = pathlib.Path(workdir).expanduser().absolute()
    config = read_json(folder / "config.json")
    if config is None:
        raise UserError(f"{folder} is no run's folder: it has no config.json.")
    return config


def load(workdir: str | os.PathLike, *, data_dir: str | None = None, **changes: Mapping[str, Any]) -> Trained:
    """Builds a run's parts and reads its newest checkpoint, whatever machine it ran on.

    Args:
      workdir: the run's folder.
      data_dir: where TFDS data lies, None for TFDS's own default.
      **changes: leaves that differ from the run's config, by part, and change nothing of its state.

    Raises:
      UserError: there is no run or no checkpoint, or another process has the folder.
    """
    config, own = config_of(workdir), Workdir(pathlib.Path(workdir).expanduser().absolute())
    try:
        mesh = meshes.make_mesh(jax.devices()[:1])
        config = preparing.with_kept(config | {"sharding": {}, "on_collapse": "warn"}, own.path)
        config |= {part: config[part] | leaves for part, leaves in changes.items()}
        experiment = build(config, data_dir=data_dir, mesh=mesh)
        checkpoints = configs.construct(Checkpoints, config["checkpoint"], "config.checkpoint", own.path)
        try:
            state = checkpoints.restore(experiment.abstract_state())
        finally:
            checkpoints.close()
    finally:
        own.release()
    if state is None:
        raise UserError(f"{own.path} has no checkpoint yet.")
    return Trained(experiment, experiment.module(state), state)


def keep(workdir: str | os.PathLike, name: str, content: dict[str, Any]) -> None:
    """Adds `content` to the JSON object in the file `name` of a run's folder."""
    own = Workdir(pathlib.Path(workdir).expanduser().absolute())
    try:
        own.write_json(name, (own.read_json(name) or {}) | content)
    finally:
        own.release()
