"""The network of an earlier run, which a method learns from: HuBERT's teacher, BEiT's tokenizer.

Its config is read when the method is built, its weights before the first step (`experiment/preparing.py`).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_config(setting: str, folder: str, otherwise: str) -> dict[str, Any]:
    """The resolved config of the run in `folder`.

    Args:
      setting: the method's, for what is said.
      folder: of a run.
      otherwise: what to do where there is none.

    Raises:
      ValueError: there is no run.
    """
    path = Path(folder).expanduser() / "config.json"
    if not path.exists():
        raise ValueError(f"{setting} {folder!r} is no folder of a run, it has no config.json: {otherwise}")
    return json.loads(path.read_text())


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
