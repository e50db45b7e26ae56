"""Stopping on SIGTERM and Ctrl-C without losing anything."""

import signal
from types import FrameType

EXIT_STOPPED = 75


class Stopped(BaseException):
    """The run was asked to stop and has nothing left to save; running the same command goes on.

    No Exception: it may come out of any line, also one within a `try` that takes each Exception for a damaged file.
    """


class StopSignal:
    """Turns SIGTERM and SIGINT into a wish that the loop grants after saving.

    Outside of a `with` block there is nothing to save: a signal raises `Stopped` at once. Within it the first one is
    only noted (`requested`); a second SIGINT raises KeyboardInterrupt.
    """

    def __init__(self) -> None:
        self.requested: signal.Signals | None = None
        self._deferring = False
        self._before = {number: signal.signal(number, self._on) for number in (signal.SIGTERM, signal.SIGINT)}

    def _on(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = signal.Signals(number)
        if not self._deferring:
            raise Stopped(f"Stopped by {self.requested.name}.")

    def __enter__(self) -> "StopSignal":
        self._deferring = True
        return self

    def __exit__(self, *_: object) -> None:
        self._deferring = False

    def restore(self) -> None:
        """Puts the handlers back that were there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
