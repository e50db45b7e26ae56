"""Shares of this machine's devices, and the runs that go on them one after the other."""

import signal
import subprocess
import time
from collections.abc import Callable, Sequence

import filelock

from ssl_jax.launchers.devices import Share
from ssl_jax.train import runs
from ssl_jax.train.runs import Run, State
from ssl_jax.train.signals import EXIT_STOPPED, StopSignal
from ssl_jax.train.workdir import FAILED, PRUNED

LOOK_SECONDS = 0.5
STOPPED = (EXIT_STOPPED, -signal.SIGTERM)  # the latter while it still imports, or no more listens


class Slot:
    """A share of the devices, on which one run goes at a time.

    Attributes:
      run: that goes or has just ended, None where the slot is free.
      asked: whether it was asked to stop.
    """

    def __init__(self, share: Share):
        self.run: Run | None = None
        self.asked = False
        self._share = share
        self._claim: filelock.BaseFileLock | None = None
        self._process: subprocess.Popen | None = None

    def start(self, run: Run, claim: filelock.BaseFileLock, command: Sequence[str]) -> None:
        """Starts a run, which writes to its log.txt; that it failed or was pruned once is forgotten."""
        runs.remember(run)
        for name in (FAILED, PRUNED):
            (run.folder / name).unlink(missing_ok=True)
        with (run.folder / runs.LOG).open("a") as log:
            self._process = self._share.start(command, stdout=log, stderr=subprocess.STDOUT)
        self.run, self.asked, self._claim = run, False, claim

    def ended(self) -> State | None:
        """How the run ended, None while it goes; 'running' where another process holds its folder."""
        status = self._process.poll()
        if status is None:
            return None
        if status == 0 or self.run.results():  # a signal may come after its work is done
            return "done"
        if self.run.pruned():
            return "pruned"
        if status in STOPPED:
            return "stopped"
        if self.run.is_held():
            return "running"
        if not (self.run.folder / FAILED).exists():  # it had no time to say why
            killed = f"It was ended by {signal.Signals(-status).name}." if status < 0 else None
            runs.note_failed(self.run, killed or self.run.reason())
        return "failed"

    def stop(self) -> None:
        """Asks the run, where there is one, to save and stop; once."""
        if self.run and not self.asked:
            self.asked = True
            self._process.terminate()

    def wait(self) -> None:
        """Waits for the run, where there is one, to end."""
        if self.run:
            self._process.wait()

    def free(self) -> None:
        """Lets go of a run that has ended."""
        self._claim.release()
        self.run = self._claim = self._process = None


def occupy(
    slots: Sequence[Slot], stop: StopSignal, *, fill: Callable[[Slot], bool], look: Callable[[Slot], None]
) -> None:
    """Keeps slots busy until nothing is left or a signal comes, at which their runs save and stop.

    Args:
      slots: free ones.
      stop: where the signal is noted.
      fill: starts a run in a free slot, or not; returns whether there may be one to start later.
      look: is called again and again for each slot with a run; frees it when that has ended.
    """
    more = True
    try:
        while more or any(slot.run for slot in slots):
            more = False
            for slot in slots:
                if slot.run:
                    look(slot)
                if not slot.run and not stop.requested:
                    more |= fill(slot)
                if stop.requested:
                    slot.stop()
            if more or any(slot.run for slot in slots):
                time.sleep(LOOK_SECONDS)
    except Exception:
        for slot in slots:
            slot.stop()
        for slot in slots:
            slot.wait()
        raise
