"""Several processes of one run on this machine."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import IO

from ssl_jax.launchers import devices
from ssl_jax.train.signals import EXIT_STOPPED

GRACE_SECONDS = 60  # in which processes end by themselves when one of them has failed
FINE = (0, EXIT_STOPPED)
LAST_LINES = 200  # the stacks of all threads among them


def run(command: Sequence[str], count: int) -> int:
    """Runs `count` processes of one run, and passes SIGTERM and Ctrl-C on to them.

    Args:
      command: of one process, to which its place among the others is added.
      count: how many; GPUs are divided among them, on CPUs each has all cores.

    Returns:
      The exit status of the run: that of its processes where they agree, and that of the first one that failed where
      not; 1 for one that a signal ended.

    Raises:
      UserError: the GPUs cannot be divided by `count`.
    """
    shares = devices.of_one_run(count)
    place = [f"--coordinator=127.0.0.1:{_free_port()}", f"--processes={count}"]
    with tempfile.TemporaryDirectory() as folder:
        logs = [open(os.path.join(folder, str(index)), "w+") for index in range(count)]
        running = [
            share.start([*command, *place, f"--process_id={index}"], stderr=logs[index] if index else None)
            for index, share in enumerate(shares)
        ]
        status, culprit = _wait(running)
        _tell(running, logs, culprit)
    return status


def _wait(running: Sequence[subprocess.Popen]) -> tuple[int, int | None]:
    """The exit status of the run, and which process was the first to fail."""
    asked = _passed_on(running)
    failed_at, status, culprit = None, 0, None
    try:
        while any(process.poll() is None for process in running):
            bad = [index for index, process in enumerate(running) if process.returncode not in (None, *FINE)]
            if bad and failed_at is None:
                failed_at, culprit, status = time.monotonic(), bad[0], _status(running[bad[0]].returncode)
            if failed_at is not None and time.monotonic() - failed_at > GRACE_SECONDS or asked["count"] > 1:
                for process in running:
                    process.kill()
            time.sleep(0.05)
    finally:
        for number, handler in asked["before"].items():
            signal.signal(number, handler)
    ends = [process.returncode for process in running]
    return status or next((_status(end) for end in ends if end not in FINE), max(ends)), culprit


def _passed_on(running: Sequence[subprocess.Popen]) -> dict:
    """Takes SIGTERM and SIGINT; counts them, and asks all processes to stop at the first one."""
    asked = {"count": 0, "before": {}}

    def on(number: int, frame: object) -> None:
        asked["count"] += 1
        if asked["count"] == 1:
            for process in running:
                process.terminate()

    asked["before"] = {number: signal.signal(number, on) for number in (signal.SIGTERM, signal.SIGINT)}
    return asked


def _status(end: int) -> int:
    """What a process's end means for the run: its own exit status if it chose one of ours."""
    return end if end in (0, 1, 2, EXIT_STOPPED) else 1


def _tell(running: Sequence[subprocess.Popen], logs: Sequence[IO[str]], culprit: int | None) -> None:
    """Repeats what the first process to fail said, and what those did that ended otherwise than process 0."""
    for index, (process, log) in enumerate(zip(running, logs)):
        if index and (index == culprit or process.returncode not in (*FINE, running[0].returncode)):
            log.seek(0)
            lines = log.read().splitlines()[-LAST_LINES:]
            end = f"was ended by {signal.Signals(-process.returncode).name}" if process.returncode < 0 else "failed"
            print(f"Process {index} {end}.", *(f"  {line}" for line in lines), sep="\n", file=sys.stderr)
        log.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
