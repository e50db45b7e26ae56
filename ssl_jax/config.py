"""Reading configs, overriding their leaves, checking them against the constructors that they name.

A config is an `ml_collections.ConfigDict` returned by `get_config()` of a file in configs/. Names in it are the
keyword-only arguments of the constructor that the part names, so the signatures are the schema.
"""

import ast
import importlib.util
import inspect
import json
import math
import pathlib
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal

import ml_collections
from ml_collections import config_dict

from ssl_jax.errors import UserError, unknown

LEAVES = ("seed", "steps", "batch_size")
OPTIONAL_LEAVES = {"log_every": 50, "on_collapse": "warn", "hang_seconds": 1800, "init_from": None}  # name -> default
UNCOMPUTABLE = (ArithmeticError, TypeError, ValueError)  # of a FieldReference with operations
LARGEST = 3.4028234e38  # of float32
ABSENT = object()  # in place of a value, where a config has no such leaf
OPTIONAL_PARTS = ("sharding",)
PARTS = ("data", "views", "method", "model", "optimizer", "schedule", "checkpoint", "evaluate", "expected")


def load(spec: str) -> ml_collections.ConfigDict:
    """Returns `get_config()` of a file; 'file.py:variant' calls `get_config('variant')`.

    Raises:
      UserError: no path, no such file, no Python file, a syntax error, no `get_config`, a variant that the config does
        not have.
    """
    path, variant = _path_and_variant(spec)
    module = _import(path)
    if not callable(getattr(module, "get_config", None)):
        raise UserError(f"{path} has no function get_config(); it must return an ml_collections.ConfigDict.")
    if variant and not inspect.signature(module.get_config).parameters:
        raise UserError(f"--config: {path} has no variants; write --config={path} without ':{variant}'.")
    try:
        config = module.get_config(variant) if variant else module.get_config()
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"get_config() of {spec} failed: {type(error).__name__}: {_line(error)}") from error
    if not isinstance(config, ml_collections.ConfigDict):
        raise UserError(f"get_config() of {path} returned {type(config).__name__}, not an ml_collections.ConfigDict.")
    return config


def sweep(spec: str) -> list[Mapping[str, Any]]:
    """What `sweep()` of a config file yields: for each run, leaf -> value.

    Raises:
      UserError: as for `load`; the file has no `sweep`, or it fails.
    """
    path, function = _function(spec, "sweep", "sweep(); write one that yields a dict of leaf -> value for each run")
    try:
        return list(function())
    except Exception as error:
        raise UserError(f"sweep() of {path} failed: {type(error).__name__}: {_line(error)}") from error


def search(spec: str) -> Callable[[Any], Any]:
    """`search(trial)` of a config file, which takes an `optuna.Trial` and returns leaf -> value.

    Whatever goes wrong in it comes as a UserError.

    Raises:
      UserError: as for `load`; the file has no `search`.
    """
    path, function = _function(spec, "search", "search(trial); write one that returns a dict of leaf -> value")

    def guarded(trial: Any) -> Any:
        try:
            return function(trial)
        except Exception as error:
            raise UserError(f"search() of {path} failed: {type(error).__name__}: {_line(error)}") from error

    return guarded


def _function(spec: str, name: str, wanted: str) -> tuple[pathlib.Path, Callable]:
    """The path of a config file, and a function of it beside `get_config`."""
    path, _ = _path_and_variant(spec)
    found = getattr(_import(path), name, None)
    if not callable(found):
        raise UserError(f"{path} has no function {wanted}.")
    return path, found


def _path_and_variant(spec: str) -> tuple[pathlib.Path, str]:
    name, _, variant = spec.partition(":")
    if not name:
        raise UserError("--config is empty; write the path of a config file, which ends in .py.")
    path = pathlib.Path(name)
    if not path.is_file():
        raise _no_file(path)
    if path.suffix != ".py":
        raise UserError(f"--config: {path} is no Python file; write the path of a config file, which ends in .py.")
    return path, variant


def _no_file(path: pathlib.Path) -> UserError:
    """What is said of a path that is no file: those that are there, and the one of nearest name."""
    near = next((folder for folder in (path, path.parent) if folder.is_dir()), pathlib.Path("configs"))
    files = sorted(str(near / file.name) for file in near.glob("*.py"))
    if near == path:
        return UserError(f"--config: {path} is a folder; write one of its files: {', '.join(files) or 'none'}.")
    return unknown("--config", str(path), files, likened=lambda file: pathlib.Path(file).name)


def _import(path: pathlib.Path) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise UserError(f"{path}, line {error.lineno}: {error.msg}. Mend the config file.") from error
    except Exception as error:
        raise UserError(f"{path} cannot be read: {type(error).__name__}: {_line(error)}") from error
    return module


def override(config: ml_collections.ConfigDict, path: str, text: str) -> None:
    """Sets the leaf 'a.b' of `config` to `text`, read as a Python literal where it is one and as a string where not.

    The leaf may be one that the config file leaves at its default; the checks of the whole config find a wrong name.
    Leaves that the file computes from it with FieldReferences follow, those set by themselves do not.

    Raises:
      UserError: the part does not exist, the path names a part and not a leaf, nothing can hold the value, or a leaf at
        the top, which others may follow, cannot be that.
    """
    *parents, leaf = path.split(".")
    node, where = config, "config"
    for name in parents:
        node = _child(node, name, where)
        where += f".{name}"
        if not isinstance(node, ml_collections.ConfigDict):
            raise UserError(f"{where} is a single value and has nothing called {leaf!r} below it.")
    if isinstance(_peek(node, leaf), ml_collections.ConfigDict):
        leaves = ", ".join(sorted(node[leaf])) or "NAME"
        raise UserError(f"{where}.{leaf} is a part, not a leaf; set one of its leaves: {leaves}.")
    try:
        with node.unlocked(), node.ignore_type():
            node[leaf] = literal(text)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{where}.{leaf} cannot be {_shown(text)}: {_line(error).rstrip('.')}.") from error
    if node is config and leaf in (*LEAVES, *OPTIONAL_LEAVES):
        _check_top(leaf, node[leaf])


def overridden(spec: str, overrides: Mapping[str, Any]) -> ml_collections.ConfigDict:
    """The config of a file with leaves set to values of Python.

    Raises:
      UserError: as for `load` and `override`.
    """
    config = load(spec)
    for leaf, value in overrides.items():
        override(config, leaf, repr(value))
    return config


def _child(node: ml_collections.ConfigDict, name: str, where: str) -> Any:
    if where == "config" and name in OPTIONAL_PARTS and name not in node:
        with node.unlocked():
            node[name] = {}
    if name not in node:
        raise unknown(where, name, node.keys())
    return _peek(node, name)


def _peek(node: ml_collections.ConfigDict, name: str) -> Any:
    """What `name` holds, None where that is nothing, a required placeholder without a value, or cannot be computed."""
    try:
        return node.get(name)
    except (config_dict.RequiredValueError, *UNCOMPUTABLE):
        return None


def literal(text: str) -> Any:
    """The Python literal that a text is, or the text itself where it is none."""
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # the last two: nested too deep to parse
        return text


def plain(node: Any, path: str = "config") -> Any:
    """The same config as dicts, tuples and scalars, in alphabetical order; FieldReferences are resolved.

    Raises:
      UserError: a required placeholder has no value yet, a FieldReference cannot be computed, or a name is no string.
    """
    if isinstance(node, (ml_collections.ConfigDict, Mapping)):
        return {key: plain(_value(node, key, path), f"{path}.{key}") for key in _names(node, path)}
    return tuple(plain(item, path) for item in node) if isinstance(node, (list, tuple)) else node


def _names(node: Mapping[str, Any], path: str) -> list[str]:
    """The keys in alphabetical order."""
    try:
        names = sorted(node.keys())
    except TypeError:  # they are of several types
        names = [None]
    if not all(isinstance(name, str) for name in names):
        raise UserError(f"{path} has a name that is no string; write all names in it as strings.")
    return names


def _value(node: Mapping[str, Any], key: str, path: str) -> Any:
    try:
        return node[key]
    except config_dict.RequiredValueError as error:
        raise UserError(f"{path}.{key} has no value yet; write --{path}.{key}=VALUE.") from error
    except UNCOMPUTABLE as error:
        raise UserError(f"{path}.{key} cannot be computed from the leaf that it follows: {_line(error)}.") from error


def flat(node: Mapping[str, Any], path: str = "config") -> dict[str, Any]:
    """A plain config as one dict from full path ('config.model.depth') to value."""
    leaves = {}
    for key, value in node.items():
        leaves |= flat(value, f"{path}.{key}") if isinstance(value, Mapping) else {f"{path}.{key}": value}
    return leaves


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The leaves that differ, in alphabetical order: full path -> values in both, `ABSENT` where there is none.

    Both count as config.json would hold them, so that lists are tuples. True, 1 and 1.0 are three values.

    Args:
      one: plain, or read from config.json.
      other: likewise.
    """
    one, other = (flat(plain(json.loads(json.dumps(node)))) for node in (one, other))
    pairs = {name: (one.get(name, ABSENT), other.get(name, ABSENT)) for name in sorted(one.keys() | other.keys())}
    return {name: (a, b) for name, (a, b) in pairs.items() if a is ABSENT or b is ABSENT or repr(a) != repr(b)}


def shown(value: Any) -> str:
    """A value of a leaf that may be `ABSENT`, which is a dash."""
    return "—" if value is ABSENT else repr(value)


def check_frame(config: Mapping[str, Any]) -> None:
    """Checks the top of a plain config: the leaves and parts that every config has, and that config.json can hold it.

    Raises:
      UserError: something is missing, unknown, or of the wrong type or range.
    """
    for name in (*LEAVES, *PARTS):
        if name not in config:
            raise UserError(f"config.{name} is missing; every config has {', '.join((*LEAVES, *PARTS))}.")
    for name, value in config.items():
        if name in (*PARTS, *OPTIONAL_PARTS):
            if not isinstance(value, Mapping):
                raise UserError(f"config.{name} is {_shown(value)}; it must be a part with leaves below it.")
        elif name in (*LEAVES, *OPTIONAL_LEAVES):
            _check_top(name, value)
        else:
            raise unknown("config", name, (*LEAVES, *OPTIONAL_LEAVES, *PARTS, *OPTIONAL_PARTS))
    for path, value in flat(config).items():
        if not _is_leaf(value):
            kinds = "finite numbers, strings, True, False, None and tuples of these"
            raise UserError(f"{path} is {_shown(value)} ({type(value).__name__}); the leaves of a config are {kinds}.")
    _check_expected(config["expected"])


def _check_top(name: str, value: Any) -> None:
    if name == "on_collapse":
        _check_type(value, Literal["warn", "stop"], "config.on_collapse")
    elif name == "init_from":
        _check_type(value, str | None, "config.init_from")
    else:
        _check_count(value, f"config.{name}", at_least=0 if name in ("seed", "hang_seconds") else 1)


def _check_expected(expected: Mapping[str, Any]) -> None:
    """What is compared with the results must be numbers, or a run would fail at its very end."""
    if not isinstance(expected.get("results", {}), Mapping):
        shown = _shown(expected["results"])
        raise UserError(f"config.expected.results is {shown}; it must be a part with a number for each measure.")
    for name, measures in expected.items():
        for measure, number in measures.items() if isinstance(measures, Mapping) else ():
            _check_type(number, float, f"config.expected.{name}.{measure}")


def _check_count(value: Any, path: str, *, at_least: int) -> None:
    _check_type(value, int, path)
    if not at_least <= value < 2**31:
        raise UserError(f"{path} is {_shown(value)}; it must be at least {at_least} and below 2**31.")


def choose(choices: Mapping[str, Callable], node: Mapping[str, Any], path: str, *, by: str = "name") -> Callable:
    """Returns the constructor that `node[by]` names.

    Raises:
      UserError: `by` is missing, or names nothing in `choices`.
    """
    if by not in node:
        raise UserError(f"{path}.{by} is missing. Valid: {', '.join(sorted(choices))}.")
    if not isinstance(node[by], str) or node[by] not in choices:
        raise unknown(f"{path}.{by}", node[by], choices)
    return choices[node[by]]


def check(
    function: Callable,
    settings: Mapping[str, Any],
    path: str,
    *,
    given: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
) -> None:
    """Checks that `settings` fits the keyword-only parameters of `function`, by name and annotated type.

    Args:
      function: a constructor or function whose keyword-only parameters are settings.
      settings: what the config says.
      path: the config path of `settings`, for messages.
      given: parameters that the caller supplies itself (rngs, data_dir, ...), not valid in a config.
      also: settings of the same part that are not for `function`, named among the valid ones in messages.

    Raises:
      UserError: an unknown, missing or wrongly typed setting.
    """
    function = _callable(function)
    parameters, function = without(_parameters(function), *given), getattr(function, "func", function)
    hints = typing.get_type_hints(function.__init__ if inspect.isclass(function) else function)
    for name, value in settings.items():
        if name not in parameters:
            raise unknown(f"{path} ({function.__qualname__.removesuffix('.__init__')})", name, (*parameters, *also))
        if name in hints:
            _check_type(value, hints[name], f"{path}.{name}")
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in settings:
            raise UserError(f"{path}.{name} is missing ({_describe(hints.get(name, 'a value'))}).")


def construct(function: Callable, settings: Mapping[str, Any], path: str, *args: Any, **given: Any) -> Any:
    """Checks `settings` and returns `function(*args, **settings, **given)`.

    Raises:
      UserError: a bad setting, or a ValueError of the constructor, with the config path in front.
    """
    check(function, settings, path, given=tuple(given))
    try:
        return function(*args, **settings, **given)
    except ValueError as error:
        line = _line(error)
        named = line.partition(" ")[0].rstrip(":") in _parameters(_callable(function))
        raise UserError(f"{path}{'.' if named else ': '}{line.rstrip('.')}.") from error


def _callable(function: Callable) -> Callable:
    return function.__init__ if inspect.isclass(function) else function


def settings_of(function: Callable) -> tuple[str, ...]:
    """The names of its keyword-only parameters."""
    return tuple(_parameters(_callable(function)))


def defaults_of(function: Callable) -> dict[str, Any]:
    """The keyword-only parameters that have a default, and it."""
    parameters = _parameters(_callable(function))
    return {
        name: parameter.default for name, parameter in parameters.items() if parameter.default is not parameter.empty
    }


def _parameters(function: Callable) -> dict[str, inspect.Parameter]:
    """The keyword-only parameters."""
    parameters = inspect.signature(function).parameters
    return {name: parameter for name, parameter in parameters.items() if parameter.kind is parameter.KEYWORD_ONLY}


def without(node: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """`node` without the given keys."""
    return {key: value for key, value in node.items() if key not in names}


def _check_type(value: Any, kind: Any, path: str) -> None:
    if not _fits(value, kind):
        hint = f"; write {(value,)!r}" if _fits((value,), kind) else ""
        raise UserError(f"{path} is {_shown(value)} ({type(value).__name__}); it must be {_describe(kind)}{hint}.")


def _is_leaf(value: Any) -> bool:
    """Whether config.json can hold it."""
    if isinstance(value, (tuple, list)):
        return all(map(_is_leaf, value))
    return value is None or isinstance(value, str) or _is_finite(value)


def _is_finite(value: Any) -> bool:
    """Whether it is a number, True and False among them, that a float can hold."""
    try:
        return isinstance(value, (int, float)) and math.isfinite(value)
    except OverflowError:
        return False


def _is_float32(value: Any) -> bool:
    """Whether float32 can hold it, in which runs compute."""
    return _is_finite(value) and abs(value) <= LARGEST


def _fits(value: Any, kind: Any) -> bool:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in arguments)
    if origin is typing.Literal:
        return any(value == option and type(value) is type(option) for option in arguments)
    if origin is tuple or kind is tuple:
        return isinstance(value, (tuple, list)) and _items_fit(value, arguments)
    if kind is float:
        return _is_float32(value) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is type(None):
        return value is None
    return isinstance(value, kind) if isinstance(kind, type) else True


def _items_fit(value: tuple, arguments: tuple) -> bool:
    if not arguments:
        return True
    if arguments[-1] is Ellipsis:
        return all(_fits(item, arguments[0]) for item in value)
    return len(value) == len(arguments) and all(map(_fits, value, arguments))


def _describe(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return "one of " + ", ".join(repr(option) for option in typing.get_args(kind))
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return " or ".join(_describe(option) for option in typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        first, *others = typing.get_args(kind)
        return f"a tuple of {'' if others == [...] else f'{1 + len(others)} '}{_PLURALS.get(first, first)}"
    return _KINDS.get(kind) or getattr(kind, "__name__", str(kind))


_KINDS = {
    int: "an int",
    float: "a finite number below 3.4e38",
    str: "a string",
    bool: "True or False",
    type(None): "None",
}
_PLURALS = {int: "ints", float: "numbers", str: "strings"}


def _shown(value: Any) -> str:
    """A value as it is written, on one line and cut off where it is long."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python prints no number of more than 4300 digits
        return "a number of thousands of digits"
    return text if len(text) <= 120 else text[:119] + "…"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
