"""What a task of a Slurm job does: it runs one process of a run. Imported on the nodes, so nothing heavy here."""

import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import IO

from ssl_jax.launchers.devices import Share
from ssl_jax.train.signals import EXIT_STOPPED

LAST_LINES = 20


class Task:
    """Called by submitit in each task that srun starts."""

    def __init__(self, command: Sequence[str], log: pathlib.Path):
        """
        Args:
          command: of the run; it finds out from Slurm's environment which of its processes it is.
          log: what process 0 writes is added to it; what others write is in their task's own log.
        """
        self._command, self._log = tuple(command), log

    def __call__(self) -> None:
        """Runs it, and passes SIGTERM on to it; exits with 75 where it was stopped by a signal.

        Raises:
          RuntimeError: it failed; the message has the last lines of the log.
        """
        first = os.environ.get("SLURM_PROCID", "0") == "0"
        with open(self._log if first else os.devnull, "a") as log:
            status = _run(self._command, log if first else None)
        if status in (EXIT_STOPPED, -signal.SIGTERM):  # the latter before it could take the signal
            sys.exit(EXIT_STOPPED)
        if status:
            end = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with {status}"
            if first:
                self._note(end)
            lines = self._log.read_text(errors="replace").splitlines()[-LAST_LINES:] if first else []
            raise RuntimeError("\n".join([f"The run {end}.", *lines]))

    def _note(self, end: str) -> None:
        """Keeps why the run failed, where it had no time to do so itself."""
        from ssl_jax.train.workdir import FAILED, write_atomically

        noted = self._log.with_name(FAILED)
        if not noted.exists():
            lines = [line for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
            write_atomically(noted, json.dumps({"reason": f"It {end}. {lines[-1] if lines else ''}".strip()}) + "\n")


def _run(command: Sequence[str], log: IO | None) -> int:
    """The exit status; Slurm tells a step's processes of a signal, all of them or only those that it started."""
    told, child = [], None

    def on(number: int, frame: object) -> None:
        told.append(number)
        if child is not None:
            child.terminate()

    signal.signal(signal.SIGTERM, on)
    child = Share().start(command, stdout=log, stderr=subprocess.STDOUT if log else None)
    if told:
        child.terminate()
    return child.wait()
