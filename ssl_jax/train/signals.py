"""Stopping on SIGTERM and Ctrl-C without losing anything."""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

EXIT_STOPPED = 75


class Stopped(BaseException):
    """The run was asked to stop and has nothing left to save; running the same command goes on.

    No Exception: it may come out of any line, also one within a `try` that takes each Exception for a damaged file.
    """


def _raise(line: str) -> NoReturn:
    raise Stopped(line)


class StopSignal:
    """Turns SIGTERM and SIGINT into a wish that the loop grants after saving.

    Outside of a `with` block there is nothing to save: a signal stops at once. Within it the first one is only noted
    (`requested`); a second SIGINT raises KeyboardInterrupt.

    Attributes:
      requested: the signal that came, None before.
      any_of: of a run of several processes, whether a flag is true in any of them; such a run stops at a `point` that
        all of them pass, and nowhere else. None for a process alone.
    """

    def __init__(self, at_once: Callable[[str], NoReturn] = _raise) -> None:
        """Takes the signals, in the main thread, which alone can; in another one they stay as they are.

        Args: at_once: is called with one line to stop where there is nothing to save; by default it raises `Stopped`.
        """
        self.requested: signal.Signals | None = None
        self.any_of: Callable[[bool], bool] | None = None
        self._at_once = at_once
        self._deferring = False
        numbers = (signal.SIGTERM, signal.SIGINT) if threading.current_thread() is threading.main_thread() else ()
        self._before = {number: signal.signal(number, self._on) for number in numbers}

    def _on(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = signal.Signals(number)
        if not self._deferring and self.any_of is None:
            self._at_once(f"Stopped by {self.requested.name}.")

    def point(self) -> None:
        """Where several processes stop together, if a signal came to any of them and there is nothing to save."""
        if self.any_of and not self._deferring and self.any_of(self.requested is not None):
            self._at_once("Stopped by a signal.")

    def __enter__(self) -> "StopSignal":
        self._deferring = True
        return self

    def __exit__(self, *_: object) -> None:
        self._deferring = False

    def restore(self) -> None:
        """Puts the handlers back that were there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
