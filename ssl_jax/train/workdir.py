"""The folder of one run: its lock, its config, and what it leaves."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import filelock

from ssl_jax import config as configs
from ssl_jax.errors import RunError, UserError

DIAGNOSIS = "diagnosis.json"
FAILED, PRUNED = "failed.json", "pruned.json"
LOOKED_AT_SECONDS = 0.5  # a lock may be taken for a moment by one who only looks whether it is


class Workdir:
    """A run's folder, held by one run at a time; of several processes of a run the first alone locks and writes.

    It holds config.json, metrics.jsonl, TensorBoard events, checkpoints/, diagnosis.json, results.json, figures/ and
    report.html; failed.json where the last try failed.
    """

    def __init__(self, path: str | os.PathLike, *, writes: bool = True):
        """Makes the folder and takes its lock, which ends with the process, however that ends.

        Args:
          path: where.
          writes: False for a process that only reads what another one writes.

        Raises:
          UserError: the folder cannot be written, or another process holds it.
        """
        self.path, self.writes = pathlib.Path(path).expanduser().absolute(), writes
        self._lock = filelock.FileLock(self.path / ".lock")
        if not writes:
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=LOOKED_AT_SECONDS, poll_interval=0.02)
        except filelock.Timeout as error:
            raise UserError(
                f"Another process runs in {self.path}; wait for it, or choose another --workdir."
            ) from error
        except OSError as error:
            raise UserError(f"Cannot write to {self.path} ({error.strerror}); choose another --workdir.") from error

    def release(self) -> None:
        """Lets go of the lock."""
        self._lock.release()

    def read_json(self, name: str) -> dict[str, Any] | None:
        """The content of a JSON file of the folder, None where it is missing.

        Raises:
          UserError: the file is there and holds no JSON object.
        """
        return read_json(self.path / name)

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Writes a JSON file of the folder so that it is there whole or not at all; the first process does."""
        if self.writes:
            write_atomically(self.path / name, json.dumps(content, indent=2, sort_keys=True) + "\n")

    @contextlib.contextmanager
    def noting_failure(self) -> Iterator[None]:
        """Keeps why a run failed in failed.json until it is tried again, for whoever looks at many runs."""
        for name in (FAILED, PRUNED) if self.writes else ():
            (self.path / name).unlink(missing_ok=True)
        try:
            yield
        except Exception as error:
            kind = "" if isinstance(error, (UserError, RunError)) else f"{type(error).__name__}: "
            with contextlib.suppress(OSError):  # the disk may be full, which may be why it failed
                self.write_json(FAILED, {"reason": kind + " ".join(str(error).split())[:1000]})
            raise


def check_config(folder: pathlib.Path, config: dict[str, Any]) -> None:
    """Checks that config.json, where there is one, says the same: a workdir belongs to one config.

    `config.expected` may differ: it says what results are hoped for and changes none of them.

    Raises:
      UserError: the run that lies here has another config; the message names the leaves that differ.
    """
    saved = read_json(folder / "config.json")
    if saved is None:
        return
    found = configs.differences(*(configs.without(one, "expected") for one in (saved, config)))
    if found:
        pairs = [(name, *map(configs.shown, values)) for name, values in found.items()]
        leaves = "; ".join(f"{name}: {there} there, {here} here" for name, there, here in pairs[:5])
        raise UserError(f"{folder} holds a run of another config ({leaves}). Choose another --workdir.")


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
