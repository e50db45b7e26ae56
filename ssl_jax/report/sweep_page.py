"""report.html of a sweep: one page about all of its runs, finished or not, that needs no network."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from ssl_jax.errors import UserError
from ssl_jax.report import measures, names, parallel, ranking, render, sweep, sweep_curves, sweep_table
from ssl_jax.report.sweep import Entry
from ssl_jax.train.workdir import write_atomically


def write_sweep(folder: str | os.PathLike) -> pathlib.Path:
    """Writes report.html, and figures/*.png, into the folder of a sweep from what lies in the folders of its runs.

    Only runs that are done are compared; of others the page shows how far they are, or why they failed.

    Args:
      folder: of the sweep, at any moment.

    Returns:
      The path of report.html.

    Raises:
      UserError: the folder holds no run of a sweep, or a file of one is damaged.
      OSError: the page cannot be written; an older one stays whole.
    """
    folder = pathlib.Path(folder)
    found = sweep.entries(folder)
    if not found:
        raise UserError(f"{folder} holds no sweep: no folder in it has an overrides.json.")
    leaves, present = sweep.varying(found), {measure for entry in found for measure in entry.scores}
    main, probe = measures.main(present), measures.probe(present)
    found = sorted(found, key=lambda entry: _standing(entry, main))
    page = render.template("sweep.html.j2").render(
        title=_title(found),
        headline=_headline(found, leaves, main),
        open=sum(entry.state in ("running", "waiting", "stopped") for entry in found),
        facts=_facts(found, folder),
        table=sweep_table.runs(found, leaves, main),
        best=sweep_table.bests(found, leaves),
        failed=[_failed(entry, leaves) for entry in found if entry.state == "failed"],
        seeds=sweep_table.over_seeds(found, leaves),
        parallel=_parallel(found, leaves, main, folder / "figures"),
        main=main and names.metric(main),
        curves=_curves(found, leaves, main, folder / "figures"),
        probe=probe and names.metric(probe),
        rankings=_rankings(found, leaves, probe, folder / "figures"),
    )
    write_atomically(folder / "report.html", page)
    return folder / "report.html"


def _standing(entry: Entry, main: str | None) -> tuple:
    """Sorts the runs: those that are done by the main measure, best first, then the others by state."""
    final = entry.final(main) if main else None
    return final is None, -measures.merit(main, final) if final is not None else 0.0, sweep.STATES.index(entry.state)


def _title(found: Sequence[Entry]) -> str:
    """'Sweep of SimCLR on digits', with all methods and data sets of the runs."""
    named = lambda part: dict.fromkeys(str(run.config[part].get("name", "?")) for run in found if run.config)
    methods, data = map(names.method, named("method")), named("data")
    return f"Sweep of {_listed(methods)} on {_listed(data)}" if data else "Sweep"


def _listed(words: Any) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _headline(found: Sequence[Entry], leaves: Sequence[str], main: str | None) -> str:
    """The best run, in a sentence."""
    finals = [entry.final(main) for entry in found] if main else []
    first = min(measures.best(main, finals), default=None) if main else None
    if first is None:
        return ""
    value = names.number(main, finals[first])
    return f"{names.metric(main)}: {value} at best, with {sweep.setting(found[first], leaves)}."


def _facts(found: Sequence[Entry], folder: pathlib.Path) -> list[tuple[str, str]]:
    states = [entry.state for entry in found]
    counts = [(state.capitalize(), str(states.count(state))) for state in sweep.STATES if state in states]
    same = [(leaf, sweep.text(value)) for leaf, value in sweep.shared(found).items()]
    return [("Runs", str(len(found))), *counts, ("Folder", folder.absolute().name), *same]


def _failed(entry: Entry, leaves: Sequence[str]) -> dict[str, Any]:
    return {
        **sweep_table.linked(entry),
        "setting": sweep.setting(entry, leaves),
        "step": f"{entry.step:,}",
        "reason": entry.reason,
    }


def _parallel(found: Sequence[Entry], leaves: Sequence[str], main: str | None, figures: pathlib.Path) -> Any:
    """The figure, None where no leaf differs."""
    if not leaves:
        return None
    parallel.parallel(found, leaves, main, figures / "parallel.png")
    return _drawn(figures / "parallel.png")


def _curves(found: Sequence[Entry], leaves: Sequence[str], main: str | None, figures: pathlib.Path) -> dict[str, Any]:
    """What colours mean, and one figure for each metric."""
    colours, drawn = sweep_curves.colours(found, leaves, main), []
    for key, title in sweep_curves.keys(found).items():
        path = figures / f"curves_{key.replace('/', '_')}.png"
        note = sweep_curves.draw(found, key, colours, path)
        drawn.append({"title": title, "note": note, **_drawn(path)})
    measure = colours.measure and names.metric(colours.measure)
    return {"figures": drawn, "named": colours.named, "measure": measure, "ends": colours.ends, "bar": colours.bar}


def _rankings(
    found: Sequence[Entry], leaves: Sequence[str], probe: str | None, figures: pathlib.Path
) -> list[dict[str, Any]]:
    """How each label-free measure ranked the runs, with a figure; empty without a probe."""
    made = ranking.rankings(found, probe) if probe else []
    return [_ranking(each, probe, leaves, figures) for each in made]


def _ranking(each: ranking.Ranking, probe: str, leaves: Sequence[str], figures: pathlib.Path) -> dict[str, Any]:
    called = measures.LABEL_FREE[each.measure]
    row: Mapping[str, Any] = {"name": called, "direction": measures.direction(each.measure), "count": len(each.runs)}
    if each.rho is None:
        return row | {"rho": None, "why": each.why, "p": "", "choice": None, "figure": None}
    row |= {"rho": f"{each.rho:.2f}".replace("-", "−"), "why": "", "p": _rounded(each.p)}
    choice, path = each.choice(), figures / f"ranking_{each.measure}.png"
    ranking.scatter(each, probe, path)
    picked = {**sweep_table.linked(choice), "setting": sweep.setting(choice, leaves)}
    picked["number"] = names.number(probe, choice.scores[probe])
    return row | {"choice": picked, "figure": _drawn(path)}


def _rounded(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def _drawn(path: pathlib.Path) -> dict[str, Any]:
    return render.image(path.read_bytes(), path)
