"""Helpers for a config's `sweep()`, which yields the overrides of each run: full leaf name, without 'config.' -> value.

from ssl_jax import sweeps

def sweep():
    yield from sweeps.grid({"optimizer.learning_rate": (1e-3, 3e-3), "seed": (0, 1, 2)})
"""

import itertools
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Overrides = dict[str, Any]
Draw = Callable[[random.Random], Any]


def grid(axes: Mapping[str, Iterable[Any]]) -> Iterator[Overrides]:
    """Every combination of the values of all leaves; the last leaf changes fastest."""
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values))


def zipped(axes: Mapping[str, Iterable[Any]]) -> Iterator[Overrides]:
    """The first values of all leaves together, then the second ones, and so on.

    Raises:
      ValueError: one leaf has more values than another.
    """
    for values in zip(*axes.values(), strict=True):
        yield dict(zip(axes, values))


def product(*parts: Iterable[Overrides]) -> Iterator[Overrides]:
    """Every combination of the overrides of several parts, such as a grid of draws."""
    for chosen in itertools.product(*(list(part) for part in parts)):
        yield {leaf: value for overrides in chosen for leaf, value in overrides.items()}


def draws(count: int, axes: Mapping[str, Draw], *, seed: int = 0) -> Iterator[Overrides]:
    """`count` random choices, the same ones every time.

    Args:
      count: of runs.
      axes: leaf -> `uniform`, `log_uniform`, `integer` or `choice`, or a function of a `random.Random`.
      seed: another one gives other choices.
    """
    source = random.Random(seed)
    for _ in range(count):
        yield {leaf: draw(source) for leaf, draw in axes.items()}


def uniform(low: float, high: float) -> Draw:
    """A number between `low` and `high`."""
    return lambda source: source.uniform(low, high)


def log_uniform(low: float, high: float) -> Draw:
    """A number between `low` and `high` whose logarithm is drawn evenly; both are positive."""
    return lambda source: math.exp(source.uniform(math.log(low), math.log(high)))


def integer(low: int, high: int) -> Draw:
    """A whole number from `low` to `high`, both included."""
    return lambda source: source.randint(low, high)


def choice(values: Iterable[Any]) -> Draw:
    """One of the values."""
    values = list(values)
    return lambda source: source.choice(values)
