"""The network of an earlier run, which a method learns from: HuBERT's teacher, BEiT's tokenizer.

Its config is read when the method is built, its weights before the first step (`experiment/preparing.py`). Where that
run is still to be done, its config file can stand in its place, and the network's weights are random: for a dry run, a
plan, and made-up data.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssl_jax import config as configs

_ROOT = Path(__file__).resolve().parents[2]


def is_config(folder: str) -> bool:
    """Whether what stands in the place of a run's folder is a config file, 'FILE.py' or 'FILE.py:VARIANT'."""
    return folder.partition(":")[0].endswith(".py")


def read_config(setting: str, folder: str, otherwise: str) -> dict[str, Any]:
    """The config of the run in `folder`, resolved; or that of a config file, as it stands there.

    Args:
      setting: the method's, for what is said.
      folder: of a run, or a config file, which may lie in the project's folder where it does not lie here.
      otherwise: what to do where there is none.

    Raises:
      ValueError: there is no run, its config cannot be read, or there is no such config file.
      UserError: the config file fails.
    """
    if is_config(folder):
        file, *variant = folder.split(":")
        path = next((path for path in (Path(file).expanduser(), _ROOT / file) if path.exists()), None)
        if path is None:
            raise ValueError(f"{setting} {folder!r} is no config file that exists: {otherwise}")
        return configs.plain(configs.load(":".join([str(path), *variant])))
    path = Path(folder).expanduser() / "config.json"
    if not path.exists():
        raise ValueError(f"{setting} {folder!r} is no folder of a run, it has no config.json: {otherwise}")
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{setting} {folder!r} has a config.json that cannot be read ({error}): {otherwise}"
        ) from error
    if not isinstance(found, dict):
        raise ValueError(f"{setting} {folder!r} has a config.json without settings: {otherwise}")
    return found


def network_settings(setting: str, folder: str, config: Mapping[str, Any], wanted: str) -> dict[str, Any]:
    """What the network of such a run is made with: its `config.model` without the name.

    Args:
      setting: as above.
      folder: likewise.
      config: of the run.
      wanted: the name that the network must have in `models.MODELS`.

    Raises:
      ValueError: the network is not called `wanted`.
    """
    node = config.get("model", {"name": None})
    if node["name"] != wanted:
        raise ValueError(f"{setting} {folder!r} is no run of a {wanted}; its config.model is {node['name']}")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in node.items() if name != "name"}
