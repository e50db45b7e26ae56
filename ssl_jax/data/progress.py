"""Says on stdout what takes long, and how far it is. What is done within a few seconds says nothing."""

import contextlib
import threading
import time
from collections.abc import Iterator

import numpy as np

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
    """The indices of [0, total) (int64), `size` at a time; now and then prints how far their user is.

    Args:
      total: number of examples.
      size: examples at a time.
      doing: what is done with them, e.g. 'Decoding digits (train)'.
    """
    began = told = time.monotonic()
    for start in range(0, total, size):
        end = min(start + size, total)
        yield np.arange(start, end)
        now = time.monotonic()
        if end < total and now - told >= EVERY:
            told = now
            print(_line(doing, end, total, now - began), flush=True)


def _line(doing: str, done: int, total: int, seconds: float) -> str:
    rate = done / seconds
    return f"{doing}: {done:,} of {total:,}, {rate:,.1f}/s, {(total - done) / rate:,.0f} s left"
