"""Says on stdout what takes long, and how far it is. What is done within a few seconds says nothing."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np

from ssl_jax import terminal

PATIENCE = 5.0  # seconds of work before anything is said; the sets of this package take less
EVERY = 10.0  # seconds between two lines on how far it is


@contextlib.contextmanager
def announced(line: str) -> Iterator[None]:
    """Prints `line` once what is done within takes long; from a thread, as libraries do not come back to say so."""
    timer = threading.Timer(PATIENCE, print, (line,), {"flush": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def chunks(total: int, size: int, doing: str) -> Iterator[np.ndarray]:
    """The indices of [0, total) (int64), `size` at a time; now and then tells how far their user is.

    Args:
      total: number of examples.
      size: examples at a time.
      doing: what is done with them, e.g. 'Decoding digits (train)'.
    """
    with counted(total, doing) as advance:
        for start in range(0, total, size):
            end = min(start + size, total)
            yield np.arange(start, end)
            advance(end - start)


@contextlib.contextmanager
def counted(total: int, doing: str, *, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Tells how far some work is: as a bar in a terminal, elsewhere as a line now and then.

    Args:
      total: number of examples.
      doing: what is done with them.
      done: how many of them were done before.

    Yields:
      A function to be told how many more are done.
    """
    tell = _Bar(total, doing, done) if terminal.redraws() else _Lines(total, doing, done)
    try:
        yield tell.advance
    finally:
        tell.close()


class _Lines:
    """A line every few seconds."""

    def __init__(self, total: int, doing: str, done: int):
        self._total, self._doing, self._before, self._done = total, doing, done, done
        self._began = self._told = time.monotonic()

    def advance(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if self._done < self._total and now - self._told >= EVERY:
            self._told = now
            print(self._line(now - self._began), flush=True)

    def close(self) -> None:
        """Nothing is left to be said."""

    def _line(self, seconds: float) -> str:
        rate = (self._done - self._before) / seconds
        left = (self._total - self._done) / rate
        return f"{self._doing}: {self._done:,} of {self._total:,}, {rate:,.1f}/s, {left:,.0f} s left"


class _Bar:
    """A bar, from when the work has taken long."""

    def __init__(self, total: int, doing: str, done: int):
        import rich.progress

        columns = (
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TextColumn("{task.fields[rate]:,.1f}/s"),
            rich.progress.TimeRemainingColumn(),
        )
        self._bar, self._began = rich.progress.Progress(*columns), time.monotonic()
        self._before, self._done = done, done
        self._task = self._bar.add_task(doing, total=total, completed=done, rate=0.0)

    def advance(self, count: int) -> None:
        self._done += count
        seconds = time.monotonic() - self._began
        if seconds >= PATIENCE:
            self._bar.start()
        rate = (self._done - self._before) / max(seconds, 1e-9)
        self._bar.update(self._task, completed=self._done, rate=rate)

    def close(self) -> None:
        self._bar.stop()
