"""How well measures that need no labels rank runs, compared with a probe that needs them."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator

from ssl_jax.report import measures, names, panels
from ssl_jax.report.style import RULE, SERIES, Target, figure
from ssl_jax.report.sweep import Entry

_FEWEST = 4  # runs, of which a correlation is given
_EXACT = 8  # runs, up to which all orders of them are tried


@dataclasses.dataclass(frozen=True)
class Ranking:
    """One measure against the probe.

    Attributes:
      measure: without prefix.
      runs: those that are done and have both.
      rho: Spearman's, of the merits: 1 where the measure ranks runs as the probe does; None where it has none.
      p: how often chance alone gives a rho that is as far from 0; None where there is no rho.
      why: there is no rho, in words; else ''.
    """

    measure: str
    runs: tuple[Entry, ...]
    rho: float | None = None
    p: float | None = None
    why: str = ""

    def choice(self) -> Entry:
        """The run that the measure holds to be best, of several the first by name, which knows of no probe."""
        by_name = sorted(self.runs, key=lambda run: run.folder.name)
        return max(by_name, key=lambda run: measures.merit(self.measure, run.scores[self.measure]))


def rankings(found: Sequence[Entry], probe: str) -> list[Ranking]:
    """How each label-free measure ranked the runs that are done."""
    return [_ranking(measure, found, probe) for measure in measures.LABEL_FREE]


def _ranking(measure: str, found: Sequence[Entry], probe: str) -> Ranking:
    runs = tuple(run for run in found if run.final(measure) is not None and run.final(probe) is not None)
    if not runs:
        return Ranking(measure, runs, why="not measured")
    if len(runs) < _FEWEST:
        return Ranking(measure, runs, why="too few runs")
    merits = [measures.merit(measure, run.scores[measure]) for run in runs]
    scores = [run.scores[probe] for run in runs]
    if min(len(set(merits)), len(set(scores))) == 1:
        return Ranking(measure, runs, why="all runs have the same value")
    return Ranking(measure, runs, *spearman(merits, scores))


def spearman(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Spearman's rank correlation, ties taking their mean rank, and its two-sided p-value.

    Up to 8 pairs p is the share of all orders with a correlation as far from 0; beyond, it is that of Student's t.

    Args:
      x: at least 3 numbers, not all the same.
      y: as many, likewise.
    """
    from scipy import stats  # imported here because it takes a while

    if len(x) > _EXACT:
        found = stats.spearmanr(x, y)
        return float(found.statistic), float(found.pvalue)
    a, b = (stats.zscore(stats.rankdata(values)) for values in (x, y))
    rho = float(a @ b) / len(a)
    orders = np.array(list(itertools.permutations(b)))
    return rho, float(np.mean(np.abs(orders @ a) / len(a) >= abs(rho) - 1e-9))


def scatter(ranking: Ranking, probe: str, target: Target) -> None:
    """The runs by both measures, as PNG; `ranking` has at least one run."""
    measure = ranking.measure
    points = np.array([(run.scores[measure], run.scores[probe]) for run in ranking.runs])
    with figure(3.4, 2.6, target) as drawn:
        axes = drawn.add_subplot()
        if measure == "alpha_req":
            axes.axvline(1, color=RULE, linewidth=1.4)
        axes.scatter(*points.T, s=26, color=SERIES[0], alpha=0.75, linewidths=0)
        axes.set_xlabel(f"{names.metric(measure)} ({measures.direction(measure)})", fontsize=8)
        axes.set_ylabel(names.metric(probe), fontsize=8)
        axes.margins(0.09)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        panels.scale_axis(axes, (probe,))
        axes.tick_params(labelsize=8)
