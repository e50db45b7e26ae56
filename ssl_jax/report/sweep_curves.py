"""Metrics over time of many runs, one small figure for each metric."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from ssl_jax.report import measures, names, panels
from ssl_jax.report.style import MUTED, SERIES, Target, figure, shade
from ssl_jax.report.sweep import Entry, setting

_FEW = len(SERIES)  # so many runs have a colour each
_FAR = 30  # spans between the quartiles, beyond which a value, as of a run that diverged, would flatten all others


@dataclasses.dataclass(frozen=True)
class Colours:
    """What the colours of curves stand for.

    Attributes:
      of: the colour of each run.
      named: where each run has its own: colour and name; else empty.
      measure: by which runs are coloured otherwise, None where there is none.
      ends: its poorest and best value, in words.
      bar: the colours from the one to the other.
    """

    of: tuple[str, ...]
    named: tuple[tuple[str, str], ...] = ()
    measure: str | None = None
    ends: tuple[str, ...] = ()
    bar: tuple[str, ...] = ()


def colours(found: Sequence[Entry], leaves: Sequence[str], measure: str | None) -> Colours:
    """A colour of its own for each of a few runs; of many, one by the final `measure`, grey where a run has none.

    Args:
      found: the runs.
      leaves: in which they differ, by which they are named.
      measure: with a direction; None where none was measured.
    """
    if len(found) <= _FEW:
        named = [(SERIES[i], setting(entry, leaves) or entry.folder.name) for i, entry in enumerate(found)]
        return Colours(tuple(colour for colour, _ in named), tuple(named))
    finals = [entry.final(measure) if measure else None for entry in found]
    known = sorted((value for value in finals if value is not None), key=lambda value: measures.merit(measure, value))
    if not known:
        return Colours((MUTED,) * len(found))
    low, high = (measures.merit(measure, value) for value in (known[0], known[-1]))
    share = lambda value: (measures.merit(measure, value) - low) / (high - low) if high > low else 0.5
    shades = tuple(MUTED if value is None else to_hex(shade(share(value))) for value in finals)
    ends = tuple(names.number(measure, value) for value in (known[0], known[-1]))
    return Colours(shades, (), measure, ends, tuple(to_hex(shade(i / 10)) for i in range(11)))


def keys(found: Sequence[Entry]) -> dict[str, str]:
    """The metrics that any run has a finite value of -> title, the well-known ones first."""
    present = dict.fromkeys(key for entry in found for line in entry.metrics for key in line)
    drawn = {key: 0.0 for key in present if any(len(panels.series(entry.metrics, key)[0]) for entry in found)}
    ordered = [key for panel in panels.panels_of([{"step": 0, **drawn}]) for key in panel.keys]
    return {key: _title(key, ordered) for key in ordered}


def _title(key: str, among: Sequence[str]) -> str:
    title = names.metric(key)
    twice = [names.metric(other) for other in among].count(title) > 1
    where = {"train": " (training)", "eval": " (held out)"}.get(key.partition("/")[0], "") if twice else ""
    return title + where


def draw(found: Sequence[Entry], key: str, colours: Colours, target: Target) -> str:
    """Draws one metric of all runs over the steps, as PNG.

    Args:
      found: the runs; those without the metric are left out.
      key: of a line of metrics.jsonl.
      colours: of the same runs.
      target: where the picture goes.

    Returns:
      What is not to be seen, in words; else ''.
    """
    lines = _lines(found, key)
    with figure(3.6, 2.3, target) as drawn:
        axes = drawn.add_subplot()
        for i in sorted(lines, key=lambda i: colours.of[i] != MUTED):  # those without a score below the others
            _line(axes, *lines[i], colours.of[i], crowded=len(found) > _FEW)
        panels.steps_axis(axes)
        cut = _limit(axes, lines)
        panels.scale_axis(axes, (key,))
        axes.tick_params(labelsize=8)
    return cut


def _lines(found: Sequence[Entry], key: str) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Steps and values of the runs that have the metric, by their place; all smoothed alike where one is long."""
    lines = {i: panels.series(entry.metrics, key) for i, entry in enumerate(found)}
    lines = {i: line for i, line in lines.items() if len(line[0])}
    longest = max(len(steps) for steps, _ in lines.values())
    if longest < 40:
        return lines
    return {i: (steps, panels.smoothed(values, max(3, longest // 40))) for i, (steps, values) in lines.items()}


def _line(axes: Axes, steps: np.ndarray, values: np.ndarray, colour: str, *, crowded: bool) -> None:
    marker = "o" if len(values) == 1 or (len(values) < 20 and not crowded) else None
    axes.plot(steps, values, color=colour, linewidth=1.1 if crowded else 1.6, marker=marker, markersize=3, alpha=0.85)


def _limit(axes: Axes, lines: Mapping[int, tuple[np.ndarray, np.ndarray]]) -> str:
    """Leaves out of sight what lies so far above that nothing else could be told apart."""
    values = np.concatenate([values for _, values in lines.values()])
    low, high = np.quantile(values, (0.25, 0.75))
    near = values[values <= high + _FAR * (high - low)]
    if high == low or len(near) == len(values):
        return ""
    edge = 0.05 * (near.max() - near.min())
    axes.set_ylim(near.min() - edge, near.max() + edge)
    return f"Values above {near.max():.3g} are out of sight."
