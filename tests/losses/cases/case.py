"""What the tests that hold for every loss need to know of one."""

import dataclasses
from collections.abc import Callable, Mapping

import jax

N = 16
"""Rows of every case."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One loss with one setting, on N rows.

    Attributes:
      loss: (rows, shared, rest, axis_name) -> scalar.
      rows: float arrays with the batch as first axis, which have gradients; spread over devices.
      shared: float arrays that every device holds whole (prototypes, a queue, a learned temperature), with gradients.
      rest: arrays with the batch as first axis that have no gradient: labels, masks, indices; spread over devices.
      needs: the fewest rows that make sense; with fewer, the loss raises a ValueError.
      ordered: whether the order of the rows matters to the loss.
      scale_free: rows that may be multiplied by a positive number without changing the loss.
      swaps: pairs of rows that may change places without changing the loss.
      flat: names of rows and shared arrays that no gradient reaches (targets behind a stop_gradient, queues).
    """

    loss: Callable[[Mapping, Mapping, Mapping, str | None], jax.Array]
    rows: Mapping[str, jax.Array]
    shared: Mapping[str, jax.Array] = dataclasses.field(default_factory=dict)
    rest: Mapping[str, jax.Array] = dataclasses.field(default_factory=dict)
    needs: int = 1
    ordered: bool = False
    scale_free: tuple[str, ...] = ()
    swaps: tuple[tuple[str, str], ...] = ()
    flat: tuple[str, ...] = ()


def normal(seed: int, *shape: int) -> jax.Array:
    """Standard normal numbers."""
    return jax.random.normal(jax.random.key(seed), shape)
