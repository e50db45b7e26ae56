"""The slices that Google Cloud has of its TPUs, and what it calls them."""

import dataclasses
import itertools
import math
import re

from ssl_jax.errors import UserError, unknown
from ssl_jax.launchers.chips import Slice

NEAREST = 3  # shapes that an error names
_DOCS = "docs.cloud.google.com/tpu/docs"


@dataclasses.dataclass(frozen=True)
class Offer:
    """Slices of one kind of chip.

    Attributes:
      prefix: of their names.
      counted: what the number in a name counts of each chip: its TensorCores, or 1 where it counts chips.
      runtime: software version that their machines are to have (docs.cloud.google.com/tpu/docs/runtimes).
      shapes: those that there are.
      source: where that is from.
    """

    prefix: str
    counted: int
    runtime: str
    shapes: tuple[str, ...]
    source: str


def _cubes(most: int) -> tuple[str, ...]:
    """AxBxC with A <= B <= C, multiples of 4 up to 256, of at most `most` chips; and the parts of a cube."""
    sides = itertools.combinations_with_replacement(range(4, 257, 4), 3)
    whole = sorted((shape for shape in sides if math.prod(shape) <= most), key=lambda shape: (math.prod(shape), shape))
    return ("2x2x1", "2x2x2", "2x2x4", "2x4x4", *("x".join(map(str, shape)) for shape in whole))


_PLANES = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
OFFERS = {
    "v5e": Offer("v5litepod", 1, "v2-alpha-tpuv5-lite", _PLANES, f"{_DOCS}/v5e"),
    "v5p": Offer("v5p", 2, "v2-alpha-tpuv5", _cubes(16 * 16 * 24), f"{_DOCS}/v5p, and xpk's table of shapes"),
    "v6e": Offer("v6e", 1, "v2-alpha-tpuv6e", _PLANES, f"{_DOCS}/v6e"),
}


def offered(topology: str, option: str) -> Slice:
    """Reads the name of a slice that there is, such as 'v5e:16x16'.

    Args:
      topology: the name.
      option: where it was given, for messages.

    Raises:
      UserError: there is no such chip, or no slice of that shape.
    """
    kind, _, shape = topology.partition(":")
    if kind not in OFFERS:
        raise unknown(option, kind, OFFERS)
    if shape not in OFFERS[kind].shapes:
        near = ", ".join(f"{kind}:{other}" for other in _nearest(shape, OFFERS[kind].shapes))
        raise UserError(f"{option}: Google Cloud has no slice {topology!r}; near it are {near}.")
    return Slice.of(topology)


def accelerator(where: Slice) -> str:
    """The name that counts chips or cores, such as 'v5litepod-256'; it stands for the slice of `usual` shape."""
    offer = OFFERS[where.kind]
    return f"{offer.prefix}-{offer.counted * where.chips}"


def usual(where: Slice) -> Slice:
    """The slice that one gets who asks for so many chips: the one most like a cube."""
    alike = [shape for shape in OFFERS[where.kind].shapes if math.prod(_sides(shape)) == where.chips]
    return Slice(where.kind, min(map(_sides, alike), key=sum))


def larger(where: Slice) -> str | None:
    """The name of the smallest slice of the same chips that has at least twice as many; None where there is none."""
    shapes = OFFERS[where.kind].shapes if where.kind in OFFERS else ()
    enough = [shape for shape in shapes if math.prod(_sides(shape)) >= 2 * where.chips]
    least = min(enough, key=lambda shape: (math.prod(_sides(shape)), sum(_sides(shape))), default=None)
    return least and f"{where.kind}:{least}"


def _sides(shape: str) -> tuple[int, ...]:
    return tuple(int(side) for side in re.findall(r"\d+", shape))


def _nearest(shape: str, shapes: tuple[str, ...]) -> list[str]:
    """Those with about as many chips first, of these the ones with the same sides."""
    sides = sorted(side or 1 for side in _sides(shape))

    def far(other: str) -> tuple[float, bool]:
        return abs(math.log(math.prod(_sides(other))) - math.log(math.prod(sides))), sorted(_sides(other)) != sides

    return sorted(shapes, key=far)[:NEAREST]
