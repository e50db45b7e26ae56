"""Results as a table: measures down, stages (raw input, untrained, pretrained) across, the expected number beside."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import rich.table

from ssl_jax.report import names


@dataclasses.dataclass(frozen=True)
class Row:
    """One measure.

    Attributes:
      name: readable.
      cells: one text a stage, '' where it was not measured.
      best: which of the cells to stress, None where higher is not simply better.
      expected: what the config expects of the pretrained network, '' where it says nothing.
    """

    name: str
    cells: tuple[str, ...]
    best: int | None
    expected: str


@dataclasses.dataclass(frozen=True)
class Table:
    """Headings of the stages, and rows. `expects` tells whether any row has an expected number."""

    stages: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def expects(self) -> bool:
        return any(row.expected for row in self.rows)


def build(results: Mapping[str, float], expected: Mapping[str, Any] | None = None) -> Table:
    """Sorts flat results into a table.

    Args:
      results: `STAGE/MEASURE` -> value, and `STAGE/MEASURE/std` -> its spread. Keys without a stage are left out.
      expected: `config.expected`. Its numbers are those of `expected['results']`, named `MEASURE` or
        `pretrained/MEASURE` as in results.
    """
    values = {key: value for key, value in results.items() if key.count("/") == 1}
    stages = sorted({key.split("/")[0] for key in values}, key=names.stage_order)
    wanted = expected_numbers(expected or {})
    measures = sorted({key.split("/")[1] for key in values} | wanted.keys(), key=names.metric_order)
    rows = tuple(_row(measure, stages, results, wanted.get(measure)) for measure in measures)
    return Table(tuple(names.stage(stage) for stage in stages), rows)


def results_table(results: Mapping[str, float], expected: Mapping[str, Any] | None = None) -> rich.table.Table:
    """The same as a table for the terminal; print it with `rich.print`. Arguments as in `build`."""
    table = build(results, expected)
    shown = rich.table.Table(header_style="bold")
    shown.add_column("held-out data")
    for stage in table.stages:
        shown.add_column(stage, justify="right", no_wrap=True)
    if table.expects:
        shown.add_column("Expected", justify="right", no_wrap=True)
    for row in table.rows:
        cells = [f"[bold green]{cell}[/]" if i == row.best else cell for i, cell in enumerate(row.cells)]
        shown.add_row(row.name, *cells, *([row.expected] if table.expects else []))
    return shown


def expected_numbers(expected: Mapping[str, Any]) -> dict[str, float]:
    """The numbers that `config.expected` holds for the pretrained network, by measure."""
    named = {key.removeprefix("pretrained/"): value for key, value in expected.get("results", {}).items()}
    return {key: float(value) for key, value in named.items() if "/" not in key}


def _row(measure: str, stages: list[str], results: Mapping[str, float], wanted: float | None) -> Row:
    found = [results.get(f"{stage}/{measure}") for stage in stages]
    spreads = [results.get(f"{stage}/{measure}/std") for stage in stages]
    cells = tuple(
        "" if value is None else names.number(measure, value, spread)
        for value, spread in zip(found, spreads, strict=True)
    )
    return Row(
        names.metric(measure), cells, _best(measure, found), "" if wanted is None else names.number(measure, wanted)
    )


def _best(measure: str, found: list[float | None]) -> int | None:
    present = [(value, i) for i, value in enumerate(found) if value is not None and value == value]
    if not names.is_share(measure) or len(present) < 2:
        return None
    return max(present)[1]
