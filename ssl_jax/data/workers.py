"""How the processes that read batches start and end: the process that uses the batches decides, no signal does.

Ctrl-C, Slurm and `timeout` send their signal to the whole process group. The training process then finishes its step
and saves; workers that died at once would leave it without the batches it waits for.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker

_STOP = (signal.SIGINT, signal.SIGTERM)


def begin(index: int, count: int) -> None:
    """Called by Grain first thing in a worker process: ignores what asks to stop, and ends when the parent is gone."""
    del index, count
    for number in _STOP:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Grain's workers would wait forever for a parent that was killed to take their batches."""
    multiprocessing.parent_process().join()
    os._exit(1)


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Holds back what asks to stop: processes started within inherit that, until `begin` is reached in them."""
    resource_tracker.ensure_running()  # starting it, as Grain would do within, lets these signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
