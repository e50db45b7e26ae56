"""Weights that a network begins with in place of random ones: `config.init_from`."""

import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from ssl_jax import augment, interop, methods, models
from ssl_jax import config as configs
from ssl_jax.errors import UserError
from ssl_jax.interop.table import LOADED
from ssl_jax.models.paths import path_name
from ssl_jax.train.checkpoints import arrays_of
from ssl_jax.train.workdir import read_json

_ANY = ("accumulate", "attention_dropout", "depth_scaled", "drop_path", "drop_path_uniform", "dropout", "dtype")
_ANY += ("initializer_range", "remat")  # leaves of config.model that change no feature


def read(folder: str, network: nnx.Module, config: Mapping[str, Any], view: Any) -> nnx.State:
    """The parameters of `network` as those of a folder that transformers' `save_pretrained` wrote, or of a run's.

    Of a run that learnt from pictures, they are those of the network that its method is evaluated by, from its newest
    checkpoint; of another run, those of the folder that `export` makes of it, which has its tokenizer too.

    Args:
      folder: `config.init_from`.
      network: abstract; its parameters are set.
      config: plain; texts must be spelled by the tokenizer of these weights.
      view: hears sound, or normalises pictures, as these weights are used to.

    Raises:
      UserError: there is no such folder, its network or processing of pictures or sound are others, or texts are
        spelled by a tokenizer that is learnt.
    """
    path = pathlib.Path(folder).expanduser()
    of_run = read_json(path / "config.json") or {}
    if "method" in of_run and of_run["data"]["modality"] == config["data"]["modality"] == "image":
        _check_run(folder, of_run, config)
        return _of_run(path, of_run["method"]["name"], network)
    interop.load_folder(network, path)
    if network.reads == "waveform":
        _check_sound(folder, interop.front_end(path), view)
    if hasattr(view, "evaluation"):
        _check_pictures(folder, interop.front_end(path), view.evaluation)
    _check_tokenizer(folder, config["data"])
    return nnx.state(network, LOADED)


def _check_tokenizer(folder: str, data: Mapping[str, Any]) -> None:
    if data["modality"] == "text" and data.get("tokenizer") is None:
        wanted = f"set config.data.tokenizer to its tokenizer.json, such as {folder}/tokenizer.json"
        raise UserError(f"config.init_from {folder} knows the tokens of its own tokenizer: {wanted}.")


def _check_sound(folder: str, theirs: Mapping[str, Any], view: Any) -> None:
    ours = {
        "sampling_rate": ("config.data.sample_rate", view.sample_rate),
        "do_normalize": ("config.views.standardize", view.standardized),
    }
    for name, (leaf, here) in ours.items():
        if theirs.get(name, here) != here:
            raise UserError(f"config.init_from {folder} has {name} {theirs[name]}: set {leaf} to {theirs[name]}.")


def _check_run(folder: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """The networks of both runs are one, and see pictures alike."""
    if theirs["model"]["name"] != ours["model"]["name"]:
        other = f"a {theirs['model']['name']}, and config.model.name is {ours['model']['name']!r}"
        raise UserError(f"config.init_from: the network of {folder} is {other}.")
    tables = {"model": models.MODELS, "views": augment.VIEWS}
    whole = lambda config, part: configs.defaults_of(tables[part][config[part]["name"]]) | dict(config[part])
    compared = {
        "model": [leaf for leaf in whole(ours, "model") if leaf not in _ANY],
        "views": ["mean", "std"],
    }
    for part, leaves in compared.items():
        there, here = (configs.plain(whole(config, part)) for config in (theirs, ours))
        for leaf in leaves:
            if there.get(leaf) != here.get(leaf):
                raise UserError(
                    f"config.init_from: {folder} has config.{part}.{leaf} {there.get(leaf)!r}, and here it is"
                    f" {here.get(leaf)!r}. Set config.{part}.{leaf} to {there.get(leaf)!r}."
                )


def _of_run(folder: pathlib.Path, method: str, network: nnx.Module) -> nnx.State:
    """The weights and statistics of the network that a method is evaluated by, from a run's newest checkpoint."""
    arrays, evaluated = arrays_of(folder), getattr(methods.METHODS.get(method), "evaluated", "backbone")

    def saved(path: tuple, leaf: jax.Array) -> np.ndarray:
        name = f"{evaluated}.{path_name(path)}"
        return arrays[f"params.{name}" if f"params.{name}" in arrays else f"variables.{name}"].astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(saved, nnx.state(network, LOADED))


def _check_pictures(folder: str, theirs: Mapping[str, Any], ours: Any) -> None:
    """Pixels are normalised alike; `ours` is an `augment.Evaluation`."""
    if not theirs.get("do_normalize", True):
        theirs = {"image_mean": [0.0] * len(ours.mean), "image_std": [1.0] * len(ours.std)}
    for name, leaf, here in (("image_mean", "mean", ours.mean), ("image_std", "std", ours.std)):
        there = tuple(theirs.get(name) or here)
        if len(there) != len(here) or not np.allclose(there, here, atol=1e-4):
            raise UserError(f"config.init_from {folder} has {name} {there}: set config.views.{leaf} to {there}.")
