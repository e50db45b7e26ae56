"""What a method gets before its first step: HuBERT's clusters, and the weights of an earlier run's network."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from ssl_jax.data import progress
from ssl_jax.errors import UserError
from ssl_jax.models import earlier_run, targets
from ssl_jax.models.paths import path_name
from ssl_jax.train import mesh as meshes
from ssl_jax.train import processes
from ssl_jax.train.checkpoints import arrays_of
from ssl_jax.train.state import TrainState
from ssl_jax.train.workdir import Workdir

_EARLIER = ("teacher", "tokenizer")  # settings of methods that name an earlier run; its network is called so too


def needed(method: nnx.Module) -> bool:
    """Whether the method at step 0 is more than its random weights."""
    return hasattr(method, "prepare") or bool(_folders(method))


def prepared(experiment: Any, state: TrainState) -> TrainState:
    """`state` with the weights of earlier runs, and after the method's `prepare(source, seed)`, if it has one.

    Both set variables and no parameters. Where the method has a `teacher_folder` (or a `tokenizer_folder`), its
    `teacher` gets the weights of the run there. Each process prepares by itself on one device, and what the first one
    finds is what all of them have.

    Args:
      experiment: whose method, training split and seed these are.
      state: at step 0.

    Raises:
      UserError: the earlier run has no checkpoint, or is only a config where the data is not made up; or the split is
        too small.
    """
    method = experiment.module(meshes.on_one_device(state))
    for name, folder in _folders(method).items():
        if not earlier_run.is_config(folder):
            _set_weights(getattr(method, name), folder)
        elif not experiment.config["data"].get("mock"):
            raise UserError(_to_be_trained(name, folder))
    if hasattr(method, "prepare"):
        what = f"Computing what {experiment.config['method']['name']} learns from, before the first step"
        with progress.announced(what):
            method.prepare(experiment.data.train, experiment.recipe.seed)
    found = processes.of_first(jax.device_get(nnx.state(method, nnx.Not(nnx.Param))))
    return dataclasses.replace(state, variables=jax.tree.map(_placed, found, state.variables))


def keep_earlier(method: nnx.Module, folder: Workdir) -> None:
    """Keeps in a run's folder what the network of an earlier run is, whose weights are in the run's own checkpoints."""
    if not folder.writes:
        return
    for name, earlier in _folders(method).items():
        (folder.path / name).mkdir(exist_ok=True)
        folder.write_json(f"{name}/config.json", earlier_run.read_config(name, earlier, "it was there before"))


def with_kept(config: Mapping[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """The config of the run in `folder`, which names no earlier run where this one keeps its config."""
    kept = {name: str(folder / name) for name in _EARLIER if (folder / name).exists()}
    return config | {"method": config["method"] | kept}


def _folders(method: nnx.Module) -> dict[str, str]:
    """By name, the folders of the earlier runs whose networks the method has."""
    found = {name: getattr(method, f"{name}_folder", None) for name in _EARLIER}
    return {name: folder for name, folder in found.items() if folder is not None}


def _to_be_trained(name: str, config: str) -> str:
    """What to do where a method would learn from a network that has learnt nothing."""
    what = f"config.method.{name} is the config {config}, and no run: that does for made-up data, --dry_run and plan"
    return f"{what}. Run python launch.py --config={config}, and set config.method.{name} to its folder."


def _set_weights(network: nnx.Module, folder: str) -> None:
    """The weights of a run's network, from its newest checkpoint."""
    arrays = arrays_of(folder)
    weights = nnx.state(network, targets.TargetWeight)

    def of_run(path: tuple, leaf: jax.Array) -> np.ndarray:
        """Of blocks that are stacked, those that the network has."""
        array = arrays[f"params.backbone.{path_name(path)}"].astype(leaf.dtype)
        return array if array.shape == leaf.shape else array[: len(leaf)]

    nnx.update(network, jax.tree_util.tree_map_with_path(of_run, weights))


def _placed(array: np.ndarray, like: jax.Array) -> jax.Array:
    return meshes.placed(np.asarray(array, like.dtype), like.sharding)
