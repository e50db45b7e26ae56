"""Folders that appear whole or not at all, built by one process at a time."""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
import numpy as np
from absl import logging

from ssl_jax.data import progress
from ssl_jax.errors import RunError, UserError

_MANIFEST = "manifest.json"
_LOCKS = ".ssl_jax_locks"


def default_data_dir() -> str:
    """Where TFDS keeps data sets when nobody says otherwise."""
    return os.path.expanduser(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets"))


def is_remote(data_dir: str) -> bool:
    """Whether `data_dir` is in an object store (gs://...), where there is neither locking nor memory mapping."""
    return "://" in data_dir


def cache_dir(data_dir: str) -> Path:
    """The folder for what is computed from `data_dir`: inside it, or under ~/.cache where it cannot be written."""
    if not is_remote(data_dir):
        inside = Path(data_dir) / "ssl_jax_cache"
        with contextlib.suppress(OSError):
            inside.mkdir(parents=True, exist_ok=True)
            if os.access(inside, os.W_OK):
                return inside
    fallback = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "ssl_jax"
    with saving(fallback):
        fallback.mkdir(parents=True, exist_ok=True)
    return fallback


def slug(name: str) -> str:
    """`name` made fit for a file name."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-")


def key(identity: dict) -> str:
    """Of a cache: 16 letters that say what decides its content."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


@contextlib.contextmanager
def saving(path: str | Path) -> Iterator[None]:
    """Turns failures to write under `path` into one clear line.

    Raises:
      RunError: no space is left.
      UserError: it cannot be written for another reason.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(f"No space left while writing {path}: free some, or choose another --data_dir.") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT):
            where = error.filename or path
            raise UserError(f"{where} cannot be written ({error.strerror}): choose another --data_dir.") from error
        raise


@contextlib.contextmanager
def locked(folder: Path, name: str) -> Iterator[None]:
    """Holds the lock `name` of `folder`. The system frees it when its holder ends, however it ends."""
    with saving(folder):
        (folder / _LOCKS).mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / _LOCKS / f"{slug(name)}.lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            with progress.announced(f"Waiting for another process that prepares {name} in {folder}"):
                lock.acquire()
    try:
        yield
    finally:
        lock.release()


def build(folder: Path, write: Callable[[Path], None]) -> Path:
    """Makes sure that `folder` stands, complete; `write` fills a new one.

    A folder is written under a temporary name and renamed when all of it is on disk, so a process killed on the way
    leaves nothing that looks finished. A folder whose files do not have the sizes they were written with is rebuilt.

    Args:
      folder: what is wanted.
      write: called with an empty temporary folder; writes its files there.

    Returns:
      `folder`.

    Raises:
      RunError: the disk is full.
      UserError: the place is not writable.
    """
    if is_whole(folder):
        return folder
    with locked(folder.parent, folder.name):
        return build_alone(folder, write)


def build_alone(folder: Path, write: Callable[[Path], None]) -> Path:
    """`build` without a lock, for who knows that nobody else builds this folder."""
    if is_whole(folder):
        return folder
    _remove_leftovers(folder)
    temporary = folder.with_name(f"{folder.name}.tmp-{os.getpid()}")
    try:
        with saving(folder):
            temporary.mkdir(parents=True)
            write(temporary)
            _write_manifest(temporary)
            os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def mapped(path: Path, dtype: type) -> np.ndarray:
    """A flat array in a file of a built folder, memory-mapped.

    Raises:
      UserError: the file is missing or damaged.
    """
    try:
        return np.memmap(path, dtype, mode="r")
    except (OSError, ValueError) as error:
        line = f"{path.parent} is damaged ({path.name}: {error}): delete it, it will be built again."
        raise UserError(line) from error


def is_whole(folder: Path) -> bool:
    """Whether all that `build` wrote into `folder` is still there in full length."""
    try:
        sizes = json.loads((folder / _MANIFEST).read_text())
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def _remove_leftovers(folder: Path) -> None:
    if folder.exists():
        logging.warning("%s is damaged or incomplete: building it again", folder)
        shutil.rmtree(folder)
    for leftover in folder.parent.glob(f"{folder.name}.tmp-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _write_manifest(folder: Path) -> None:
    """Flushes all files to the disk, then notes their sizes."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
    sizes = {str(path.relative_to(folder)): path.stat().st_size for path in paths}
    with (folder / _MANIFEST).open("w") as file:
        json.dump(sizes, file)
        file.flush()
        os.fsync(file.fileno())
