"""Figures made of words. Set in a fixed-width face and narrow, so that they can be read on a telephone too."""

import dataclasses
import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ssl_jax.report.style import BAD, GOOD, INK, MUTED, RULE, Target, blank_axes, figure

_WIDTH = 60  # characters
_SIZE = 8.5  # points
_LONGEST = 150  # characters after which a text is cut off
_SENTENCES = 3  # with their guesses they fill a screen
_ACROSS, _DOWN = 0.602 * _SIZE / 72, 1.62 * _SIZE / 72  # inches a character, of DejaVu Sans Mono, and a line


@dataclasses.dataclass(frozen=True)
class _Run:
    """A piece of text at a place in the grid of characters."""

    line: float
    column: int
    text: str
    colour: str = INK
    bold: bool = False
    box: str | None = None


def nearest_neighbours_text(
    queries: Sequence[str],
    neighbours: Sequence[Sequence[str]],
    target: Target,
    *,
    query_labels: Sequence[str] | None = None,
    neighbour_labels: Sequence[Sequence[str]] | None = None,
    similarities: Sequence[Sequence[float]] | None = None,
) -> None:
    """Held-out passages, each with the training passages nearest to it, as PNG. Long ones are cut off.

    Args:
      queries: N texts.
      neighbours: N lists of texts, nearest first.
      target: where the picture goes.
      query_labels: the name of the class of each query.
      neighbour_labels: the name of the class of each neighbour; a tick or a cross says whether it is the query's.
      similarities: of each neighbour to its query.
    """
    runs, line = [], 0.0
    for i, query in enumerate(queries):
        label = query_labels[i] if query_labels is not None else None
        line = _heading(runs, line, "query" if label is None else f"query · {label}")
        line = _paragraph(runs, line, query, bold=True)
        for j, text in enumerate(neighbours[i]):
            other = neighbour_labels[i][j] if neighbour_labels is not None else None
            heading, colour = _neighbour_heading(
                j, label, other, similarities[i][j] if similarities is not None else None
            )
            runs.append(_Run(line + 0.15, 2, heading, colour))
            line = _paragraph(runs, line + 1.15, text, indent=2)
        line += 0.9
    _draw(runs, line - 0.9, target)


def masked_tokens(
    tokens: Sequence[Sequence[str]],
    positions: Sequence[Sequence[int]],
    predictions: Sequence[Sequence[Sequence[str]]],
    target: Target,
) -> None:
    """The first three sentences with the words that were hidden from the network, and what it put there, as PNG.

    Hidden words stand in a numbered box: green with a tick where the first guess was right. Below, the guesses.

    Args:
      tokens: for each sentence its true word pieces; one that begins with '##' continues the word before it.
      positions: for each sentence the places of the hidden pieces.
      predictions: for each hidden piece some guesses, best first; as many are shown as fit on a line.
      target: where the picture goes.

    Raises:
      ValueError: the three do not go together.
    """
    if not len(tokens) == len(positions) == len(predictions):
        raise ValueError(
            f"{len(tokens)} sentences, {len(positions)} lists of positions, {len(predictions)} of predictions"
        )
    runs, line = [], 0.0
    for sentence, hidden, guesses in list(zip(tokens, positions, predictions, strict=True))[:_SENTENCES]:
        if len(hidden) != len(guesses):
            raise ValueError(f"{len(hidden)} hidden pieces, but predictions for {len(guesses)}")
        line = _sentence(runs, line, sentence, {p: g[0] == sentence[p] for p, g in zip(hidden, guesses, strict=True)})
        line += 0.3
        for number, (place, best) in enumerate(zip(hidden, guesses, strict=True), start=1):
            line = _guesses(runs, line, number, sentence[place], best)
        line += 1.0
    _draw(runs, line - 1.0, target)


def _heading(runs: list[_Run], line: float, text: str) -> float:
    runs.append(_Run(line, 0, text, MUTED))
    return line + 1


def _neighbour_heading(place: int, label: str | None, other: str | None, similarity: float | None) -> tuple[str, str]:
    parts = [str(place + 1)]
    colour = MUTED
    if other is not None:
        right = other == label
        parts.append(f"{'✓' if right else '✗'} {other}" if label is not None else other)
        colour = MUTED if label is None else GOOD if right else BAD
    if similarity is not None:
        parts.append(f"cosine {similarity:.2f}")
    return " · ".join(parts), colour


def _paragraph(runs: list[_Run], line: float, text: str, *, bold: bool = False, indent: int = 0) -> float:
    text = " ".join(text.split())
    text = text if len(text) <= _LONGEST else text[:_LONGEST].rsplit(" ", 1)[0] + " …"
    for part in textwrap.wrap(text, _WIDTH - indent) or [""]:
        runs.append(_Run(line, indent, part, bold=bold))
        line += 1
    return line


def _sentence(runs: list[_Run], line: float, tokens: Sequence[str], right: dict[int, bool]) -> float:
    """Flows the words, those hidden with a box and their number."""
    column, number = 0, 0
    for place, token in enumerate(tokens):
        hidden = place in right
        number += hidden
        joined = token.startswith("##")
        text = token[2:] if joined and not hidden else token
        gap = 0 if joined or not column else 1
        width = len(text) + (len(str(number)) + 3 if hidden else 0)
        if column + gap + width > _WIDTH:
            line, column, gap = line + 1.15, 0, 0
        column += gap
        if hidden:
            colour = GOOD if right[place] else BAD
            runs.append(_Run(line, column, f" {number} {text} ", colour, box=colour))
        else:
            runs.append(_Run(line, column, text))
        column += width
    return line + 1.15


def _guesses(runs: list[_Run], line: float, number: int, truth: str, guesses: Sequence[str]) -> float:
    right = guesses[0] == truth
    runs.append(_Run(line, 1, f"{number:>2} {'✓' if right else '✗'}", GOOD if right else BAD))
    column = 6
    for i, piece in enumerate(guesses):
        if i and column + len(piece) > _WIDTH:
            break
        runs.append(_Run(line, column, piece, INK if piece == truth else MUTED, bold=piece == truth))
        column += len(piece) + 3
    return line + 1


def _draw(runs: Sequence[_Run], lines: float, target: Target) -> None:
    with figure((_WIDTH + 2) * _ACROSS, (lines + 0.6) * _DOWN, target) as drawn:
        axes = blank_axes(drawn, (-1, _WIDTH + 1), (lines + 0.3, -0.3))
        for run in runs:
            _put(axes, run)


def _put(axes: Axes, run: _Run) -> None:
    if run.box is not None:
        corner = run.column + 0.2, run.line + 0.04
        axes.add_patch(Rectangle(corner, len(run.text) - 0.4, 0.98, facecolor=run.box, alpha=0.13, edgecolor=RULE))
    axes.text(
        run.column,
        run.line + 0.54,
        run.text,
        family="DejaVu Sans Mono",
        fontsize=_SIZE,
        color=run.colour,
        fontweight="bold" if run.bold else "normal",
        va="center_baseline",
        parse_math=False,
    )
