"""What differs between two configs, leaf by leaf."""

import pathlib
from typing import Any

import rich.box
import rich.table
import rich.text

from ssl_jax import config as configs
from ssl_jax.errors import UserError, unknown
from ssl_jax.experiment.resolve import resolved
from ssl_jax.train.workdir import read_json


def differences(first: str, second: str) -> dict[str, tuple[Any, Any]]:
    """`config.differences` of what two names stand for, with the settings that they leave at their defaults.

    Args:
      first: a config file, 'FILE.py' or 'FILE.py:VARIANT', or the workdir of a run.
      second: likewise.

    Raises:
      UserError: one of them is neither, or cannot be read.
    """
    return configs.differences(_config(first), _config(second))


def table(found: dict[str, tuple[Any, Any]], first: str, second: str) -> rich.table.Table:
    """The differences for the terminal; a leaf that one of the two does not have is a dash there."""
    shown = rich.table.Table(header_style="bold", box=rich.box.SIMPLE)
    for heading in ("leaf", first, second):
        shown.add_column(rich.text.Text(heading), overflow="fold", no_wrap=heading == "leaf")
    for name, values in found.items():
        shown.add_row(*(rich.text.Text(text) for text in (name, *map(configs.shown, values))))
    return shown


def _config(spec: str) -> dict[str, Any]:
    folder = pathlib.Path(spec).expanduser()
    if not folder.is_dir():
        path = pathlib.Path(spec.partition(":")[0]).expanduser()
        if not path.exists():
            raise unknown("diff", str(path), _beside(path), likened=lambda name: pathlib.Path(name).name)
        return resolved(configs.plain(configs.load(spec)))
    config = read_json(folder / "config.json")
    if config is None:
        raise UserError(f"{folder} holds no run: there is no config.json in it.")
    return config


def _beside(path: pathlib.Path) -> list[str]:
    """Configs and runs in the folder of a path, or, where it names none or there are none, in the usual folders."""
    here = _configs_and_runs(path.parent) if path.parent != pathlib.Path() else []
    return here or [name for folder in ("configs", "runs") for name in _configs_and_runs(pathlib.Path(folder))]


def _configs_and_runs(folder: pathlib.Path) -> list[str]:
    return list(map(str, (*folder.glob("*.py"), *(file.parent for file in folder.glob("*/config.json")))))
