"""report.html: one page that holds a whole run and needs no network."""

import dataclasses
import io
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from ssl_jax import config as configs
from ssl_jax.errors import UserError
from ssl_jax.report import captions, names, panels, read, render, table
from ssl_jax.report.machine import FILE as ENVIRONMENT
from ssl_jax.report.machine import environment
from ssl_jax.train.metrics import read as read_metrics
from ssl_jax.train.workdir import DIAGNOSIS, read_json, write_atomically


def write(workdir: str | os.PathLike, *, results: Mapping[str, float] | None = None) -> pathlib.Path:
    """Writes report.html, and figures/curves.png, from what lies in the workdir.

    Reads config.json, metrics.jsonl, results.json (baselines.json while the run is not finished), diagnosis.json,
    environment.json and figures/*.png. Whatever is missing, save config.json, is left out of the page, which then says
    so.

    Args:
      workdir: the folder of a run, finished or not.
      results: the final results, where results.json is not written yet.

    Returns:
      The path of report.html.

    Raises:
      UserError: the folder holds no run, or a file of it is damaged.
      OSError: the page cannot be written; an older one stays whole.
    """
    folder = pathlib.Path(workdir)
    config = read.config(folder / "config.json")
    if config is None:
        raise UserError(f"{folder} holds no run (a config.json) and no sweep (folders with an overrides.json each).")
    finished = results if results is not None else read.results(folder / "results.json")
    shown = finished if finished is not None else read.results(folder / "baselines.json") or {}
    metrics, recorded = read_metrics(folder), read_json(folder / ENVIRONMENT)
    if panels.panels_of(metrics):
        panels.curves(metrics, folder / "figures" / "curves.png", results=shown)
    page = render.template("report.html.j2").render(
        title=_title(config),
        facts=_facts(config, metrics),
        finished=finished is not None,
        headline=_headline(shown),
        diagnosis=read.diagnosis(folder / DIAGNOSIS),
        table=table.build(shown, config["expected"]),
        expectation=_expectation(config["expected"]),
        panels=_panels(metrics, shown),
        figures=_figures(folder / "figures"),
        config=_config_lines(config),
        recorded=recorded is not None,
        environment=environment() if recorded is None else recorded,
    )
    write_atomically(folder / "report.html", page)
    return folder / "report.html"


def _title(config: Mapping[str, Any]) -> str:
    return f"{names.method(_leaf(config, 'method', 'name'))} on {_leaf(config, 'data', 'name')}"


def _leaf(config: Mapping[str, Any], part: str, leaf: str) -> str:
    return str(config[part].get(leaf, "?"))


def _facts(config: Mapping[str, Any], metrics: panels.Metrics) -> list[tuple[str, str]]:
    """What was run: pairs of name and value."""
    steps, batch_size = config["steps"], config["batch_size"]
    done = int(max((line["step"] for line in metrics), default=0))
    seconds = training_seconds(metrics, batch_size)
    return [
        ("Method", names.method(_leaf(config, "method", "name"))),
        ("Data", _leaf(config, "data", "name")),
        ("Network", _network(config)),
        ("Steps", f"{done:,} of {steps:,}" if done < steps else f"{steps:,}"),
        ("Batch", f"{batch_size:,} examples"),
        ("Training took", f"about {_duration(seconds)}" if seconds else "not recorded"),
        ("Seed", str(config["seed"])),
    ]


def _network(config: Mapping[str, Any]) -> str:
    model, name = config["model"], names.network(_leaf(config, "model", "name"))
    shape = {
        "depth": "depth {}",
        "size": "size {}",
        "patch_size": "patch {}",
        "width": "width {}",
        "base_width": "width {}",
    }
    parts = [text.format(model[key]) for key, text in shape.items() if model.get(key) is not None]
    return ", ".join([name, *parts])


def training_seconds(metrics: panels.Metrics, batch_size: int) -> float:
    """How long the steps took, from the throughput on each line; 0 where it was never logged.

    Waiting between two runs of one workdir does not count, nor does starting up.
    """
    steps, speeds = panels.series(metrics, "examples_per_second")
    if not len(steps) or not (speeds > 0).all():
        return 0.0
    lengths = steps.copy()
    lengths[1:] -= steps[:-1]
    return float((lengths * batch_size / speeds).sum())


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def _headline(results: Mapping[str, float]) -> str:
    """The first measure that all three stages have, as a sentence."""
    measures = sorted({key.split("/")[1] for key in results if key.count("/") == 1}, key=names.metric_order)
    for measure in measures:
        found = [results.get(f"{stage}/{measure}") for stage in names.STAGES]
        if names.is_share(measure) and None not in found:
            raw, untrained, pretrained = (names.number(measure, value) for value in found)
            gain = f"{pretrained} after pretraining, {untrained} before it, {raw} from the raw input."
            return f"{names.metric(measure)}: {gain}"
    return ""


def _expectation(expected: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the config says about its expected numbers besides the numbers."""
    return [
        (captions.heading(key), _expected_value(value))
        for key, value in expected.items()
        if key != "results" and value not in (None, "", {})
    ]


def _expected_value(value: Any) -> str:
    """A number or text as it is; measures with what is expected of each, such as the margins, as a list."""
    if not isinstance(value, Mapping):
        return f"{value:,}" if isinstance(value, int) else str(value)
    return ", ".join(f"{names.metric(key)} {names.number(key, number)}" for key, number in value.items())


def _panels(metrics: panels.Metrics, results: Mapping[str, float]) -> list[dict[str, Any]]:
    drawn = []
    for panel in panels.panels_of(metrics):
        buffer = io.BytesIO()
        panels.curves(metrics, buffer, results=results, panels=[dataclasses.replace(panel, title="")])
        drawn.append({"title": panel.title, "note": panel.note, **render.image(buffer.getvalue())})
    return drawn


def _figures(folder: pathlib.Path) -> list[dict[str, Any]]:
    """The pictures of the folder with what to look at, but for the curves, which the page draws one by one."""
    found = sorted(
        (path for path in folder.glob("*.png") if path.stem != "curves"), key=lambda path: captions.order(path.stem)
    )
    return [{**captions.caption(path.stem), **render.image(path.read_bytes(), path)} for path in found]


def _config_lines(config: Mapping[str, Any]) -> Sequence[str]:
    return [f"{path} = {value!r}" for path, value in configs.flat(config).items()]
