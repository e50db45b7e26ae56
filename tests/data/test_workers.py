"""Worker processes outlive signals to the process group, and never the process that they work for."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ssl_jax import data

_ROOT = Path(__file__).parents[2]
_FEED = """
import signal, sys, time
from ssl_jax import data

noted = []
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda number, frame: noted.append(number))
dataset = data.ImageData('digits', data_dir=sys.argv[1], cache='never', workers=int(sys.argv[2]), prefetch=1)
feed = data.batches(dataset, batch_size=16, seed=0, start=0, stop=int(sys.argv[3]))
print('ready', flush=True)
next(feed)
print('first', flush=True)
"""
_TO_THE_END = """
while len(noted) < 2:
    time.sleep(0.01)
time.sleep(1)
print(sum(1 for _ in feed), flush=True)
"""
_FOREVER = "\nfor _ in feed: pass"


@pytest.fixture
def started(data_dir: str) -> Iterator[Callable[..., subprocess.Popen]]:
    """A function (code, workers, batches) -> a process that leads a group of its own."""
    processes = []
    data.prepare("digits", data_dir)

    def start(code: str, workers: int, batches: int) -> subprocess.Popen:
        command = [sys.executable, "-c", _FEED + code, data_dir, str(workers), str(batches)]
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(subprocess.Popen(command, cwd=_ROOT, start_new_session=True, **pipes))
        assert processes[-1].stdout.readline() == "ready\n"
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        for worker in _group(process, b"spawn_main"):  # not all of the group: one frees the shared memory of the others
            os.kill(worker, signal.SIGKILL)
        process.communicate()


def _group(process: subprocess.Popen, kind: bytes = b"") -> list[int]:
    """The living processes of a group whose command line holds `kind`."""
    members = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(group) == process.pid and state != "Z" and kind in (folder / "cmdline").read_bytes():
                members.append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            pass
    return members


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def _signal_both(process: subprocess.Popen) -> None:
    os.killpg(process.pid, signal.SIGTERM)
    os.killpg(process.pid, signal.SIGINT)


SLOW = pytest.mark.slow
WORKERS = pytest.mark.parametrize("workers", [pytest.param(1, marks=SLOW), 2])


@WORKERS
def test_signals_to_the_group_leave_the_batches_coming(started: Callable, workers: int):
    process = started(_TO_THE_END, workers, 40)
    assert process.stdout.readline() == "first\n"
    _signal_both(process)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "39\n"), err
    assert _until(lambda: not _group(process), 10), "processes are left"


@WORKERS
def test_signals_while_workers_start(started: Callable, workers: int):
    """They take seconds to import what they need."""
    process = started(_TO_THE_END, workers, 40)
    assert _until(lambda: len(_group(process, b"spawn_main")) == workers, 60)
    _signal_both(process)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "first\n39\n"), err


@pytest.mark.parametrize("moment", ["starting", "reading"])
def test_no_worker_outlives_a_killed_parent(started: Callable, moment: str):
    process = started(_FOREVER, 2, 10**9)
    assert moment == "starting" or process.stdout.readline() == "first\n"
    assert _until(lambda: len(_group(process, b"spawn_main")) == 2, 60)
    process.kill()
    assert _until(lambda: not _group(process), 30), "processes are left"


@pytest.mark.parametrize("code", ["", "feed.close()", pytest.param("raise SystemExit", marks=SLOW), "del feed"])
def test_workers_end_with_a_parent_that_leaves_batches(started: Callable, code: str):
    process = started(code, 1, 10**9)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "first\n"), err
    assert _until(lambda: not _group(process), 10), "processes are left"
