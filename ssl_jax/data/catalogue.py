"""Data sets by name: ours, which are prepared on first use, and every one that TFDS knows.

tensorflow_datasets is imported when a set is opened, not before: `launch.py --help` must not wait for it.
"""

import contextlib
import difflib
import importlib
import io
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from absl import logging

from ssl_jax.data import files, types_of_tensorflow
from ssl_jax.errors import RunError, UserError

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

OURS = {
    "asterisk_sounds": "ssl_jax.data.builders.asterisk_sounds",
    "digits": "ssl_jax.data.builders.digits",
    "fashion_mnist": "ssl_jax.data.builders.fashion_mnist",
    "kjv": "ssl_jax.data.builders.kjv",
    "moving_digits": "ssl_jax.data.builders.moving_digits",
    "openmoji": "ssl_jax.data.builders.openmoji",
}
"""The builders of this package: name -> module."""

VALID = f"{', '.join(OURS)}, or any TFDS name"
"""What `config.data.name` can be, for messages."""

_PACKAGES = {"tensorflow": "tensorflow-cpu", "sklearn": "scikit-learn", "PIL": "pillow"}  # where pip names it otherwise


def resolve(data_dir: str | None) -> str:
    """The data folder as a full path (an object-store address as it is)."""
    data_dir = data_dir or files.default_data_dir()
    return data_dir if files.is_remote(data_dir) else str(Path(data_dir).expanduser().absolute())


def find(name: str, data_dir: str | None) -> "tfds.core.DatasetBuilder":
    """The builder called `name` ('digits', 'imagenet2012:5.*.*', 'wikipedia/20230601.en'), prepared or not.

    Raises:
      UserError: no such data set, configuration or version.
    """
    import tensorflow_datasets as tfds

    short = name.split("/")[0].split(":")[0]
    data_dir = resolve(data_dir)
    try:
        with _quiet(), _without_bucket(tfds.core.DatasetInfo), types_of_tensorflow.stood_in_for():
            if short in OURS:
                importlib.import_module(OURS[short])  # importing it makes it known to TFDS
            return _find(tfds, name, data_dir)
    except ImportError as error:
        raise _missing_package(name, error) from error
    except tfds.core.DatasetNotFoundError:
        raise UserError(_not_found(name, short, _known(tfds))) from None
    except Exception as error:  # builders raise whatever they like: ValueError, AssertionError, protobuf's ParseError
        raise UserError(f"config.data.name: {name!r} in {data_dir} cannot be opened: {_reason(error)}") from error


@contextlib.contextmanager
def _without_bucket(info: type["tfds.core.DatasetInfo"]) -> Iterator[None]:
    """Keeps TFDS from asking its bucket, which it has closed, about a set that is not prepared.

    It would find nothing, and leave an empty folder among the temporary ones each time.
    """
    asks, info.initialize_from_bucket = info.initialize_from_bucket, lambda self: None
    try:
        yield
    finally:
        info.initialize_from_bucket = asks


def _find(tfds, name: str, data_dir: str) -> "tfds.core.DatasetBuilder":
    try:
        return tfds.builder(name, data_dir=data_dir, file_format="array_record")
    except tfds.core.DatasetNotFoundError:
        for left_out in ("text", "video", "vision_language"):  # by TFDS's lazy imports; of wikipedia, ucf101, laion400m
            importlib.import_module(f"tensorflow_datasets.{left_out}")
        return tfds.builder(name, data_dir=data_dir, file_format="array_record")


def _known(tfds) -> list[str]:
    return sorted({*OURS, *tfds.list_builders(with_community_datasets=False)})


def _not_found(name: str, short: str, known: list[str]) -> str:
    if short in known:
        return f"config.data.name: {name!r} has no such configuration or version; see the TFDS catalogue of {short!r}."
    nearest = difflib.get_close_matches(short, known, n=1, cutoff=0.6)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return f"config.data.name: {name!r} does not exist.{hint} Valid: {VALID}."


def available(name: str, data_dir: str | None) -> bool:
    """Whether the set `name` is prepared, or is one of ours, which are prepared when they are opened.

    Raises:
      UserError: no such data set, configuration or version.
    """
    builder = find(name, data_dir)
    return builder.name in OURS or _is_prepared(builder)


def opened(name: str, data_dir: str | None) -> "tfds.core.DatasetBuilder":
    """The prepared builder called `name`; ours are prepared here if need be.

    Raises:
      UserError: it does not exist, or has to be prepared first (the message says how).
    """
    builder = find(name, data_dir)
    if _is_prepared(builder):
        return builder
    if builder.name in OURS:
        return prepared(name, data_dir)
    raise UserError(
        f"config.data.name: {name!r} is not prepared in {resolve(data_dir)};"
        f" run: python launch.py prepare {name} --data_dir={resolve(data_dir)}"
    )


def prepared(name: str, data_dir: str | None) -> "tfds.core.DatasetBuilder":
    """Prepares the set `name` as ArrayRecord if that has not been done, one process at a time.

    TFDS writes under a temporary name and renames at the end, so being killed leaves nothing that looks finished.

    Raises:
      UserError: something has to be installed or downloaded by hand first, or the folder cannot be written.
      RunError: the disk is full, or would be.
    """
    data_dir = resolve(data_dir)
    if files.is_remote(data_dir):
        return _prepare(name, data_dir)
    folder = find(name, data_dir).data_path  # one lock for a folder, however its set is spelled
    with files.locked(Path(data_dir), os.path.relpath(folder, data_dir)):
        return _prepare(name, data_dir)


def _prepare(name: str, data_dir: str) -> "tfds.core.DatasetBuilder":
    builder = find(name, data_dir)
    if not _is_prepared(builder):
        if builder.data_path.exists():
            raise UserError(f"{builder.data_path} is damaged (it has no dataset_info.json): delete it and try again.")
        if not files.is_remote(data_dir):
            _remove_leftovers(Path(builder.data_path))
        logging.info("Preparing %s in %s", name, builder.data_path)
        with files.saving(data_dir), _explained(name, builder, data_dir), _quiet(ours=builder.name in OURS):
            builder.download_and_prepare()
    return find(name, data_dir)


def _is_prepared(builder: "tfds.core.DatasetBuilder") -> bool:
    """The same as TFDS's, which warns of a folder that is not there yet."""
    with _quiet():
        return builder.is_prepared()


def _remove_leftovers(data_path: Path) -> None:
    """Deletes what killed preparations left; called under the lock, so nobody is writing there."""
    for leftover in data_path.parent.glob(f"incomplete.*_{data_path.name}"):
        shutil.rmtree(leftover, ignore_errors=True)


@contextlib.contextmanager
def _quiet(*, ours: bool = True) -> Iterator[None]:
    """Keeps TFDS from telling what is of no use; preparing a set that is not ours takes long, and may say so."""
    if not ours:
        yield
        return
    import tensorflow_datasets as tfds

    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tfds.enable_progress_bar()
        logging.set_verbosity(verbosity)


@contextlib.contextmanager
def _explained(name: str, builder: "tfds.core.DatasetBuilder", data_dir: str) -> Iterator[None]:
    """Turns what stops a builder from preparing itself into one line that says what to do."""
    try:
        yield
    except ImportError as error:
        raise _missing_package(name, error) from error
    except AssertionError as error:
        by_hand = builder.MANUAL_DOWNLOAD_INSTRUCTIONS
        if not by_hand:
            raise
        folder = f"{data_dir}/downloads/manual"
        raise UserError(f"Preparing {name!r} needs a download by hand into {folder}: {_one_line(by_hand)}") from error
    except OSError as error:
        if _is_network(error):
            raise UserError(f"Preparing {name!r} could not download its files: {_one_line(error)}") from error
        if error.errno is None and "disk space" in str(error):  # TFDS's own, before it begins
            line = f"Preparing {name!r} in {data_dir}: {_one_line(error)}"
            raise RunError(f"{line}. Free some, or choose another --data_dir.") from error
        raise
    except Exception as error:
        if failure := _failed_download(name, error):
            raise failure from error
        raise


def _failed_download(name: str, error: Exception) -> UserError | None:
    """What to say of TFDS's own exceptions: a server refused, or a file is not the one that was expected."""
    from tensorflow_datasets.core import download

    if isinstance(error, download.util.DownloadError):
        return UserError(f"Preparing {name!r} could not download its files: {_one_line(error)}")
    if isinstance(error, download.download_manager.NonMatchingChecksumError):
        what = str(error).splitlines()[0].rstrip(":")
        return UserError(
            f"Preparing {name!r}: {what}. Delete it and run the same command again; if that does not help, the file has"
            " changed at its source: pip install -U tensorflow-datasets"
        )
    return None


def _missing_package(name: str, error: ImportError) -> UserError:
    package = _package_of(error)
    return UserError(f"config.data.name: {name!r} needs the package {package}: run pip install {package}")


def _package_of(error: BaseException) -> str:
    """The pip package that holds the module that could not be imported (TFDS words some of these errors itself)."""
    found = re.search(r"(?:No module named|Failed importing|import of) '?([A-Za-z0-9_]+)", str(error))
    module = (getattr(error, "name", None) or "").split(".")[0] or (found.group(1) if found else "")
    if not module and error.__cause__ is not None:
        return _package_of(error.__cause__)
    return _PACKAGES.get(module, module.replace("_", "-")) or "that provides it"


def _is_network(error: OSError) -> bool:
    """Whether an error is of the network, not of the disk (requests' exceptions are OSErrors as well)."""
    return isinstance(error, ConnectionError) or type(error).__module__.split(".")[0] in (
        "requests",
        "urllib",
        "urllib3",
    )


def _reason(error: Exception) -> str:
    """What TFDS complains of, without the arguments it puts in front."""
    return _one_line(str(error).rsplit("'}\": ", 1)[-1])


def _one_line(text: object) -> str:
    """The first 300 characters of a message, on one line."""
    return " ".join(str(text).split())[:300]
