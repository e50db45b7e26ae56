"""What differs between two configs, leaf by leaf."""

import json
import pathlib
from typing import Any

import rich.box
import rich.table
import rich.text

from ssl_jax import config as configs
from ssl_jax.errors import UserError
from ssl_jax.train.workdir import read_json

ABSENT = object()


def differences(first: str, second: str) -> dict[str, tuple[Any, Any]]:
    """The leaves that differ, in alphabetical order: path -> values there and here, `ABSENT` where there is none.

    Args:
      first: a config file, 'FILE.py' or 'FILE.py:VARIANT', or the workdir of a run.
      second: likewise.

    Raises:
      UserError: one of them is neither, or cannot be read.
    """
    one, other = _leaves(first), _leaves(second)
    pairs = {name: (one.get(name, ABSENT), other.get(name, ABSENT)) for name in sorted(one.keys() | other.keys())}
    return {name: (a, b) for name, (a, b) in pairs.items() if a is ABSENT or b is ABSENT or repr(a) != repr(b)}


def table(found: dict[str, tuple[Any, Any]], first: str, second: str) -> rich.table.Table:
    """The differences for the terminal; a leaf that one of the two does not have is a dash there."""
    shown = rich.table.Table(header_style="bold", box=rich.box.SIMPLE)
    for heading in ("leaf", first, second):
        shown.add_column(rich.text.Text(heading), overflow="fold", no_wrap=heading == "leaf")
    for name, values in found.items():
        shown.add_row(*(rich.text.Text(text) for text in (name, *map(_shown, values))))
    return shown


def _shown(value: Any) -> str:
    return "—" if value is ABSENT else repr(value)


def _leaves(spec: str) -> dict[str, Any]:
    """By full path, as config.json has them, so that a file and a run of it are the same."""
    folder = pathlib.Path(spec).expanduser()
    if not folder.is_dir():
        return configs.flat(_plain(json.loads(json.dumps(configs.plain(configs.load(spec))))))
    config = read_json(folder / "config.json")
    if config is None:
        raise UserError(f"{folder} holds no run: there is no config.json in it.")
    return configs.flat(_plain(config))


def _plain(node: Any) -> Any:
    """Lists as the tuples that a config file would have."""
    if isinstance(node, dict):
        return {name: _plain(value) for name, value in node.items()}
    return tuple(map(_plain, node)) if isinstance(node, list) else node
