"""Calls that take turns in one process, a round after the other, and the table of what they took."""

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from ssl_jax.train.memory import keep_freed

Seconds = tuple[float, float]
"""Wall time, and the time of all processors."""
_TITLE = 56  # characters


def use_processors(threads: int | None = None) -> None:
    """Lets both libraries use so many processors, by default all, and keep freed memory, as launch.py does."""
    keep_freed()
    processors = sorted(os.sched_getaffinity(0))[:threads]
    os.sched_setaffinity(0, processors)  # XLA starts a thread for each of them
    import torch

    torch.set_num_threads(len(processors))


def measure(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[Seconds]]:
    """What each call takes in each round, after one that is not timed."""
    found = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            wall, processor = time.perf_counter(), time.process_time()
            call()
            if number:
                found[name].append((time.perf_counter() - wall, time.process_time() - processor))
    return found


def head(*names: str) -> None:
    """Prints the head of the table: the first column, and of each other one its ratio to that."""
    first, *others = names
    print(f"{'ms a step':{_TITLE}}{first:>10}" + "".join(f"{name:>12}{'ratio':>8}" for name in others))


def show(title: str, found: Mapping[str, Sequence[Seconds]]) -> None:
    """Prints the median and the best round of each column, of both clocks."""
    for what, reduce in ("median", statistics.median), ("best", min):
        for index, clock in enumerate(("wall", "processor")):
            first, *others = (reduce([seconds[index] for seconds in times]) * 1e3 for times in found.values())
            cells = "".join(f"{other:12.1f}{other / first:8.2f}" for other in others)
            print(f"{f'{title}, {what} {clock}':{_TITLE}}{first:10.1f}{cells}", flush=True)
