"""What a compiled program moves between a device and its main memory, read from its optimised HLO.

XLA's own `cost_analysis` counts the body of a loop once; here loops, of which a stack of layers is one, count as often
as they turn.
"""

import math

from ssl_jax.experiment.hlo import Operation, Program, arrays

_CALLS = {"while", "conditional", "call", "call-start", "async-start"}  # what they run moves, not they themselves
_STILL = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all"}
_STILL |= {"partition-id", "replica-id", "opt-barrier", "iota", *_CALLS}
_COPIES = {"copy-start", "slice-start", "dynamic-slice-start"}
_CUTS = {"dynamic-slice", "slice", "gather"}
_RENAMES = {"bitcast", "reshape", "convert", "copy", "transpose"}


def bytes_moved(program: Program) -> float:
    """Bytes read and written by all operations, each operand once an operation, the caches of a CPU or GPU left out.

    Of an operand of which an operation takes a slice, and of a result in which it replaces one, the slice counts.

    Args:
      program: as `hlo.read` gives it.
    """
    operations = (one for each in program.computations.values() for one in each)
    inner = {called for one in operations if _is_fused(one) for called in one.called}
    total = 0.0
    for name, times in program.times().items():
        if name not in inner:
            shapes = {each.name: each.shape for each in program.computations.get(name, ())}
            moved = (_moved(each, shapes, program) for each in program.computations.get(name, ()))
            total += times * sum(moved)
    return total


def _is_fused(operation: Operation) -> bool:
    """Whether what it calls works within it, on what it has read."""
    return operation.kind not in _CALLS


def _moved(operation: Operation, shapes: dict[str, str], program: Program) -> float:
    kind = operation.kind
    if kind in _STILL or kind.endswith(("-done", "-update")):
        return 0.0
    if "AllocateBuffer" in operation.rest:
        return 0.0
    if kind in _COPIES:
        one, other = operation.arrays[0], operation.arrays[len(operation.operands)]  # one of them the operand
        return min(one.size, other.size) * ((not one.near) + (not other.near))
    written = sum(array.size for array in operation.results if not array.near)
    read = [_far(shapes.get(name, "")) for name in operation.operands]
    kind = kind.removesuffix("-start")
    if kind in _CUTS:
        return 2 * written
    if kind == "dynamic-update-slice":
        return 2 * read[1]
    if kind == "fusion":
        inside = operation.called[0]
        read = [min(size, _read_inside(index, inside, program)) for index, size in enumerate(read)]
        written = min(written, _written_inside(program.computations.get(inside, [])))
    return written + sum(read)


def _far(shape: str) -> float:
    return sum(array.size for array in arrays(shape) if not array.near)


def _read_inside(index: int, name: str, program: Program) -> float:
    """Bytes that a fused computation reads of a parameter: slices alone, where it takes only slices of it."""
    inside = program.computations.get(name, [])
    parameter = next((each for each in inside if each.kind == "parameter" and _number(each) == index), None)
    if parameter is None:
        return math.inf
    names, read = {parameter.name}, 0.0
    for each in inside:
        uses = [place for place, name in enumerate(each.operands) if name in names]
        if not uses:
            continue
        if each.kind in _RENAMES:
            names.add(each.name)
        elif each.kind in _CUTS and uses == [0]:
            read += _size(each.shape)
        elif each.kind == "fusion":
            read += sum(_read_inside(place, each.called[0], program) for place in uses)
        elif each.kind == "dynamic-update-slice" and uses == [0]:
            continue  # written to in its place
        else:
            return math.inf
    return read


def _written_inside(inside: list[Operation]) -> float:
    """Bytes that a fusion writes: what it replaces, where its result is an operand with some of it replaced."""
    by_name = {each.name: each for each in inside}
    roots = [each for each in inside if each.root]
    if roots and roots[0].kind == "tuple":
        roots = [by_name[name] for name in roots[0].operands]
    total = 0.0
    for root in roots:
        while root.kind in _RENAMES and root.operands[0] in by_name:
            root = by_name[root.operands[0]]
        updated = root.kind == "dynamic-update-slice"
        total += _size(by_name[root.operands[1]].shape if updated else root.shape)
    return total if roots else math.inf


def _number(parameter: Operation) -> int:
    return int(parameter.within)


def _size(shape: str) -> float:
    return sum(array.size for array in arrays(shape))
