"""Ending a run that hangs, so that whatever started it can start it again."""

import faulthandler
import os
import sys
import threading
import time

LOOKS = 10  # in the time that nothing may happen


class Watchdog:
    """Ends the process with exit status 1 when nothing was heard of it for a while, with the stack of every thread.

    One of several processes that waits for another, which is alive but stands still, waits for ever, and no heartbeat
    tells.
    """

    def __init__(self, seconds: float):
        """Args: seconds: how long nothing may be heard; 0: for ever."""
        self._seconds, self._heard, self._closed = seconds, None, threading.Event()
        if seconds:
            threading.Thread(target=self._watch, daemon=True, name="watchdog").start()

    def hear(self) -> None:
        """Something happened; the time counts from now."""
        self._heard = time.monotonic()

    def rest(self) -> None:
        """Time does not count until something is heard: what comes now may take as long as it takes."""
        self._heard = None

    def close(self) -> None:
        """Nobody watches any more."""
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.wait(self._seconds / LOOKS):
            heard = self._heard
            if heard is not None and time.monotonic() - heard > self._seconds:
                self._end()

    def _end(self) -> None:
        print(
            f"Failed: no step ended for {self._seconds:g} s (config.hang_seconds); the stacks of all threads follow. "
            "Run the same command to go on from the last checkpoint.",
            file=sys.__stderr__,
            flush=True,
        )
        faulthandler.dump_traceback(sys.__stderr__, all_threads=True)
        os._exit(1)
