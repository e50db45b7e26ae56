"""The runs of a sweep: what each is, where it lies, and how it stands. Nothing is kept but the runs' own folders."""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import filelock
import numpy as np

from ssl_jax.errors import UserError
from ssl_jax.train import metrics
from ssl_jax.train.workdir import FAILED, PRUNED, read_json, write_atomically

OVERRIDES, LOG, CLAIM = "overrides.json", "log.txt", ".claim"
LOOK_SECONDS = 0.05  # for which another look at a lock, which holds it for a moment, is waited for
State = Literal["waiting", "running", "stopped", "done", "failed", "pruned"]


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a sweep.

    Attributes:
      overrides: leaf, without 'config.' -> value.
      folder: its workdir, named by the hash of the overrides.
    """

    overrides: Mapping[str, Any]
    folder: pathlib.Path

    @property
    def arguments(self) -> list[str]:
        """The overrides as launch.py takes them."""
        return [f"--config.{leaf}={value!r}" for leaf, value in self.overrides.items()]

    def state(self) -> State:
        """As its folder tells; one that nobody works on is stopped where it has made steps, and waiting where not."""
        if (self.folder / "results.json").exists():
            return "done"
        if self.is_held():
            return "running"
        if (self.folder / "results.json").exists():  # it ended since the first look
            return "done"
        if self.pruned():
            return "pruned"
        if (self.folder / FAILED).exists():
            return "failed"
        return "stopped" if self.step() else "waiting"

    def is_held(self) -> bool:
        """Whether a process of this machine works on it."""
        if not (self.folder / ".lock").exists():
            return False
        try:
            with filelock.FileLock(self.folder / ".lock", timeout=LOOK_SECONDS, poll_interval=LOOK_SECONDS / 5):
                return False
        except filelock.Timeout:
            return True

    def claim(self) -> filelock.BaseFileLock | None:
        """The right to start it, until it is released or this process ends; None where another command has it.

        A run takes its folder's own lock seconds after it was started; two commands would start it in these seconds.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        claim = filelock.FileLock(self.folder / CLAIM)
        try:
            claim.acquire(blocking=False)
        except filelock.Timeout:
            return None
        return claim

    def step(self) -> int:
        """The last step that is logged."""
        return max((line["step"] for line in metrics.read(self.folder)), default=0)

    def results(self) -> dict[str, float]:
        """Of its end; empty before."""
        return read_json(self.folder / "results.json") or {}

    def pruned(self) -> dict[str, Any] | None:
        """Where it was pruned: the name of a metric, its value, and the step; None where it was not."""
        return read_json(self.folder / PRUNED)

    def reason(self) -> str:
        """Why it failed: what it says itself, or, where it had no time to, the last line that it wrote."""
        noted = read_json(self.folder / FAILED)
        if noted:
            return noted["reason"]
        log = self.folder / LOG
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()] if log.exists() else []
        return lines[-1] if lines else "no line was written"


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Runs of one config.

    Attributes:
      program: what starts launch.py on this machine, such as ('python', 'launch.py').
      config: the file, with its variant.
      runs: each once.
      data_dir: where TFDS data lies, None for TFDS's own default.
    """

    program: tuple[str, ...]
    config: str
    runs: tuple[Run, ...]
    data_dir: str | None = None

    def command(self, run: Run) -> list[str]:
        """Of one run, on this machine."""
        data = [f"--data_dir={self.data_dir}"] if self.data_dir else []
        return [*self.program, f"--config={self.config}", *data, f"--workdir={run.folder}", *run.arguments]

    def open(self) -> list[Run]:
        """The runs that are neither done nor being worked on; those that failed or were pruned are tried again."""
        return [run for run in self.runs if run.state() not in ("done", "running")]

    def name(self, run: Run) -> str:
        """For people: the last parts of the leaves in which the runs differ, and their values."""
        return name(run, self.runs)


def name(run: Run, among: Sequence[Run]) -> str:
    """For people: the last parts of the leaves in which runs differ, and a run's values of them."""
    varied = [leaf for leaf in run.overrides if len({repr(other.overrides.get(leaf)) for other in among}) > 1]
    shown = short_names(varied or list(run.overrides))
    return ", ".join(f"{short}={_short(run.overrides[leaf])}" for leaf, short in shown.items())


def short_names(leaves: Sequence[str]) -> dict[str, str]:
    """Each leaf by as many of its last parts as tell it from the others: 'temperature', 'method.name'."""
    return {leaf: _shortest(leaf, [other for other in leaves if other != leaf]) for leaf in leaves}


def _shortest(leaf: str, others: Sequence[str]) -> str:
    parts = leaf.split(".")
    suffixes = [".".join(parts[-count:]) for count in range(1, len(parts) + 1)]
    clear = (suffix for suffix in suffixes if not any(f".{other}".endswith(f".{suffix}") for other in others))
    return next(clear, leaf)


def expand(folder: pathlib.Path, sweep: Iterable[Mapping[str, Any]], common: Mapping[str, Any]) -> list[Run]:
    """The runs of a sweep, each once, in the order of the sweep.

    Args:
      folder: of the sweep.
      sweep: what `sweep()` yields.
      common: overrides of the command line, which each run has; the sweep's own go before them.

    Raises:
      UserError: there is no run, or the sweep yields something else than dicts of leaves.
    """
    runs = {}
    for overrides in sweep:
        if not is_overrides(overrides):
            raise UserError(f"sweep() yields {overrides!r}; it must yield dicts from leaf to value.")
        run = of(folder, overrides, common)
        runs.setdefault(run.folder, run)
    if not runs:
        raise UserError("sweep() yields nothing; it must yield a dict of overrides for each run.")
    return list(runs.values())


def is_overrides(value: Any) -> bool:
    """Whether it is a dict from leaf to value."""
    return isinstance(value, Mapping) and all(isinstance(leaf, str) for leaf in value)


def of(folder: pathlib.Path, overrides: Mapping[str, Any], common: Mapping[str, Any]) -> Run:
    """One run of a sweep in `folder`: its own overrides, which go before those that each run has."""
    plain = lambda value: value.item() if isinstance(value, np.generic) else value  # of np.geomspace, say
    whole = dict(common) | {leaf.removeprefix("config."): plain(value) for leaf, value in overrides.items()}
    return Run(whole, folder / identity(whole))


def identity(overrides: Mapping[str, Any]) -> str:
    """Ten hexadecimal digits that stand for the overrides, whatever their order."""
    text = json.dumps({leaf: repr(value) for leaf, value in overrides.items()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def remember(run: Run) -> None:
    """Writes the overrides of a run into its folder, for whoever looks at the folders later."""
    run.folder.mkdir(parents=True, exist_ok=True)
    write_atomically(run.folder / OVERRIDES, json.dumps(dict(run.overrides), default=list) + "\n")


def remember_own(workdir: str, overrides: Mapping[str, Any]) -> None:
    """The same, by the run itself, where its workdir is named by its overrides: another machine may have started it."""
    run = Run(overrides, pathlib.Path(workdir).expanduser().absolute())
    if run.folder.name == identity(overrides) and not (run.folder / OVERRIDES).exists():
        remember(run)


def note_pruned(run: Run, name: str, step: int, value: float) -> None:
    """Writes into the folder of a run that it was pruned at that step, for that value of the metric of that name."""
    write_atomically(run.folder / PRUNED, json.dumps({"name": name, "step": step, "value": value}) + "\n")


def note_failed(run: Run, reason: str) -> None:
    """Writes into the folder of a run why it failed, where it could not do so itself."""
    remember(run)
    write_atomically(run.folder / FAILED, json.dumps({"reason": reason}) + "\n")


def found(folder: pathlib.Path) -> list[Run]:
    """The runs that lie in the folder of a sweep, by the order of their overrides."""
    paths = sorted(folder.glob(f"*/{OVERRIDES}"))
    runs = [Run(read_json(path) or {}, path.parent) for path in paths]
    return sorted(runs, key=lambda run: json.dumps(dict(run.overrides)))


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
