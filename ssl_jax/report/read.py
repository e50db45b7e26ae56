"""What a run left in its folder, checked."""

import pathlib
from typing import Any

from ssl_jax import config as configs
from ssl_jax.errors import UserError
from ssl_jax.train.workdir import read_json


def config(path: pathlib.Path) -> dict[str, Any] | None:
    """The resolved config, None where there is none yet.

    Raises:
      UserError: the file is damaged.
    """
    found = read_json(path)
    try:
        if found is not None:
            configs.check_frame(found)
    except UserError as error:
        raise UserError(f"{path} is damaged: {error}") from error
    return found


def results(path: pathlib.Path) -> dict[str, float] | None:
    """Flat results, None where there are none yet.

    Raises:
      UserError: the file is damaged.
    """
    found = read_json(path)
    for key, value in (found or {}).items():
        if not isinstance(value, (int, float)):
            raise UserError(f"{path} is damaged: {key} is {value!r}, not a number. Remove it.")
    return found


def diagnosis(path: pathlib.Path) -> dict[str, Any] | None:
    """What the last evaluation found: `step`, `verdict`, `text` and the usual `causes`; None where none did.

    Raises:
      UserError: the file is damaged.
    """
    content = read_json(path)
    if content is None:
        return None
    try:
        last = content["evaluations"][-1]
        return {"causes": content["causes"], **{name: last[name] for name in ("step", "verdict", "text")}}
    except (KeyError, IndexError, TypeError) as error:
        raise UserError(f"{path} is damaged: it holds no evaluations. Remove it.") from error
