"""Metrics over time, one small panel for each subject."""

import dataclasses
import itertools
import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, MaxNLocator

from ssl_jax.report import names
from ssl_jax.report.style import MUTED, SERIES, Target, figure

_DASHES = (0, (4, 3))
_DIAGNOSED = ("spread", "effective_rank", "directions")
_FROM_ZERO = (  # near nothing means something in these
    *("eval/rank_me", "eval/embedding_std", "examples_per_second", "eval/prototype_perplexity"),
    *(f"eval/{of}{name}" for name in _DIAGNOSED for of in ("", "projection_")),
)

Metrics = Sequence[Mapping[str, float]]


@dataclasses.dataclass(frozen=True)
class Panel:
    """One panel: the metrics that it shows, and what to look at in it.

    Attributes:
      title: above the panel.
      keys: the metrics, in the order of the legend.
      note: a sentence for the reader of the report.
    """

    title: str
    keys: tuple[str, ...]
    note: str = ""


_KNOWN = (
    Panel("Loss", ("train/loss", "eval/loss"), "It should fall and then flatten. A rise or a spike means trouble."),
    Panel(
        "Accuracy on held-out data",
        ("eval/knn_*", "eval/linear"),
        "It should climb above the dashed lines, which are the same measure on the raw input.",
    ),
    Panel(
        "Effective rank of the embeddings (RankMe)",
        ("eval/rank_me",),
        "How many directions the embeddings use. A fall towards 1 is collapse, whatever the loss says.",
    ),
    Panel(
        "Decay of the spectrum (alpha-ReQ)",
        ("eval/alpha_req",),
        "Variance along the k-th direction falls as k to the power of minus this. Its paper finds about 1 best; "
        "far above it few directions hold all.",
    ),
    Panel(
        "Spread of directions",
        ("eval/spread", "eval/projection_spread"),
        "1 where embeddings point everywhere; below 0.01 they are all alike: a complete collapse.",
    ),
    Panel(
        "Effective rank, less the mean",
        ("eval/effective_rank", "eval/projection_effective_rank"),
        "Features below about the square root of their dimensions, and projections below the fourth root, have "
        "collapsed to few directions.",
    ),
    Panel(
        "Directions that are alive",
        ("eval/directions", "eval/projection_directions"),
        "Those whose deviation is above a thousandth of the largest; a quarter of them at least is healthy.",
    ),
    Panel(
        "Prototypes in use",
        ("eval/prototype_perplexity",),
        "As many as if those in use were used equally. A fall towards 1 is a collapse of the assignments.",
    ),
    Panel("Learning rate", ("train/learning_rate",), "What the schedule did: a warm-up, then a slow descent."),
    Panel(
        "Spread of the embeddings",
        ("eval/embedding_std",),
        "Standard deviation of normalised embeddings. Near 0 all inputs look the same to the network.",
    ),
    Panel(
        "Gradient norm", ("train/grad_norm",), "Steady or slowly changing is healthy; spikes come before divergence."
    ),
    Panel(
        "Examples per second",
        ("examples_per_second",),
        "Without evaluations and checkpoints; dips are where the data held training up.",
    ),
)


def curves(
    metrics: Metrics,
    target: Target,
    *,
    results: Mapping[str, float] | None = None,
    panels: Sequence[Panel] | None = None,
) -> None:
    """Draws every metric over the steps, as PNG.

    Args:
      metrics: one dictionary a line of metrics.jsonl: `step`, and any of the metrics.
      target: where the picture goes.
      results: flat results; those called `untrained/NAME` become the point of `eval/NAME` at step 0, and accuracies
        called `raw/NAME` dashed lines beside it.
      panels: which panels to draw. None: all of `panels_of(metrics)`.

    Raises:
      ValueError: no metric has a finite value, or `panels` is empty.
    """
    panels = panels_of(metrics) if panels is None else panels
    if not panels:
        raise ValueError("there is nothing to draw: no metric has a finite value")
    metrics = _with_start(metrics, results or {})
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)
    with figure(4.6 * columns, 2.7 * rows, target) as drawn:
        for panel, axes in zip(panels, drawn.subplots(rows, columns, squeeze=False).flat, strict=False):
            _draw(axes, panel, metrics, results or {})
        for axes in drawn.axes[len(panels) :]:
            axes.remove()


def panels_of(metrics: Metrics) -> list[Panel]:
    """The panels for which `metrics` has something to show: the well-known ones first, then one for each other name."""
    present = [key for key in dict.fromkeys(key for line in metrics for key in line) if _is_drawn(key, metrics)]
    panels = []
    for known in _KNOWN:
        keys = tuple(key for pattern in known.keys for key in _matching(pattern, present))
        if keys:
            panels.append(dataclasses.replace(known, keys=keys))
            present = [key for key in present if key not in keys]
    rest: dict[str, list[str]] = {}
    for key in sorted(present, key=_by_training_first):
        rest.setdefault(names.metric(key), []).append(key)
    return panels + [Panel(title, tuple(keys)) for title, keys in rest.items()]


def _with_start(metrics: Metrics, results: Mapping[str, float]) -> Metrics:
    """The metrics with those of the untrained network before them."""
    evaluated = {key for line in metrics for key in line if key.startswith("eval/")}
    start = {key: results.get(f"untrained/{key.removeprefix('eval/')}") for key in sorted(evaluated)}
    return [{"step": 0, **{key: value for key, value in start.items() if value is not None}}, *metrics]


def series(metrics: Metrics, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and finite values of one metric; of a step that was logged twice, the later line."""
    points = {line["step"]: line[key] for line in metrics if key in line and np.isfinite(line[key])}
    steps = np.array(sorted(points), np.float64)
    return steps, np.array([points[step] for step in steps], np.float64)


def _is_drawn(key: str, metrics: Metrics) -> bool:
    return key != "step" and not key.endswith("/std") and len(series(metrics, key)[0]) > 0


def _matching(pattern: str, keys: Sequence[str]) -> list[str]:
    expression = re.compile(re.escape(pattern).replace(r"\*", ".*"))
    return sorted((key for key in keys if expression.fullmatch(key)), key=names.metric_order)


def _by_training_first(key: str) -> bool:
    return not key.startswith("train/")


def _draw(axes: Axes, panel: Panel, metrics: Metrics, results: Mapping[str, float]) -> None:
    legend = len(panel.keys) > 1 or _raw_value(panel.keys[0], results) is not None
    axes.set_title(panel.title, pad=20 if legend else 6)
    for key, colour in zip(panel.keys, itertools.cycle(SERIES)):
        _line(axes, *series(metrics, key), colour, _label(key, panel), noisy=not key.endswith("learning_rate"))
        raw = _raw_value(key, results)
        if raw is not None:
            axes.axhline(raw, color=colour, linewidth=1, linestyle=_DASHES, alpha=0.7)
    if any(_raw_value(key, results) is not None for key in panel.keys):
        axes.plot([], [], color=MUTED, linewidth=1, linestyle=_DASHES, label="raw input")
    if legend:
        axes.legend(
            loc="lower left", bbox_to_anchor=(-0.02, 0.98), ncols=4, fontsize=7.5, handlelength=1.1, columnspacing=1
        )
    steps_axis(axes)
    scale_axis(axes, panel.keys)


def steps_axis(axes: Axes) -> None:
    """Makes the horizontal axis one of training steps."""
    axes.set_xlabel("step")
    axes.margins(x=0.02)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def _raw_value(key: str, results: Mapping[str, float]) -> float | None:
    """The same measure on the raw input, for accuracies of held-out data."""
    return results.get(f"raw/{key.removeprefix('eval/')}") if key.startswith("eval/") and names.is_share(key) else None


def _label(key: str, panel: Panel) -> str:
    """The name of the metric; where all are the same metric, of what it was measured on."""
    if len({names.metric(other) for other in panel.keys}) > 1:
        return names.metric(key)
    return {"train": "training", "eval": "held out"}.get(key.partition("/")[0], key)


def scale_axis(axes: Axes, keys: Sequence[str]) -> None:
    """Makes the vertical axis, after all is drawn, one of these metrics: in percent, from zero, or neither."""
    if all(names.is_share(key) for key in keys):
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%" if value <= 1.0001 else "")
        return
    if all(key in _FROM_ZERO for key in keys):
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(EngFormatter(sep="") if axes.get_ylim()[1] >= 10_000 else _short)


def _short(value: float, _: int) -> str:
    return f"{value:.4g}"


def _line(axes: Axes, steps: np.ndarray, values: np.ndarray, colour: str, label: str, noisy: bool) -> None:
    """A line; where it is noisy and has many points, pale, with its moving average on top."""
    if len(steps) < 40 or not noisy:
        marker = "o" if len(steps) < 20 else None
        axes.plot(steps, values, color=colour, marker=marker, markersize=3, label=label)
        return
    axes.plot(steps, values, color=colour, linewidth=0.7, alpha=0.3)
    axes.plot(steps, smoothed(values, max(3, len(values) // 40)), color=colour, label=label)


def smoothed(values: np.ndarray, half: int) -> np.ndarray:
    """The mean over `half` points on either side, and over fewer, as many on both sides, near the ends."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    i = np.arange(len(values))
    reach = np.minimum(np.minimum(i, i[::-1]), half)
    return (total[i + reach + 1] - total[i - reach]) / (2 * reach + 1)
