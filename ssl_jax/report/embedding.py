"""A map of the embeddings: each held-out example a point, similar ones close together."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes

from ssl_jax.report.style import INK, MANY, Target, figure

_NAMED = 24  # more names than this would hide the points


def embedding_map(
    embeddings: np.ndarray, labels: np.ndarray, class_names: Sequence[str], target: Target, limit: int = 1500
) -> None:
    """Draws the embeddings in two dimensions by t-SNE, as PNG. Labels only colour the points and name the groups.

    At most `limit` of them are drawn, chosen at random but each time the same: t-SNE of more points than 1500 takes
    long, and they would hide each other.

    Args:
      embeddings: [N, D] any float type; scaled to unit length first, as kNN sees them.
      labels: int [N].
      class_names: one name a class; empty: their numbers.
      target: where the picture goes.
      limit: points at most.

    Raises:
      ValueError: fewer than three examples, or labels that do not fit.
    """
    embeddings, labels = np.asarray(embeddings, np.float32), np.asarray(labels)
    if embeddings.ndim != 2 or len(embeddings) < 3 or labels.shape != embeddings.shape[:1]:
        raise ValueError(
            f"embeddings {embeddings.shape} and labels {labels.shape} must be [N, D] and [N], N at least 3"
        )
    if len(labels) > limit:
        chosen = np.random.default_rng(0).choice(len(labels), limit, replace=False)
        embeddings, labels = embeddings[chosen], labels[chosen]
    points = project(embeddings)
    with figure(6.4, 5.6, target) as drawn:
        _scatter(drawn.add_subplot(), points, labels, class_names)


def project(embeddings: np.ndarray) -> np.ndarray:
    """float [N, 2]: unit vectors of the embeddings reduced by PCA to 50 dimensions, and from there by t-SNE.

    Where all are the same, all points lie in one place.
    """
    from sklearn.decomposition import PCA  # imported here because it takes a second
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    length = np.linalg.norm(embeddings, axis=1, keepdims=True)
    unit = embeddings / np.where(length > 0, length, 1)
    if not np.ptp(unit, axis=0).any():
        return np.zeros((len(unit), 2), np.float32)
    reduced = PCA(min(50, *unit.shape), random_state=0).fit_transform(unit)
    perplexity = min(30.0, (len(unit) - 1) / 3)
    with threadpool_limits(
        1
    ):  # on a busy machine its OpenMP threads wait for each other: a minute in place of a second
        return TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(reduced)


def _scatter(axes: Axes, points: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> None:
    classes, counts = np.unique(labels, return_counts=True)
    named = set(classes[np.argsort(-counts, kind="stable")][:_NAMED])
    lift = 0 if len(classes) <= 12 else 8  # many groups are small ones, which their names would cover
    size = float(np.clip(9000 / len(points), 5, 26))
    for place, label in enumerate(classes):
        mine = points[labels == label]
        colour = _colour(place, len(classes))
        axes.scatter(*mine.T, s=size, color=colour, linewidths=0, alpha=0.75)
        if label in named and label >= 0:  # -1 stands for no label
            _name(axes, mine, class_names[label] if len(class_names) else str(label), lift)
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.margins(0.04)


def _colour(place: int, count: int):
    return MANY[place] if count <= len(MANY) else matplotlib.colormaps["turbo"]((place + 0.5) / count)


def _name(axes: Axes, points: np.ndarray, name: str, lift: float) -> None:
    """Writes the name `lift` points above the example nearest to the middle (where the middle is may be none)."""
    middle = np.median(points, axis=0)
    x, y = points[np.argmin(((points - middle) ** 2).sum(axis=1))]
    halo = [patheffects.withStroke(linewidth=2.6, foreground="white")]
    text = axes.annotate(
        name, (x, y), (0, lift), textcoords="offset points", ha="center", va="center", parse_math=False
    )
    text.set(fontsize=8.5, color=INK, fontweight="bold", path_effects=halo)
