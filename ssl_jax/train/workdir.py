"""The folder of one run: its lock, its config, and what it leaves."""

import json
import os
import pathlib
from typing import Any

import filelock

from ssl_jax import config as configs
from ssl_jax.errors import UserError

DIAGNOSIS = "diagnosis.json"


class Workdir:
    """A run's folder, held by one process at a time.

    It holds config.json, metrics.jsonl, TensorBoard events, checkpoints/, diagnosis.json, results.json, figures/ and
    report.html.
    """

    def __init__(self, path: str | os.PathLike):
        """Makes the folder and takes its lock, which ends with the process, however that ends.

        Raises:
          UserError: the folder cannot be written, or another process holds it.
        """
        self.path = pathlib.Path(path).expanduser().absolute()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = filelock.FileLock(self.path / ".lock")
            self._lock.acquire(blocking=False)
        except filelock.Timeout as error:
            raise UserError(
                f"Another process runs in {self.path}; wait for it, or choose another --workdir."
            ) from error
        except OSError as error:
            raise UserError(f"Cannot write to {self.path} ({error.strerror}); choose another --workdir.") from error

    def release(self) -> None:
        """Lets go of the lock."""
        self._lock.release()

    def check_config(self, config: dict[str, Any]) -> None:
        """Checks that config.json, where there is one, says the same: a workdir belongs to one config.

        `config.expected` may differ: it says what results are hoped for and changes none of them.

        Raises:
          UserError: the run that lies here has another config; the message names the leaves that differ.
        """
        saved = self.read_json("config.json")
        if saved is None:
            return
        found = configs.differences(*(configs.without(one, "expected") for one in (saved, config)))
        if found:
            pairs = [(name, *map(configs.shown, values)) for name, values in found.items()]
            leaves = "; ".join(f"{name}: {there} there, {here} here" for name, there, here in pairs[:5])
            raise UserError(f"{self.path} holds a run of another config ({leaves}). Choose another --workdir.")

    def read_json(self, name: str) -> dict[str, Any] | None:
        """The content of a JSON file of the folder, None where it is missing.

        Raises:
          UserError: the file is there and holds no JSON object.
        """
        return read_json(self.path / name)

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Writes a JSON file of the folder so that it is there whole or not at all."""
        write_atomically(self.path / name, json.dumps(content, indent=2, sort_keys=True) + "\n")


def read_json(path: pathlib.Path) -> dict[str, Any] | None:
    """The JSON object in a file, None where there is no file.

    Raises:
      UserError: the file is there and holds no JSON object.
    """
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text())
    except (ValueError, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}); remove it, or choose another --workdir.") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no JSON object; remove it, or choose another --workdir.")
    return content


def write_atomically(path: pathlib.Path, text: str) -> None:
    """Writes to a temporary name beside `path`, then renames.

    Raises:
      OSError: with the name of the file, which a full disk's own error lacks.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        error.filename = error.filename or str(path)
        raise
