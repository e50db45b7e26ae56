"""What scores mean where runs are compared: which way is better, and by which one runs are judged."""

from collections.abc import Iterable, Sequence

from ssl_jax.report import names

LABEL_FREE = {"rank_me": "RankMe", "lidar": "LiDAR", "alpha_req": "alpha-ReQ", "loss": "Loss"}
"""Measures that need no labels and are said to tell which run is best -> what their papers call them."""
_UP, _DOWN, _ONE = "higher is better", "lower is better", "nearer to 1 is better"
_DIRECTIONS = {"rank_me": _UP, "lidar": _UP, "alpha_req": _ONE, "loss": _DOWN}


def direction(measure: str) -> str | None:
    """Which values are better, in words; None for a measure of which that cannot be said."""
    known = _DIRECTIONS.get(measure)
    return known or (_UP if names.is_share(measure) else _DOWN if measure.endswith("_loss") else None)


def merit(measure: str, value: float) -> float:
    """The value turned so that higher is better. `measure` has a direction."""
    return {_UP: value, _DOWN: -value, _ONE: -abs(value - 1)}[direction(measure)]


def full_name(measure: str) -> str:
    """What people call it, with what its paper does: 'Effective rank (RankMe)'."""
    name, papers = names.metric(measure), LABEL_FREE.get(measure)
    return name if papers in (None, name) else f"{name} ({papers})"


def order(measure: str) -> tuple:
    """Sorts the measures that have a direction: accuracies as in the table of a run, the label-free ones, the rest."""
    label_free = list(LABEL_FREE).index(measure) if measure in LABEL_FREE else len(LABEL_FREE)
    return not names.is_share(measure), label_free, names.metric_order(measure)


def best(measure: str, values: Sequence[float | None]) -> set[int]:
    """The places of the best values; empty where fewer than two are numbers, or all of them are the same."""
    merits = {i: merit(measure, value) for i, value in enumerate(values) if value is not None and value == value}
    if len(set(merits.values())) < 2:
        return set()
    return {i for i, value in merits.items() if value == max(merits.values())}


def probe(present: Iterable[str]) -> str | None:
    """The measure that counts as the probe: linear, or full kNN, or kNN of the most shots; None without any."""
    present = sorted(present, key=names.metric_order)
    shots = [measure for measure in present if measure.startswith("knn_") and measure != "knn_full"]
    return next((measure for measure in ("linear", "knn_full", *shots[::-1]) if measure in present), None)


def main(present: Iterable[str]) -> str | None:
    """The one measure by which runs are judged: the probe, or else an accuracy, or else the loss."""
    present = set(present)
    shares = sorted((measure for measure in present if names.is_share(measure)), key=order)
    return probe(present) or next(iter(shares), "loss" if "loss" in present else None)
