"""Weights that a network begins with in place of random ones: `config.init_from`."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax import nnx

from ssl_jax import interop
from ssl_jax.errors import UserError
from ssl_jax.interop.table import LOADED


def read(folder: str, network: nnx.Module, config: Mapping[str, Any], view: Any) -> nnx.State:
    """The parameters of `network` as those of a folder that transformers' `save_pretrained` wrote.

    Args:
      folder: `config.init_from`.
      network: abstract; its parameters are set.
      config: plain; texts must be spelled by the tokenizer of these weights.
      view: hears sound, or normalises pictures, as these weights are used to.

    Raises:
      UserError: there is no such folder, its network or processing of sound or pictures are others, or texts are
        spelled by a tokenizer that is learnt.
    """
    path = pathlib.Path(folder).expanduser()
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


def _check_pictures(folder: str, theirs: Mapping[str, Any], ours: Any) -> None:
    """Pixels are normalised alike; `ours` is an `augment.Evaluation`."""
    if not theirs.get("do_normalize", True):
        theirs = {"image_mean": [0.0] * len(ours.mean), "image_std": [1.0] * len(ours.std)}
    for name, leaf, here in (("image_mean", "mean", ours.mean), ("image_std", "std", ours.std)):
        there = tuple(theirs.get(name) or here)
        if len(there) != len(here) or not np.allclose(there, here, atol=1e-4):
            raise UserError(f"config.init_from {folder} has {name} {there}: set config.views.{leaf} to {there}.")
