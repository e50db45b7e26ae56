"""Figures made of pictures."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ssl_jax.report.style import BAD, GOOD, INK, MUTED, Target, blank_axes, figure

# Inches. One axes for the whole figure, measured in inches: an axes for each picture takes seconds to lay out.
_CELL, _GAP, _EDGE, _WORDS = 0.9, 0.07, 0.06, 0.21
_NARROWEST = 0.5  # of a column, for the words above it


def image_grid(images: np.ndarray, target: Target, *, columns: Sequence[str] = (), rows: Sequence[str] = ()) -> None:
    """Pictures in rows and columns, as PNG.

    Args:
      images: [rows, columns, H, W, C] or [N, H, W, C] (then laid out in at most 8 columns), C 1 (grey) or 3 (RGB),
        uint8, or float in 0..1 (what lies outside is cut off).
      target: where the picture goes.
      columns: headings, one a column.
      rows: names, one a row.

    Raises:
      ValueError: any other shape, no picture at all, or a number of headings that does not fit.
    """
    grid = _as_grid(np.asarray(images))
    across, down = max(map(len, grid)), len(grid)
    for what, given, wanted in (("columns", columns, across), ("rows", rows, down)):
        if given and len(given) != wanted:
            raise ValueError(f"{len(given)} names for {wanted} {what}")
    tall = _cell_height(grid[0])
    left = _EDGE + (0.1 + 0.078 * max(map(len, rows)) if rows else 0)
    top = _EDGE + (_WORDS if columns else 0)
    width, height = left + across * (_CELL + _GAP) - _GAP + _EDGE, top + down * (tall + _GAP) - _GAP + _EDGE
    with figure(width, height, target) as drawn:
        axes = blank_axes(drawn, (0, width), (height, 0))
        for i, row in enumerate(grid):
            for j, image in enumerate(row):
                _place(axes, _shown(image), left + j * (_CELL + _GAP), top + i * (tall + _GAP), tall)
        for j, name in enumerate(columns):
            _word(axes, left + j * (_CELL + _GAP) + _CELL / 2, top - _WORDS / 2, name, MUTED)
        for i, name in enumerate(rows):
            _word(axes, left - 0.08, top + i * (tall + _GAP) + tall / 2, name, INK, align="right")


def film(clips: np.ndarray) -> np.ndarray:
    """Clips as pictures: their frames side by side, in as many rows as make them about as high as wide.

    Args:
      clips: [..., T, H, W, C], of NumPy or of JAX.

    Returns:
      [..., rows * H, T / rows * W, C].
    """
    *before, frames, height, width, channels = clips.shape
    rows = max(count for count in range(1, int(frames**0.5) + 1) if frames % count == 0)
    cells = clips.reshape(*before, rows, frames // rows, height, width, channels)
    return cells.swapaxes(-4, -3).reshape(*before, rows * height, frames // rows * width, channels)


def views(originals: np.ndarray, augmented: Mapping[str, np.ndarray], target: Target) -> None:
    """Each picture beside random views of it, of the sizes that they have for the network: what it will see.

    Args:
      originals: [N, H, W, C], uint8 or float in 0..1.
      augmented: what the views are called -> [N, V, h, w, C], uint8 or float in 0..1.
      target: where the picture goes.
    """
    tallest = max((images.shape[2] for images in augmented.values()), default=originals.shape[1])
    columns = [_Column("original", originals, 1.0)]
    for name, images in augmented.items():
        share = images.shape[2] / tallest
        columns += [_Column(f"{name} {i + 1}", images[:, i], share) for i in range(images.shape[1])]
    lefts = np.cumsum([_EDGE, *(max(_CELL * column.share, _NARROWEST) + _GAP for column in columns)])
    tall = _cell_height(originals)
    width, height = lefts[-1] - _GAP + _EDGE, _EDGE + _WORDS + len(originals) * (tall + _GAP) - _GAP + _EDGE
    with figure(width, height, target) as drawn:
        axes = blank_axes(drawn, (0, width), (height, 0))
        for column, left, right in zip(columns, lefts, lefts[1:]):
            _word(axes, (left + right - _GAP) / 2, _EDGE + _WORDS / 2 - 0.02, column.name, MUTED)
            for i, image in enumerate(column.images):
                top = _EDGE + _WORDS + i * (tall + _GAP)
                size = dict(wide=_CELL * column.share, tall=_cell_height(column.images) * column.share)
                _place(axes, _shown(image), left, top, **size)


@dataclasses.dataclass(frozen=True)
class _Column:
    """Views of one kind: their name, one picture [H, W, C] a row, and their size as a share of the largest."""

    name: str
    images: np.ndarray
    share: float


def reconstructions(original: np.ndarray, masked: np.ndarray | None, reconstructed: np.ndarray, target: Target) -> None:
    """What was there, what the network saw, and what it made of it; one column a picture.

    Args:
      original: [N, H, W, C], uint8 or float in 0..1.
      masked: the same with the hidden patches painted over; None: the network saw all.
      reconstructed: the network's picture.
      target: where the picture goes.
    """
    parts = {"seen": masked, "rebuilt": reconstructed, "original": original}
    given = {name: np.stack([_shown(image) for image in part]) for name, part in parts.items() if part is not None}
    image_grid(np.stack(list(given.values())), target, rows=tuple(given))


def nearest_neighbours_images(
    queries: np.ndarray,
    neighbours: np.ndarray,
    target: Target,
    *,
    query_labels: Sequence[int] | None = None,
    neighbour_labels: np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
) -> None:
    """Held-out pictures, each with the training pictures nearest to it, nearest first.

    With labels, a tick or a cross says whether the neighbour has the class of the query.

    Args:
      queries: [N, H, W, C], uint8 or float in 0..1.
      neighbours: [N, K, H, W, C].
      target: where the picture goes.
      query_labels: int [N].
      neighbour_labels: int [N, K].
      class_names: one name a class; None: their numbers.
    """
    count, k = neighbours.shape[:2]
    judged = query_labels is not None and neighbour_labels is not None
    tall = _cell_height(neighbours)
    step = tall + _GAP + (_WORDS if judged else 0)
    lefts = [_EDGE, *(_EDGE + _CELL + 0.25 + j * (_CELL + _GAP) for j in range(k))]
    width, height = lefts[-1] + _CELL + _EDGE, _EDGE + _WORDS + count * step
    with figure(width, height, target) as drawn:
        axes = blank_axes(drawn, (0, width), (height, 0))
        for left, heading in zip(lefts, ("query", "nearest", *map(str, range(2, k + 1)))):
            _word(axes, left + _CELL / 2, _EDGE + _WORDS / 2 - 0.02, heading, MUTED)
        for i in range(count):
            top = _EDGE + _WORDS + i * step
            for left, image in zip(lefts, (queries[i], *neighbours[i]), strict=True):
                _place(axes, _shown(image), left, top, tall)
            if judged:
                _judge(axes, lefts, top, tall, query_labels[i], neighbour_labels[i], class_names)


def _judge(
    axes: Axes,
    lefts: Sequence[float],
    top: float,
    tall: float,
    label: int,
    labels: Sequence[int],
    class_names: Sequence[str] | None,
) -> None:
    """Writes the classes below a row, and frames each neighbour by whether it is the class of the query."""
    names = [class_names[c] if class_names else str(c) for c in (label, *labels)]
    _word(axes, lefts[0] + _CELL / 2, top + tall + _WORDS / 2, _cut(names[0]), INK)
    for left, other, name in zip(lefts[1:], labels, names[1:], strict=True):
        right = other == label
        colour = GOOD if right else BAD
        _word(axes, left + _CELL / 2, top + tall + _WORDS / 2, _cut(f"{'✓' if right else '✗'} {name}"), colour)
        axes.add_patch(Rectangle((left, top), _CELL, tall, fill=False, edgecolor=colour, linewidth=1.4))


def _cut(text: str, longest: int = 16) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _place(axes: Axes, image: np.ndarray, left: float, top: float, tall: float, wide: float = _CELL) -> None:
    axes.imshow(image, extent=(left, left + wide, top + tall, top), aspect="auto", zorder=1)


def _word(axes: Axes, x: float, y: float, text: str, colour: str, align: str = "center") -> None:
    axes.text(x, y, text, color=colour, fontsize=8.5 if len(text) < 13 else 7, ha=align, va="center", parse_math=False)


def _as_grid(images: np.ndarray) -> list[np.ndarray]:
    """Rows [columns, H, W, C]; the last may be shorter."""
    if images.ndim == 5 and images.size:
        return list(images)
    if images.ndim != 4 or not images.size:
        raise ValueError(f"images of shape {images.shape} are neither [N, H, W, C] nor [rows, columns, H, W, C]")
    return [images[i : i + 8] for i in range(0, len(images), 8)]


def _shown(image: np.ndarray) -> np.ndarray:
    """RGB float32 in 0..1, [H, W, 3]."""
    image = np.asarray(image)
    image = image / 255 if image.dtype == np.uint8 else np.nan_to_num(image.astype(np.float32))
    image = np.clip(image, 0, 1).astype(np.float32)
    return np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image


def _cell_height(images: np.ndarray) -> float:
    height, width = images.shape[-3:-1]
    return _CELL * min(max(height / width, 0.2), 3.0)
