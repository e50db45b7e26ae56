"""The tables of a sweep's page: all runs, the best ones, and the mean over seeds."""

import statistics
import urllib.parse
from collections.abc import Sequence
from typing import Any

from ssl_jax import config as configs
from ssl_jax.report import measures, names, sweep
from ssl_jax.report.sweep import Entry
from ssl_jax.train.runs import LOG, short_names

SEED = "seed"


def runs(found: Sequence[Entry], leaves: Sequence[str], main: str | None) -> dict[str, Any]:
    """All runs: headings and rows of cells, in the order of `found`, each for the template.

    Args:
      found: the runs, sorted by `main`.
      leaves: in which they differ.
      main: the measure that runs are judged by, None where none was measured.
    """
    shown = compared(found)
    heads = [_head("Run"), _head("State"), _head("Step")]
    heads += [_head(name, title=f"config.{leaf}") for leaf, name in short_names(leaves).items()]
    heads += [_measure_head(measure, sorted_by=measure == main) for measure in shown]
    best = {measure: measures.best(measure, [entry.final(measure) for entry in found]) for measure in shown}
    diagnosed = any(entry.verdict for entry in found)
    rows = []
    for i, entry in enumerate(found):
        cells = [_cell(entry.state, kind=f"state {entry.state}"), _cell(f"{entry.step:,}", entry.step)]
        cells += [_leaf_cell(entry.leaf(leaf)) for leaf in leaves]
        cells += [_score_cell(entry, measure, best=i in best[measure]) for measure in shown]
        cells += [_cell(entry.verdict, kind="" if entry.verdict in ("", "healthy") else "ill")] if diagnosed else []
        rows.append({**linked(entry), "cells": cells})
    return {"heads": heads + ([_head("Diagnosis")] if diagnosed else []), "rows": rows}


def compared(found: Sequence[Entry]) -> list[str]:
    """The measures that any run has and of which it can be said which value is better."""
    present = {measure for entry in found for measure in entry.scores if measures.direction(measure)}
    return sorted(present, key=measures.order)


def _head(name: str, *, title: str = "", first: str = "ascending", now: str = "") -> dict[str, str]:
    """`first`: how the first click sorts; `now`: how the rows are sorted by it."""
    return {"name": name, "title": title, "first": first, "now": now}


def _measure_head(measure: str, *, sorted_by: bool = False) -> dict[str, str]:
    way = measures.direction(measure)
    first = "descending" if measures.merit(measure, 2.0) > measures.merit(measure, 1.0) else "ascending"
    return _head(names.metric(measure), title=way, first=first, now=first if sorted_by else "")


def _cell(shown: str, by: Any = None, *, kind: str = "", title: str = "") -> dict[str, str]:
    return {"text": shown, "by": shown if by is None else str(by), "kind": kind, "title": title}


def _leaf_cell(value: Any) -> dict[str, str]:
    if value is None or value is configs.ABSENT:
        return _cell(sweep.text(value), "")  # last, and the others are sorted as what they are
    return _cell(sweep.text(value), value if isinstance(value, (int, float)) else None)


def _score_cell(entry: Entry, measure: str, *, best: bool) -> dict[str, str]:
    value = entry.scores.get(measure)
    if value is None:
        return _cell("")
    early = "" if entry.state == "done" else f"at its last evaluation, up to step {entry.step}"
    shown = names.number(measure, value)
    return _cell(shown, value if value == value else "", kind="best" if best else "early" if early else "", title=early)


def linked(entry: Entry) -> dict[str, str]:
    """The run's name and its own page and log, where it has them, relative to the sweep's."""
    place = urllib.parse.quote(entry.folder.name)
    exists = lambda name: f"{place}/{name}" if (entry.folder / name).exists() else ""
    return {"name": entry.folder.name, "page": exists("report.html"), "log": exists(LOG)}


def bests(found: Sequence[Entry], leaves: Sequence[str]) -> list[dict[str, Any]]:
    """For each measure its best value among the runs that are done, and the runs that have it."""
    rows = []
    for measure in compared(found):
        finals = [entry.final(measure) for entry in found]
        places = sorted(measures.best(measure, finals))
        if places:
            runs = [{**linked(found[i]), "setting": sweep.setting(found[i], leaves)} for i in places]
            number = names.number(measure, finals[places[0]])
            way = measures.direction(measure)
            rows.append({"name": measures.full_name(measure), "direction": way, "number": number, "runs": runs})
    return rows


def over_seeds(found: Sequence[Entry], leaves: Sequence[str]) -> dict[str, Any] | None:
    """Runs that are done and differ in nothing but the seed, together: mean and sample deviation of each measure.

    None where no two runs do.
    """
    others = [leaf for leaf in leaves if leaf != SEED]
    groups: dict[str, list[Entry]] = {}
    for entry in found:
        if entry.state == "done":
            groups.setdefault(repr([entry.leaf(leaf) for leaf in others]), []).append(entry)
    if SEED not in leaves or all(len(group) < 2 for group in groups.values()):
        return None
    shown = [measure for measure in compared(found) if any(_values(group, measure) for group in groups.values())]
    means = {measure: [_mean(group, measure) for group in groups.values()] for measure in shown}
    best = {measure: measures.best(measure, means[measure]) for measure in shown}
    heads = [_head(name, title=f"config.{leaf}") for leaf, name in short_names(others).items()]
    heads += [_head("Seeds"), *map(_measure_head, shown)]
    rows = []
    for i, group in enumerate(groups.values()):
        seeds = {repr(entry.leaf(SEED)) for entry in group}
        cells = [_leaf_cell(group[0].leaf(leaf)) for leaf in others] + [_cell(str(len(seeds)))]
        cells += [_mean_cell(group, measure, best=i in best[measure]) for measure in shown]
        rows.append({"cells": cells})
    return {"heads": heads, "rows": rows}


def _values(group: Sequence[Entry], measure: str) -> list[float]:
    return [value for entry in group if (value := entry.final(measure)) is not None]


def _mean(group: Sequence[Entry], measure: str) -> float | None:
    values = _values(group, measure)
    return statistics.fmean(values) if values else None


def _mean_cell(group: Sequence[Entry], measure: str, *, best: bool) -> dict[str, str]:
    values = _values(group, measure)
    if not values:
        return _cell("")
    mean, spread = statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None
    fewer = f" ({len(values)} of {len(group)})" if len(values) < len(group) else ""
    return _cell(names.number(measure, mean, spread) + fewer, mean, kind="best" if best else "")
