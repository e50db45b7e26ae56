"""Where numbers go: metrics.jsonl, TensorBoard events, and a progress bar or plain lines."""

import functools
import json
import logging
import pathlib
import time
from collections.abc import Mapping
from typing import Any

import jax
import rich.progress

from ssl_jax import terminal
from ssl_jax.train.workdir import write_atomically

log = logging.getLogger(__name__)


class MetricWriter:
    """Appends to metrics.jsonl and to TensorBoard events; what lies after the step it starts from is dropped."""

    def __init__(self, folder: pathlib.Path, start: int):
        """
        Args:
          folder: the workdir.
          start: the number of steps already done. Lines of later steps, and a half-written last line, are removed:
            the run will write them again.
        """
        path = folder / "metrics.jsonl"
        kept = [line for line in read(folder) if line["step"] <= start] if start else []
        write_atomically(path, "".join(json.dumps(line) + "\n" for line in kept))
        self._file = path.open("a")
        self._folder, self._start = folder, start

    @functools.cached_property
    def _events(self) -> Any:
        """The TensorBoard writer, opened by the first line: its import takes seconds where torch is installed."""
        from ssl_jax.train.events import EventFile

        return EventFile(self._folder / "tensorboard", self._start)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Writes one line of scalars. `step`: number of steps done."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        self._events.write(step, values)

    def close(self) -> None:
        """Closes both."""
        self._file.close()
        if "_events" in vars(self):
            self._events.close()


class Silent:
    """In place of a MetricWriter and of a Progress, in processes that neither write nor speak."""

    note: str | None = None

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Writes nothing."""

    def update(self, step: int) -> None:
        """Shows nothing."""

    def warn(self, line: str) -> None:
        """Says nothing."""

    def close(self) -> None:
        """There is nothing to close."""


def read(folder: pathlib.Path) -> list[dict[str, float]]:
    """The lines of metrics.jsonl; a line cut off by a kill is left out."""
    path = folder / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    parsed = (_parse(line) for line in lines)
    return [line for line in parsed if line is not None]


def _parse(line: str) -> dict[str, float] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and "step" in value else None


class Pending:
    """Metrics still being computed: device arrays whose values are fetched a while later, so that no step waits."""

    def __init__(self, lag: int = 2):
        """Args: lag: how many entries stay unfetched."""
        self._lag, self._entries = lag, []

    def push(self, step: int, arrays: dict[str, jax.Array]) -> list[tuple[int, dict[str, float]]]:
        """Adds one entry and returns those that are old enough, fetched."""
        self._entries.append((step, arrays))
        return self._pop(self._lag)

    def flush(self) -> list[tuple[int, dict[str, float]]]:
        """Returns all entries, waiting for them."""
        return self._pop(0)

    def _pop(self, leave: int) -> list[tuple[int, dict[str, float]]]:
        cut = max(0, len(self._entries) - leave)
        ready, self._entries = self._entries[:cut], self._entries[cut:]
        return [
            (step, {name: float(value) for name, value in jax.device_get(arrays).items()}) for step, arrays in ready
        ]


class Progress:
    """A bar with throughput and time left on a terminal; a plain line every `seconds` seconds elsewhere.

    The clock starts with the first step done, so that compiling it does not count.

    Attributes:
      note: a word or two on how the run does, shown beside the throughput; None: nothing.
    """

    def __init__(self, title: str, steps: int, start: int, batch_size: int, seconds: float = 10.0):
        self._steps, self._batch_size, self._title, self._seconds = steps, batch_size, title, seconds
        self.note: str | None = None
        self._began: tuple[float, int] | None = None
        self._last, self._bar = time.monotonic(), _bar() if terminal.redraws() else None
        if self._bar:
            self._bar.start()
            self._task = self._bar.add_task(title, total=steps, completed=start, rate="")

    def update(self, step: int) -> None:
        """`step`: number of steps done."""
        now = time.monotonic()
        self._began = self._began or (now, step)
        rate = (step - self._began[1]) * self._batch_size / max(now - self._began[0], 1e-9)
        note = f", {self.note}" if self.note else ""
        if self._bar:
            self._bar.update(self._task, completed=step, rate=f"{rate:,.0f} examples/s{note}")
        elif now - self._last >= self._seconds or step == self._steps:
            left = f", {(self._steps - step) * self._batch_size / rate:.0f} s left" if rate else ""
            print(f"{self._title}: step {step}/{self._steps}, {rate:,.0f} examples/s{left}{note}", flush=True)
            self._last = now

    def warn(self, line: str) -> None:
        """Logs a warning; above the bar, where there is one."""
        if self._bar:
            self._bar.console.print(f"WARNING: {line}", markup=False, highlight=False, soft_wrap=True)
        else:
            log.warning("%s", line)

    def close(self) -> None:
        """Leaves the bar as it stands."""
        if self._bar:
            self._bar.stop()


def _bar() -> rich.progress.Progress:
    columns: list[Any] = [
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TextColumn("{task.fields[rate]}"),
        rich.progress.TimeRemainingColumn(),
    ]
    return rich.progress.Progress(*columns)
