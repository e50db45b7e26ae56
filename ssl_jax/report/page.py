"""report.html: one page that holds a whole run and needs no network."""

import base64
import dataclasses
import io
import os
import pathlib
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from ssl_jax import config as configs
from ssl_jax.errors import UserError
from ssl_jax.report import captions, names, panels, table
from ssl_jax.report.machine import FILE as ENVIRONMENT
from ssl_jax.report.machine import environment
from ssl_jax.report.style import DPI
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
    config = _read_config(folder / "config.json")
    finished = results if results is not None else _read_results(folder / "results.json")
    shown = finished if finished is not None else _read_results(folder / "baselines.json") or {}
    metrics, recorded = read_metrics(folder), read_json(folder / ENVIRONMENT)
    if panels.panels_of(metrics):
        panels.curves(metrics, folder / "figures" / "curves.png", results=shown)
    page = _template().render(
        title=_title(config),
        facts=_facts(config, metrics),
        finished=finished is not None,
        headline=_headline(shown),
        diagnosis=_read_diagnosis(folder / DIAGNOSIS),
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


def _read_config(path: pathlib.Path) -> dict[str, Any]:
    config = read_json(path)
    if config is None:
        raise UserError(f"{path.parent} holds no run: there is no config.json in it.")
    try:
        configs.check_frame(config)
    except UserError as error:
        raise UserError(f"{path} is damaged: {error}") from error
    return config


def _read_results(path: pathlib.Path) -> dict[str, float] | None:
    results = read_json(path)
    for key, value in (results or {}).items():
        if not isinstance(value, (int, float)):
            raise UserError(f"{path} is damaged: {key} is {value!r}, not a number. Remove it.")
    return results


def _read_diagnosis(path: pathlib.Path) -> dict[str, Any] | None:
    """What the last evaluation found: `step`, `verdict`, `text` and the usual `causes`; None where none did."""
    content = read_json(path)
    if content is None:
        return None
    try:
        last = content["evaluations"][-1]
        return {"causes": content["causes"], **{name: last[name] for name in ("step", "verdict", "text")}}
    except (KeyError, IndexError, TypeError) as error:
        raise UserError(f"{path} is damaged: it holds no evaluations. Remove it.") from error


def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(pathlib.Path(__file__).parent / "templates")
    surroundings = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return surroundings.get_template("report.html.j2")


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
        drawn.append({"title": panel.title, "note": panel.note, **_image(buffer.getvalue())})
    return drawn


def _figures(folder: pathlib.Path) -> list[dict[str, Any]]:
    """The pictures of the folder with what to look at, but for the curves, which the page draws one by one."""
    found = sorted(
        (path for path in folder.glob("*.png") if path.stem != "curves"), key=lambda path: captions.order(path.stem)
    )
    return [{**captions.caption(path.stem), **_image(path.read_bytes(), path)} for path in found]


def _image(png: bytes, path: pathlib.Path | None = None) -> dict[str, Any]:
    """The picture for an <img>: its data, and the size in CSS pixels at which it was drawn."""
    if png[:8] != b"\x89PNG\r\n\x1a\n" or len(png) < 24:
        raise UserError(f"{path} is damaged: it is called .png and is none. Remove it.")
    width, height = struct.unpack(">II", png[16:24])
    source = "data:image/png;base64," + base64.b64encode(png).decode()
    return {"source": source, "width": round(width * 96 / DPI), "height": round(height * 96 / DPI)}


def _config_lines(config: Mapping[str, Any]) -> Sequence[str]:
    return [f"{path} = {value!r}" for path, value in configs.flat(config).items()]
