import dataclasses
import os
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ssl_jax.data import records
from ssl_jax.data.records import Records
from ssl_jax.errors import RunError, UserError


@pytest.fixture
def digits(digits_copy: Path) -> Records:
    """The training records of digits, in a place of their own, opened."""
    opened = Records("digits", str(digits_copy), "train[10%:]", ("image", "label"))
    assert len(opened) == 1293
    return opened


def _file(digits: Records) -> Path:
    [path] = (Path(digits.data_dir) / "digits" / "1.0.0").glob("*train*")
    return path


@pytest.mark.parametrize("error", [RuntimeError("no connection\nmore of it"), OSError(5, "no connection"), KeyError(3)])
def test_what_is_no_damage_is_not_called_so(digits: Records, error: Exception, monkeypatch: pytest.MonkeyPatch):
    def fail(self, indices):
        raise error

    monkeypatch.setattr(records._Parsed, "__getitems__", fail)
    first_line = str(error).split("\n")[0]
    with pytest.raises(RunError) as caught:
        digits.read(np.arange(20))
    assert str(caught.value) == (
        "The records of 'digits' (train[10%:]) could not be read:"
        f" {type(error).__name__}: {first_line}. Run the same command again."
    )


def test_too_many_open_files_are_no_damage(digits: Records):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    full = max(int(name) for name in os.listdir("/proc/self/fd")) + 1
    held = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (full, hard))
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        with pytest.raises(RunError, match="could not be read: .*Run the same command again"):
            digits.read(np.arange(20))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for number in held:
            os.close(number)
    assert len(dataclasses.replace(digits).read(np.arange(20))) == 20


def test_made_up_records_have_no_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    made_up = Records("imagenet2012", str(tmp_path), "train", ("label",), mock=4)
    monkeypatch.setattr(records.mock.MockRecords, "__getitems__", lambda self, indices: 1 / 0, raising=False)
    with pytest.raises(RunError, match="ZeroDivisionError: division by zero"):
        made_up.read(np.arange(2))


def _overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xa5" * 300)


@pytest.mark.parametrize("damage", [_overwrite, lambda path: os.truncate(path, path.stat().st_size // 2), Path.unlink])
def test_damage_is_named(digits: Records, damage: Callable[[Path], None]):
    path = _file(digits)
    damage(path)
    with pytest.raises(UserError) as caught:
        digits.read(np.arange(len(digits)))
    assert str(caught.value).startswith(f"{path} is missing, truncated or unreadable: delete {path.parent} and run:")


def test_only_what_is_asked_for_is_looked_at(digits: Records, monkeypatch: pytest.MonkeyPatch):
    """The records in the middle are damaged; something else goes wrong with the first ones."""
    _overwrite(_file(digits))
    monkeypatch.setattr(records._Parsed, "__getitems__", lambda self, indices: 1 / 0)
    with pytest.raises(RunError, match="ZeroDivisionError"):
        digits.read(np.arange(20))
    with pytest.raises(UserError, match="is missing, truncated or unreadable"):
        digits.read(np.arange(len(digits)))
