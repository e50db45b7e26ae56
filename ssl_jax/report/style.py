"""What all figures have in common: type, colours, and how they are saved."""

import contextlib
import os
import pathlib
import warnings
from collections.abc import Iterator
from typing import BinaryIO

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MUTED, RULE = "#1f2933", "#66727f", "#d9dee3"
GOOD, BAD = "#1b7f5c", "#c2410c"  # also told apart by a tick or a cross, never by colour alone
SERIES = ("#1f6fb2", "#d9730d", "#1b7f5c", "#8e4ec6", "#b0303a", "#5f6b2f")
MANY = (
    *("#1f6fb2", "#d9730d", "#1b7f5c", "#8e4ec6", "#b0303a", "#8a6d00", "#d63f87", "#0e9aa7", "#5c6670", "#7fa51f"),
    *("#7a4a2b", "#3f4fb5", "#e0a100", "#4f9d69", "#a0522d", "#9c6ade", "#2f8f9d", "#c94f7c", "#6b8e23", "#404040"),
)
SHADES = matplotlib.colormaps["plasma_r"]
DPI = 200

_TYPE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#eceff2",
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "image.interpolation": "nearest",
}

Target = str | os.PathLike | BinaryIO


@contextlib.contextmanager
def figure(width: float, height: float, target: Target) -> Iterator[Figure]:
    """A figure of that size in inches, saved as PNG to `target` (a path, whose folder is made, or a file) at the end.

    No state of matplotlib outside the figure is touched.
    """
    with matplotlib.rc_context(_TYPE):
        drawn = Figure(figsize=(width, height), layout="constrained", facecolor="white")
        drawn.get_layout_engine().set(w_pad=0.09, h_pad=0.09)
        yield drawn
        with warnings.catch_warnings():
            # Captions may be in a script that the font lacks: a box in the figure, no reason to end a run.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            _save(drawn, target)


def shade(share: float) -> tuple[float, float, float]:
    """The colour of a value that lies that far, 0 to 1, from the poorest to the best: dark is good."""
    return tuple(SHADES(0.14 + 0.8 * share)[:3])  # the palest and the darkest ones are hard to see or to tell apart


def blank_axes(drawn: Figure, across: tuple[float, float], down: tuple[float, float]) -> Axes:
    """Axes over the whole figure without frame, ticks or automatic layout, with these limits."""
    drawn.set_layout_engine("none")
    axes = drawn.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=across, ylim=down, autoscale_on=False)
    return axes


def _save(drawn: Figure, target: Target) -> None:
    if not isinstance(target, str | os.PathLike):
        drawn.savefig(target, format="png", dpi=DPI)
        return
    path = pathlib.Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    drawn.savefig(temporary, format="png", dpi=DPI)
    temporary.replace(path)
