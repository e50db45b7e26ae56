"""Parallel coordinates: an axis for each leaf in which runs differ, the last one for how they did."""

import dataclasses
import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator

from ssl_jax.report import measures, names
from ssl_jax.report.style import INK, MUTED, RULE, Target, blank_axes, figure, shade
from ssl_jax.report.sweep import Entry, text
from ssl_jax.train.runs import short_names

_WIDTH, _HEIGHT, _TOP, _BOTTOM = 12.3, 4.2, 0.7, 0.25  # inches
_NARROWEST = 1.5  # inches between two axes, for which a figure of many grows
_TICKS = 7  # more distinct values than this are not named one by one
_APART = 0.055  # of the axis: the least distance between the names of two values
_WIDE_RANGE = 10  # of the largest to the smallest number: from here on the axis is logarithmic
_BAND, _LINE = 0.08, 0.012  # of the axis: what lines of one value are spread over at most, and for each of them
_LONGEST = 16  # characters of the name of a value


@dataclasses.dataclass(frozen=True)
class Scale:
    """Where the values of one axis lie.

    Attributes:
      places: `repr` of each value -> 0 (bottom) to 1.
      ticks: places and what is written there, from the bottom.
    """

    places: Mapping[str, float]
    ticks: tuple[tuple[float, str], ...]

    def at(self, value: Any) -> float:
        """The place of a value."""
        return self.places[repr(value)]


def scale(values: Sequence[Any]) -> Scale:
    """Numbers by their size, or by their logarithm where they span a factor of ten; anything else evenly.

    Args:
      values: of one leaf in all runs, in any order.
    """
    if not all(_is_number(value) for value in values):
        return _even(values)
    logarithmic = min(values) > 0 and max(values) >= _WIDE_RANGE * min(values)
    low, high = min(values), max(values)
    turn = math.log10 if logarithmic else float
    place = lambda value: (turn(value) - turn(low)) / (turn(high) - turn(low)) if high > low else 0.5
    distinct = sorted(set(values))
    if len(distinct) > _TICKS:
        locator = LogLocator(subs=(1, 2, 5)) if logarithmic else MaxNLocator(5)
        inside = [float(tick) for tick in locator.tick_values(low, high) if low <= tick <= high]
        distinct = inside if len(inside) > 1 else [low, high]
    ticks = [(place(value), _number(value)) for value in distinct]
    return Scale({repr(value): place(value) for value in values}, _apart(ticks))


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e6 else f"{value:.4g}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _even(values: Sequence[Any]) -> Scale:
    known = {repr(value): value for value in values}
    order = sorted(known, key=lambda name: (not _is_number(known[name]), _sortable(known[name])))
    places = {name: i / (len(order) - 1) if len(order) > 1 else 0.5 for i, name in enumerate(order)}
    return Scale(places, _apart([(places[name], _cut(text(known[name]))) for name in order]))


def _sortable(value: Any) -> Hashable:
    return (float(value), "") if _is_number(value) else (0.0, text(value))


def _apart(ticks: Sequence[tuple[float, str]]) -> tuple[tuple[float, str], ...]:
    """The ticks without those that would be written over the one before."""
    kept: list[tuple[float, str]] = []
    for tick in ticks:
        if not kept or tick[0] - kept[-1][0] >= _APART:
            kept.append(tick)
    return tuple(kept)


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def of_measure(measure: str, values: Sequence[float]) -> Scale:
    """The axis of what runs are judged by: the best value on top."""
    merits = [measures.merit(measure, value) for value in values]
    low, high = min(merits), max(merits)
    place = lambda value: (measures.merit(measure, value) - low) / (high - low) if high > low else 0.5
    inside = [float(tick) for tick in MaxNLocator(6).tick_values(min(values), max(values))]
    shown = [tick for tick in inside if min(values) <= tick <= max(values)]
    shown = sorted(shown if len(shown) > 1 else set(values), key=place)
    ticks = [(place(value), names.number(measure, value)) for value in shown]
    return Scale({repr(value): place(value) for value in values}, _apart(ticks))


def parallel(found: Sequence[Entry], leaves: Sequence[str], measure: str | None, target: Target) -> None:
    """Draws each run as a line through its values, coloured by its final `measure`; grey and dashed without one.

    Args:
      found: the runs.
      leaves: in which they differ, at least one.
      measure: with a direction; None where none was measured.
      target: where the PNG goes.
    """
    scales = [scale([entry.leaf(leaf) for entry in found]) for leaf in leaves]
    headings = list(short_names(leaves).values())
    finals = [entry.final(measure) if measure else None for entry in found]
    measured = [value for value in finals if value is not None]
    if measured:
        scales, headings = [*scales, of_measure(measure, measured)], [*headings, names.metric(measure)]
    width = max(_WIDTH, _NARROWEST * len(scales))
    left, right = _edge(headings[0], scales[0]), _edge(headings[-1], scales[-1])
    across = [left + i * (width - left - right) / max(1, len(scales) - 1) for i in range(len(scales))]
    with figure(width, _HEIGHT, target) as drawn:
        axes = blank_axes(drawn, (0, width), (0, _HEIGHT))
        ordered = sorted(zip(found, finals), key=lambda pair: _rank(measure, pair[1]))
        columns = [_fanned([each.at(run.leaf(leaf)) for run, _ in ordered]) for leaf, each in zip(leaves, scales)]
        for (_, final), *places in zip(ordered, *columns):
            places += [] if final is None else [scales[-1].at(final)]
            _line(axes, across, places, measured=final is not None)
        for i, (x, heading, each) in enumerate(zip(across, headings, scales)):
            _axis(axes, x, heading, each, to_the_right=i == len(scales) - 1 and bool(measured))


def _fanned(places: Sequence[float]) -> list[float]:
    """The places, with those that are the same spread over a little band, or their lines would hide each other."""
    distinct = sorted(set(places))
    room = min((b - a for a, b in zip(distinct, distinct[1:])), default=1.0) / 2
    found = []
    for i, place in enumerate(places):
        count, before = places.count(place), places[:i].count(place)
        found.append(place + min(_BAND, _LINE * (count - 1), room) * (before / max(1, count - 1) - 0.5))
    return found


def _edge(heading: str, scale: Scale) -> float:
    """Inches that an outer axis needs beside it."""
    longest = max((len(name) for _, name in scale.ticks), default=0)
    return 0.25 + max(0.075 * longest, 0.045 * len(heading))


def _rank(measure: str | None, final: float | None) -> float:
    """Sorts the best run last, so that it is drawn above the others."""
    return -math.inf if final is None else measures.merit(measure, final)


def _up(place: float) -> float:
    return _BOTTOM + place * (_HEIGHT - _TOP - _BOTTOM)


def _line(axes: Axes, across: Sequence[float], places: Sequence[float], *, measured: bool) -> None:
    style = dict(color=shade(places[-1]), linewidth=1.5, alpha=0.85) if measured else _MISSING
    axes.plot(across[: len(places)], list(map(_up, places)), solid_joinstyle="round", **style)


_GROUND = dict(boxstyle="square,pad=0.15", facecolor="white", alpha=0.8, edgecolor="none")  # lines cross the names
_MISSING = dict(color=MUTED, linewidth=1, alpha=0.6, linestyle=(0, (4, 3)))


def _axis(axes: Axes, x: float, heading: str, scale: Scale, *, to_the_right: bool) -> None:
    axes.plot([x, x], [_up(0), _up(1)], color=RULE if not to_the_right else MUTED, linewidth=1.2, zorder=3)
    axes.text(x, _HEIGHT - 0.3, heading, ha="center", va="center", color=INK, weight="bold", parse_math=False)
    for place, name in scale.ticks:
        side = dict(ha="left") if to_the_right else dict(ha="right")
        written = axes.text(x + (0.1 if to_the_right else -0.1), _up(place), name, va="center", parse_math=False)
        written.set(fontsize=8, color=INK, bbox=_GROUND, zorder=4, **side)
