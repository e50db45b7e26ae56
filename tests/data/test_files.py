import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ssl_jax.data import files
from ssl_jax.errors import RunError, UserError


def _fill(folder: Path) -> None:
    (folder / "a").write_bytes(b"12345")
    (folder / "deep").mkdir()
    (folder / "deep" / "b").write_bytes(b"67")


def _unreachable(folder: Path) -> None:
    raise AssertionError("built again")


def test_built_once(tmp_path: Path):
    folder = files.build(tmp_path / "x", _fill)
    assert (folder / "deep" / "b").read_bytes() == b"67"
    files.build(tmp_path / "x", _unreachable)
    assert [path.name for path in tmp_path.glob("x*")] == ["x"]


@pytest.mark.parametrize("damage", ["truncated", "missing", "no manifest", "bad manifest"])
def test_what_is_damaged_is_built_again(tmp_path: Path, damage: str):
    folder = files.build(tmp_path / "x", _fill)
    if damage == "truncated":
        os.truncate(folder / "a", 3)
    elif damage == "missing":
        (folder / "deep" / "b").unlink()
    elif damage == "no manifest":
        (folder / "manifest.json").unlink()
    else:
        (folder / "manifest.json").write_text("{")
    assert not files.is_whole(folder)
    files.build(folder, _fill)
    assert (folder / "a").read_bytes() == b"12345" and (folder / "deep" / "b").exists()


def test_a_failure_leaves_nothing(tmp_path: Path):
    def fail(folder: Path) -> None:
        _fill(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.build(tmp_path / "x", fail)
    assert not list(tmp_path.glob("x*"))


_SLOW = """
import sys, time, pathlib
from ssl_jax.data import files
def write(folder):
    (folder / 'a').write_bytes(b'half')
    print('writing', flush=True)
    time.sleep(float(sys.argv[2]))
    (folder / 'a').write_bytes(b'whole')
    with open(sys.argv[1] + '.log', 'a') as log: log.write('built\\n')
files.build(pathlib.Path(sys.argv[1]), write)
"""


def _start(folder: Path, seconds: float) -> subprocess.Popen:
    command = [sys.executable, "-c", _SLOW, str(folder), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def test_killed_while_building(tmp_path: Path):
    process = _start(tmp_path / "x", 600)
    assert process.stdout.readline() == "writing\n"
    process.kill()
    process.wait()
    process.stdout.close()
    assert not (tmp_path / "x").exists() and list(tmp_path.glob("x.tmp-*"))
    files.build(tmp_path / "x", _fill)
    assert files.is_whole(tmp_path / "x")
    assert not list(tmp_path.glob("x.tmp-*"))


def test_two_at_once_build_once(tmp_path: Path):
    processes = [_start(tmp_path / "x", 1) for _ in range(3)]
    for process in processes:
        assert process.wait(timeout=120) == 0
        process.stdout.close()
    assert (tmp_path / "x.log").read_text() == "built\n"
    assert (tmp_path / "x" / "a").read_bytes() == b"whole"


def test_a_lock_is_waited_for(tmp_path: Path):
    process = _start(tmp_path / "x", 2)
    assert process.stdout.readline() == "writing\n"
    start = time.monotonic()
    files.build(tmp_path / "x", _unreachable)
    assert time.monotonic() - start > 0.5
    assert process.wait() == 0
    process.stdout.close()


def test_a_full_disk(tmp_path: Path):
    def fail(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(RunError, match="No space left while writing .*x: free some, or choose another --data_dir"):
        files.build(tmp_path / "x", fail)
    assert not list(tmp_path.glob("x*"))


def test_a_place_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written .*: choose another --data_dir"):
        files.build(tmp_path / "file" / "x", _fill)
    with pytest.raises(UserError, match="/proc/nowhere cannot be written .*: choose another --data_dir"):
        files.build(Path("/proc/nowhere/x"), _fill)


def test_caches_move_out_of_a_folder_that_is_not_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert files.cache_dir(str(tmp_path)) == tmp_path / "ssl_jax_cache"
    (tmp_path / "file").write_text("")
    assert files.cache_dir(str(tmp_path / "file")) == tmp_path / "home" / "ssl_jax"
    assert files.cache_dir("gs://bucket/data") == tmp_path / "home" / "ssl_jax"


def test_slug():
    assert files.slug("wikipedia/20230601.en:1.0.0") == "wikipedia-20230601.en-1.0.0"
