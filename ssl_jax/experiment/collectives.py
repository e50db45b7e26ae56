"""What a compiled program sends between devices, read from its optimised HLO."""

import dataclasses
import math
import re

from ssl_jax.experiment.hlo import Operation, Program

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
_SCATTER = "all-reduce-scatter"  # how XLA:TPU calls a computation of an all-reduce of which a device keeps its share
_CHANNEL = re.compile(r"channel_id=(\d+)")
_GROUPS_BY_SHAPE = re.compile(r"replica_groups=\[(\d+),(\d+)\]")
_GROUPS_BY_AXES = re.compile(r"replica_groups=mesh\[([^\]]*)\] \{([^}]*)\}")
_GROUPS = re.compile(r"replica_groups=\{\{([\d,]*)\}")


@dataclasses.dataclass(frozen=True)
class Traffic:
    """All collectives of one kind in one run of a program.

    Attributes:
      count: how many are run.
      size: bytes of their results on one device.
      sent: bytes that a device sends, in rings: twice a share of an all-reduce, once of the others.
    """

    count: int = 0
    size: float = 0.0
    sent: float = 0.0

    def __add__(self, other: "Traffic") -> "Traffic":
        return Traffic(self.count + other.count, self.size + other.size, self.sent + other.sent)

    def __mul__(self, times: int) -> "Traffic":
        return Traffic(self.count * times, self.size * times, self.sent * times)


def traffic(program: Program, devices: int) -> dict[str, Traffic]:
    """By kind, what a program sends; loops count as often as they turn, where XLA knows that, else once.

    Args:
      program: as `hlo.read` gives it.
      devices: that it runs on, the size of a group that it does not spell out.
    """
    most: dict[str, tuple[str, Traffic]] = {}  # XLA:TPU writes one that runs beside other work down several times
    for name, times in program.times().items():
        for number, operation in enumerate(program.computations.get(name, ())):
            kind, channel = operation.kind.removesuffix("-start"), _CHANNEL.search(operation.rest)
            if kind in KINDS:
                kind = "reduce-scatter" if name.startswith(_SCATTER) else kind
                which = channel[0] if channel else f"{name} {number}"
                sent = _traffic(operation, kind, devices) * times
                most[which] = max(most.get(which, (kind, Traffic())), (kind, sent), key=lambda each: each[1].count)
    found: dict[str, Traffic] = {}
    for kind, sent in most.values():
        found[kind] = found.get(kind, Traffic()) + sent
    return dict(sorted(found.items()))


def _traffic(operation: Operation, kind: str, devices: int) -> Traffic:
    size, group = sum(array.size for array in operation.results), _group(operation.rest, devices)
    if kind == "reduce-scatter" and operation.kind.startswith("all-reduce"):
        size /= group
    share = (group - 1) / group
    factor = {"all-reduce": 2 * share, "reduce-scatter": group - 1, "collective-permute": 1.0}.get(kind, share)
    return Traffic(1, size, size * factor)


def _group(text: str, devices: int) -> int:
    by_shape, by_axes, listed = _GROUPS_BY_SHAPE.search(text), _GROUPS_BY_AXES.search(text), _GROUPS.search(text)
    if by_axes:
        sizes = dict(pair.split("=") for pair in by_axes[1].split(","))
        return math.prod(int(sizes[axis.strip()]) for axis in by_axes[2].split(","))
    if by_shape:
        return int(by_shape[2])
    return len(listed[1].split(",")) if listed and listed[1] else devices
