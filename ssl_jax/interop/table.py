"""Carries weights over by a table of names, in both directions, and says exactly what does not fit."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ssl_jax.errors import UserError
from ssl_jax.interop.layouts import SAME, Layout
from ssl_jax.models.targets import TargetWeight

Weights = Mapping[str, np.ndarray]
LOADED = nnx.Any(nnx.Param, TargetWeight, nnx.BatchStat)  # of a module's variables, those that files hold


class Row(NamedTuple):
    """One line of a table.

    Attributes:
      ours: dotted path in our module, '{i}' where a block's number stands (a second number is '{j}').
      theirs: their name, with the same placeholders; several names mean that ours is theirs side by side, along the
        last axis in our layout.
      layout: how an array of theirs becomes ours.
    """

    ours: str
    theirs: str | tuple[str, ...]
    layout: Layout = SAME


class Parts(nnx.Module):
    """The modules and single parameters that one checkpoint holds, so that it is loaded as a whole or not at all."""

    def __init__(self, **parts: nnx.Module | nnx.Param | None):
        for name, part in parts.items():
            if part is not None:
                setattr(self, name, part)


class Match(NamedTuple):
    """A `Row` with its numbers filled in."""

    theirs: tuple[str, ...]
    layout: Layout

    def to_ours(self, weights: Weights) -> np.ndarray:
        """Our array, from theirs."""
        parts = [self.layout.to_ours(np.asarray(weights[name])) for name in self.theirs]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)

    def to_theirs(self, array: np.ndarray) -> dict[str, np.ndarray]:
        """Their arrays, from ours."""
        parts = [array] if len(self.theirs) == 1 else np.split(array, len(self.theirs), axis=-1)
        return {name: self.layout.to_theirs(part) for name, part in zip(self.theirs, parts)}


def load(module: nnx.Module, weights: Weights, rows: Sequence[Row], *, ignored: str = "(?!)") -> None:
    """Sets every parameter (or target's weight) and batch statistic of `module`, in place.

    Args:
      module: holds its blocks unrolled or stacked (`scan`). It may be abstract, from `nnx.eval_shape`.
      weights: their arrays.
      rows: the table; lines whose `ours` the module does not have are passed over.
      ignored: regular expression of names that may be left unused in `weights` (classifiers, counters).

    Raises:
      UserError: something is missing, left over or of another shape; nothing has been set then.
    """
    shapes = _by_block(module, _placeholder)
    matches = {path: _match(path, rows) for path in shapes}
    used = {name for match in matches.values() for name in match.theirs}
    missing = sorted(used - set(weights))
    unexpected = sorted(name for name in set(weights) - used if not re.search(ignored, name))
    found, misshapen = _convert(matches, weights, shapes)
    _complain(missing=missing, unexpected=unexpected, misshapen=misshapen)
    _assign(module, found)


def save(module: nnx.Module, rows: Sequence[Row]) -> dict[str, np.ndarray]:
    """What `load` sets of `module`, under their names and in their layout: its inverse."""
    weights = {}
    for path, array in _by_block(module, lambda variable: np.asarray(variable[...])).items():
        weights |= _match(path, rows).to_theirs(array)
    return weights


def unused(heads: Mapping[str, nnx.Module | None]) -> str:
    """A regular expression of the names that begin with a key of `heads` (itself one) where we have no such head."""
    return "|".join(["(?!)", *(rf"^{name}\." for name, head in heads.items() if head is None)])


def nested(rows: Iterable[Row], ours: str, theirs: str) -> tuple[Row, ...]:
    """The table of a module that sits at `ours` in a larger one, and whose names begin with `theirs` in the file."""
    put = lambda names: f"{theirs}.{names}" if isinstance(names, str) else tuple(map(put, names))
    return tuple(Row(f"{ours}.{row.ours}", put(row.theirs), row.layout) for row in rows)


def rename(weights: Weights, patterns: Iterable[tuple[str, str]]) -> dict[str, np.ndarray]:
    """Applies regular expressions (pattern, replacement) to all names, one after the other."""
    return {_rename(name, patterns): array for name, array in weights.items()}


def _rename(name, patterns):
    for pattern, replacement in patterns:
        name = re.sub(pattern, replacement, name)
    return name


def _convert(matches: Mapping[str, Match], weights: Weights, shapes: Weights):
    """Converted arrays by our path, and a description of each that has the wrong shape."""
    found, misshapen = {}, []
    for path, match in matches.items():
        if not set(match.theirs) <= set(weights):
            continue
        needed = match.to_theirs(shapes[path])
        wrong = [name for name in match.theirs if weights[name].shape != needed[name].shape]
        misshapen += [f"{name} {weights[name].shape} instead of {needed[name].shape}" for name in wrong]
        if not wrong:
            found[path] = match.to_ours(weights)
    return found, misshapen


def _complain(**faults: list[str]) -> None:
    told = [f"{kind}: {_some(names)}" for kind, names in faults.items() if names]
    if told:
        raise UserError(f"These weights do not fit this model. {'; '.join(told)}. Build the model with their settings.")


def _some(names: list[str], most: int = 8) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _match(path: str, rows: Sequence[Row]) -> Match:
    """The line that speaks of `path`."""
    for row in rows:
        numbers = re.fullmatch(_pattern(row.ours), path)
        if numbers:
            theirs = (row.theirs,) if isinstance(row.theirs, str) else row.theirs
            return Match(tuple(_fill(name, numbers.groupdict()) for name in theirs), row.layout)
    raise UserError(f"{path} has no counterpart in these weights' format. Build the model without it.")


def _pattern(ours: str) -> str:
    return re.sub(r"\\{(\w)\\}", r"(?P<\1>\\d+)", re.escape(ours))


def _fill(name: str, numbers: Mapping[str, str]) -> str:
    """Puts numbers in; '{i+1}' counts from one."""
    return re.sub(r"\{(\w)(\+1)?\}", lambda m: str(int(numbers[m[1]]) + bool(m[2])), name)


def _state(module: nnx.Module) -> list[tuple[tuple, nnx.Variable]]:
    return list(nnx.to_flat_state(nnx.state(module, LOADED)))


def _placeholder(variable: nnx.Variable) -> np.ndarray:
    """An array of the variable's shape that takes no memory."""
    return np.broadcast_to(np.zeros((), np.float32), variable.get_value().shape)


def _by_block(module: nnx.Module, value: Callable[[nnx.Variable], np.ndarray]) -> dict[str, np.ndarray]:
    """Each variable's `value` by its dotted path; stacked blocks appear one by one, as if unrolled."""
    arrays = {}
    for path, variable in _state(module):
        array, place = value(variable), _stacked(path)
        if place is None:
            arrays[_dotted(path)] = array
        else:
            arrays |= zip(_slices(path, place, len(array)), array)
    return arrays


def _stacked(path: tuple) -> int | None:
    """Where the block's number is missing from the path of a stacked array; None if it is not stacked."""
    if "blocks" not in path:
        return None
    place = path.index("blocks") + 1
    return None if isinstance(path[place], int) else place


def _slices(path: tuple, place: int, count: int) -> list[str]:
    """The paths that the `count` parts of a stacked array would have unrolled."""
    return [_dotted((*path[:place], index, *path[place:])) for index in range(count)]


def _dotted(path: tuple) -> str:
    return ".".join(map(str, path))


def _assign(module: nnx.Module, arrays: Weights) -> None:
    filled = [
        (path, variable.replace(_gather(path, variable.get_value(), arrays))) for path, variable in _state(module)
    ]
    nnx.update(module, nnx.from_flat_state(filled))


def _gather(path: tuple, old: jax.Array | jax.ShapeDtypeStruct, arrays: Weights) -> jax.Array:
    place = _stacked(path)
    if place is None:
        return jnp.asarray(arrays[_dotted(path)], old.dtype)
    return jnp.asarray(np.stack([arrays[name] for name in _slices(path, place, old.shape[0])]), old.dtype)
