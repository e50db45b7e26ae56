"""A search: what is varied, for what, and how many runs it may take."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, Literal

from ssl_jax import config as configs
from ssl_jax.errors import UserError, unknown
from ssl_jax.train import runs
from ssl_jax.train.runs import Run, Sweep

SAMPLERS = ("tpe", "random", "qmc")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
    """How is searched: `--search=SAMPLER`, and what `--search.NAME=VALUE` gives.

    Attributes:
      sampler: 'tpe' learns where good values lie, 'random' does not, 'qmc' covers the space evenly.
      trials: how many in all, whether they complete, are pruned or fail.
      measure: what is searched for, a name in results.json.
      direction: of the measure.
      prune_on: a name in metrics.jsonl, by which runs that do badly are stopped early; None: none is.
      prune_direction: of that metric; None: as the measure's.
      pruner: 'median' (also None) stops a run whose best value so far is worse than the median of others at that step;
        'halving' lets the better half go on, at the first value and whenever the steps have doubled since.
      startup: how many trials 'tpe' draws at random first, and how many are complete before 'median' prunes.
      seed: the same one proposes the same trials, as long as one run goes at a time.

    Raises:
      ValueError: too few trials, a negative seed, or a setting of pruning without `prune_on`.
    """

    sampler: str
    trials: int = 20
    measure: str = "pretrained/knn_full"
    direction: Literal["maximize", "minimize"] = "maximize"
    prune_on: str | None = None
    prune_direction: Literal["maximize", "minimize"] | None = None
    pruner: Literal["median", "halving"] | None = None
    startup: int = 5
    seed: int = 0

    def __post_init__(self):
        for name, least in (("trials", 1), ("startup", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} {getattr(self, name)} must be at least {least}")
        for name in ("pruner", "prune_direction"):
            if getattr(self, name) and not self.prune_on:
                raise ValueError(f"{name} {getattr(self, name)!r} needs --search.prune_on, the name of a metric")

    @property
    def sign(self) -> int:
        """Of the metric to prune on, so that it is better in the direction of the measure."""
        return 1 if self.prune_direction in (None, self.direction) else -1

    @property
    def proposing(self) -> dict[str, Any]:
        """What Optuna has to know."""
        named = {name: getattr(self, name) for name in ("direction", "sampler", "startup", "seed")}
        return named | {"pruner": self.pruner or "median"}


@dataclasses.dataclass(frozen=True)
class Space:
    """What is searched.

    Attributes:
      sweep: the program, the config and its data; no runs yet.
      folder: of the runs and of the journal.
      common: overrides of the command line, which each run has.
      propose: `search(trial)` of the config file.
      check: of a run; raises UserError where its config cannot be run, or its folder holds a run of another one.
    """

    sweep: Sweep
    folder: pathlib.Path
    common: Mapping[str, Any]
    propose: Callable[[Any], Any]
    check: Callable[[Run], None]

    def run(self, trial: Any) -> Run:
        """The run that a trial asks for.

        Raises:
          UserError: `search` fails, or returns no overrides.
        """
        overrides = self.propose(trial)
        if not runs.is_overrides(overrides) or not overrides:
            raise UserError(f"search() returns {overrides!r}; it must return a dict from leaf to value.")
        return runs.of(self.folder, overrides, self.common)

    def title(self, search: Search) -> str:
        """What the study is called, so that values that cannot be compared are never in one."""
        fixed = "".join(f" {leaf}={value!r}" for leaf, value in sorted(self.common.items()))
        pruned = f", prune on {search.prune_on} ({search.prune_direction or search.direction})"
        named = f"{pathlib.Path(self.sweep.config).name}{fixed}: {search.direction} {search.measure}"
        return named + (pruned if search.prune_on else "")


def search(sampler: str, settings: Mapping[str, Any]) -> Search:
    """The search that `--search=SAMPLER --search.NAME=VALUE` asks for.

    Raises:
      UserError: there is no such sampler, or a setting is wrong, or Optuna is not installed.
    """
    if sampler not in SAMPLERS:
        raise unknown("--search", sampler, SAMPLERS)
    made = configs.construct(Search, settings, "--search", sampler=sampler)
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise UserError("--search needs Optuna: pip install -r requirements-search.txt.") from error
    return made
