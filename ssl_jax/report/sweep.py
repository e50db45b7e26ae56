"""The runs of a sweep as they lie in its folder, finished or not."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ssl_jax import config as configs
from ssl_jax.report import read
from ssl_jax.report.panels import Metrics
from ssl_jax.train import runs
from ssl_jax.train.metrics import read as read_metrics
from ssl_jax.train.workdir import DIAGNOSIS

STATES = ("done", "running", "waiting", "stopped", "pruned", "failed")


@dataclasses.dataclass(frozen=True)
class Entry:
    """One run.

    Attributes:
      folder: its workdir.
      overrides: leaf, without 'config.' -> value.
      config: resolved, None where the run has not started.
      state: one of `STATES`.
      step: the last one that is logged, 0 before.
      metrics: the lines of metrics.jsonl.
      scores: measure -> value, at the end of a run that is done, of the last evaluation of another.
      verdict: of the last diagnosis, '' where there is none.
      reason: why it failed, '' for others.
    """

    folder: pathlib.Path
    overrides: Mapping[str, Any]
    config: Mapping[str, Any] | None
    state: str
    step: int
    metrics: Metrics
    scores: Mapping[str, float]
    verdict: str
    reason: str

    def leaf(self, name: str) -> Any:
        """The value of a leaf: what overrides it, or what the config says, or `configs.ABSENT`."""
        if name in self.overrides:
            return self.overrides[name]
        return configs.flat(self.config or {}).get(f"config.{name}", configs.ABSENT)

    def final(self, measure: str) -> float | None:
        """A finite score of a run that is done."""
        value = self.scores.get(measure) if self.state == "done" else None
        return value if value is not None and np.isfinite(value) else None


def is_sweep(folder: str | os.PathLike) -> bool:
    """Whether the folder is no run itself, and holds folders of runs that were started with overrides."""
    folder = pathlib.Path(folder)
    return not (folder / "config.json").exists() and any(folder.glob(f"*/{runs.OVERRIDES}"))


def entries(folder: pathlib.Path) -> list[Entry]:
    """The runs in the folder of a sweep, in the order of their overrides.

    Raises:
      UserError: a file of a run is damaged.
    """
    return [_entry(run) for run in runs.found(folder)]


def _entry(run: runs.Run) -> Entry:
    metrics, state = read_metrics(run.folder), run.state()
    results = read.results(run.folder / "results.json") or {}
    diagnosis = read.diagnosis(run.folder / DIAGNOSIS)
    return Entry(
        folder=run.folder,
        overrides=run.overrides,
        config=read.config(run.folder / "config.json"),
        state=state,
        step=int(max((line["step"] for line in metrics), default=0)),
        metrics=metrics,
        scores=_under("eval/", *metrics) | _under("pretrained/", results),
        verdict=diagnosis["verdict"] if diagnosis else "",
        reason=run.reason() if state == "failed" else "",
    )


def _under(prefix: str, *lines: Mapping[str, float]) -> dict[str, float]:
    """Measure -> value of what is called PREFIX/MEASURE; of several lines the last one that has it."""
    named = {key: value for line in lines for key, value in line.items() if key.startswith(prefix)}
    return {key.removeprefix(prefix): value for key, value in named.items() if key.count("/") == 1}


def varying(found: Sequence[Entry]) -> list[str]:
    """The leaves that are overridden somewhere and are not the same everywhere."""
    leaves = dict.fromkeys(leaf for entry in found for leaf in entry.overrides)
    return [leaf for leaf in leaves if len({repr(entry.leaf(leaf)) for entry in found}) > 1]


def shared(found: Sequence[Entry]) -> dict[str, Any]:
    """The leaves that are overridden, and to the same value everywhere."""
    leaves = dict.fromkeys(leaf for entry in found for leaf in entry.overrides)
    return {leaf: found[0].leaf(leaf) for leaf in leaves if leaf not in varying(found)}


def text(value: Any) -> str:
    """The value of a leaf for people."""
    if value is configs.ABSENT:
        return "—"
    return f"{value:.4g}" if isinstance(value, float) else str(tuple(value) if isinstance(value, list) else value)


def setting(entry: Entry, leaves: Sequence[str]) -> str:
    """What a run was given of some leaves: 'temperature=0.5, seed=1'."""
    return ", ".join(f"{name}={text(entry.leaf(leaf))}" for leaf, name in runs.short_names(leaves).items())
