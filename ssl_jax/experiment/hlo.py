"""A compiled program as XLA writes it, in optimised HLO: its computations, their operations, how often each is run."""

import collections
import dataclasses
import math
import re
from collections.abc import Iterator

_BYTES = {"pred": 1, "s4": 0.5, "u4": 0.5, "s16": 2, "u16": 2, "f16": 2, "bf16": 2, "c64": 8, "c128": 16}
_BYTES |= {f"{kind}{bits}": bits // 8 for kind in "suf" for bits in (32, 64)}  # all others are of one byte
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{\s*$")
_NAME = re.compile(r"^\s*(ROOT )?%?([\w.\-]+) = ")
_KIND = re.compile(r"\s*([\w\-]+)\(")
_OPERAND = re.compile(r"%([\w.\-]+)")
_ARRAY = re.compile(r"\b(pred|bf16|[sufc]\d+|f8\w+)\[([\d,]*)\](?:\{([^}]*)\})?")
_SPACE = re.compile(r"S\(([1-9]\d*)\)")
_CALLED = re.compile(r"\b(?:body|calls|to_apply|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_CONDITION = re.compile(r"\bcondition=%?([\w.\-]+)")
_TURNS = re.compile(r'"?known_trip_count"?:\s*\{"?n"?:"?(\d+)"?\}')


@dataclasses.dataclass(frozen=True)
class Array:
    """An array of a shape as HLO writes it.

    Attributes:
      size: bytes, without what tiles add.
      near: whether it lies in a memory of the chip's own that is not its main memory.
    """

    size: float
    near: bool


@dataclasses.dataclass(frozen=True)
class Operation:
    """One line of a computation: name = shape kind(operands), rest; a parameter has its number for operands."""

    name: str
    shape: str
    kind: str
    within: str
    rest: str
    root: bool

    @property
    def operands(self) -> list[str]:
        """The names of what it takes."""
        return _OPERAND.findall(self.within)

    @property
    def arrays(self) -> list[Array]:
        """Of its shape."""
        return arrays(self.shape)

    @property
    def results(self) -> list[Array]:
        """What it gives; one that is only begun: what it will have given, without what is as small as a counter."""
        if not self.kind.endswith("-start") or self.kind == "all-reduce-start":
            return self.arrays
        behind = self.arrays[len(self.operands) :]  # (operands, results, and counters)
        return [array for array in behind if array.size > 4]

    @property
    def called(self) -> list[str]:
        """The computations that it runs, but for the condition of a loop."""
        branches = _BRANCHES.search(self.rest)
        listed = [each.strip().lstrip("%") for each in branches[1].split(",")] if branches else []
        return _CALLED.findall(self.rest) + listed


@dataclasses.dataclass(frozen=True)
class Program:
    """Computations by name, and which of them is the first one."""

    computations: dict[str, list[Operation]]
    entry: str

    def _run_by(self, operation: Operation) -> list[str]:
        """What an operation runs; of the branches of a conditional the shortest, to count no more than what is sure."""
        if operation.kind != "conditional":
            return operation.called
        return sorted(operation.called, key=lambda name: len(self.computations.get(name, ())))[:1]

    def turns(self, operation: Operation) -> int:
        """How often an operation runs what it calls: a loop as often as it turns, 1 where that is not known.

        XLA for CPUs and GPUs writes it down; else it is read from a condition like that of `lax.scan`, i < CONSTANT.
        """
        if operation.kind != "while":
            return 1
        known, condition = _TURNS.search(operation.rest), _CONDITION.search(operation.rest)
        if known:
            return int(known[1])
        tests = {each.name: each for each in self.computations.get(condition[1] if condition else "", ())}
        root = next((each for each in tests.values() if each.root), None)
        if root is None or root.kind != "compare" or "direction=LT" not in root.rest:
            return 1
        limit = tests.get(root.operands[1])
        return int(limit.within) if limit and limit.kind == "constant" else 1

    def times(self) -> dict[str, int]:
        """How often each computation is run in one run of the program."""
        counts: collections.Counter[str] = collections.Counter()

        def add(name: str, times: int) -> None:
            counts[name] += times
            for operation in self.computations.get(name, ()):
                for called in self._run_by(operation):
                    add(called, times * self.turns(operation))

        if self.entry:
            add(self.entry, 1)
        return dict(counts)


def read(text: str) -> Program:
    """Reads `compiled.as_text()`."""
    computations, entry, name = {}, "", ""
    for line in text.splitlines():
        header = _COMPUTATION.match(line)
        if header:
            name = header[2]
            computations[name] = []
            entry = name if header[1] else entry
        elif name and (operation := _operation(line)):
            computations[name].append(operation)
    return Program(computations, entry)


def arrays(shape: str) -> list[Array]:
    """The arrays of a shape, several of a tuple."""
    return list(_arrays(shape))


def _arrays(shape: str) -> Iterator[Array]:
    for kind, sides, layout in _ARRAY.findall(shape):
        count = math.prod(map(int, filter(None, sides.split(","))))
        yield Array(_BYTES.get(kind, 1) * count, bool(_SPACE.search(layout)))


def _operation(line: str) -> Operation | None:
    named = _NAME.match(line)
    if not named:
        return None
    rest = line[named.end() :]
    end = _closing(rest) if rest.startswith("(") else rest.find(" ")
    shape, rest = rest[:end], rest[end:]
    kind = _KIND.match(rest)
    if not kind:
        return None
    rest = rest[kind.end() - 1 :]
    end = _closing(rest)
    return Operation(named[2], shape, kind[1], rest[1 : end - 1], rest[end:], bool(named[1]))


def _closing(text: str) -> int:
    """Where the bracket that `text` begins with has been closed."""
    depth = 0
    for index, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if not depth:
            return index + 1
    return len(text)
