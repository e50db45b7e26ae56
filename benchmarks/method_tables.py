"""Which configs the tables of docs/methods.md run, and what has been found of them (docs/methods.json)."""

import functools
import hashlib
import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ssl_jax import config as configs  # noqa: E402
from ssl_jax.report.machine import environment  # noqa: E402

RESULTS = ROOT / "docs" / "methods.json"
MEASURES = ("knn_full", "linear")
SIDE_PARTS = ("seed", "expected", "log_every", "checkpoint")  # of a config, which change no result
KINDS = ("small", "masked", "paired")  # what configs that hold many methods begin with
APART = ("asterisk", "kjv", "moving_digits")  # sets of which every method has a config of its own, METHOD_NAME.py


def tables() -> list[str]:
    """The names of the tables: of configs that hold many methods, and of data sets with a config a method."""
    of = lambda kind: sorted(path.stem for path in (ROOT / "configs").glob(f"{kind}_*.py"))
    return [*(table for kind in KINDS for table in of(kind)), *filter(methods_of, APART)]


@functools.cache
def methods_of(table: str) -> tuple[str, ...]:
    """The methods that a table compares."""
    if table in APART:
        return tuple(sorted(path.stem.removesuffix(f"_{table}") for path in (ROOT / "configs").glob(f"*_{table}.py")))
    return tuple(_many(table)["METHODS"])


@functools.cache
def answers_of(table: str) -> tuple[str, ...]:
    """What the networks of a table are trained further for, on the labels."""
    return () if table in APART else tuple(_many(table).get("ANSWERS", ()))


def gains_of(table: str, method: str) -> dict[str, float]:
    """What a method promises to gain on the untrained network, also where it is trained further."""
    if answers_of(table):
        return _many(table)["EXPECTED"].get(method, {}).get("margins", {})
    return config_of(spec_of(table, method))["expected"]["margins"]


def _many(table: str) -> dict[str, Any]:
    """The names in a config that holds many methods."""
    return runpy.run_path(str(ROOT / "configs" / f"{table}.py"))


def first_table_of(method: str) -> str:
    """The first table that compares a method with others."""
    return next(table for table in tables() if method in methods_of(table))


def spec_of(table: str, method: str) -> str:
    """What `--config` says."""
    folder = ROOT / "configs"
    return str(folder / f"{method}_{table}.py") if table in APART else f"{folder / table}.py:{method}"


def measures_of(table: str, method: str) -> tuple[str, ...]:
    """What is measured of a method's runs: features, and what its config promises beside them."""
    promised = config_of(spec_of(table, method))["expected"]["margins"]
    return (*MEASURES, *(name for name in promised if name not in MEASURES))


@functools.cache
def config_of(spec: str) -> dict[str, Any]:
    """The resolved config."""
    return configs.plain(configs.load(spec))


def digest(key: str) -> str:
    """Of all in its config that may change the result of a job, table/method/job; not of the code."""
    table, method, job = key.split("/")
    spec = spec_of(table, method)
    further = [config_of(f"{spec}-{answer}") for answer in answers_of(table) if job.startswith("seed")]
    earlier = earlier_of(spec)
    return digest_of(config_of(spec), *further, *([config_of(earlier)] if earlier else []))


def earlier_of(spec: str) -> str | None:
    """What `--config` says of the run, in `runs/NAME_OF_CONFIG`, that a method learns from; None: it does of none."""
    folder = config_of(spec)["method"].get("tokenizer")
    return str(ROOT / "configs" / f"{Path(folder).name}.py") if folder else None


def digest_of(config: dict[str, Any], *further: dict[str, Any]) -> str:
    """Of the leaves of a plain config, and of those of what comes after it, that may change a result."""
    first, *others = (configs.without(one, *SIDE_PARTS) for one in (config, *further))
    leaves = [first, *others] if others else first
    return hashlib.sha256(json.dumps(leaves, sort_keys=True).encode()).hexdigest()[:16]


def hardware() -> str:
    """What a job ran on, in words."""
    here = environment()
    devices = "" if jax.default_backend() == "cpu" else f"{here['devices']}, "
    return f"{devices}{here['host']}, Python {here['python']}, jax {here['jax']}"


def read() -> dict[str, dict]:
    """Everything found so far, by job; what was found with another config than today's is left out, and said so."""
    found = json_of(RESULTS)
    known = {f"{table}/{method}" for table in tables() for method in methods_of(table)}
    return fresh(found, lambda key: digest(key) if key.rpartition("/")[0] in known else None)


def json_of(path: Path) -> dict[str, dict]:
    """What a file of results holds; nothing where there is none."""
    return json.loads(path.read_text()) if path.exists() else {}


def fresh(found: dict[str, dict], digest: Callable[[str], str | None]) -> dict[str, dict]:
    """What was found with today's configs; what else there is, is named."""
    stale = [key for key, entry in found.items() if "config" not in entry or entry["config"] != digest(key)]
    if stale:
        print(f"Left out, as their configs have changed: {', '.join(sorted(stale))}")
    return {key: entry for key, entry in found.items() if key not in stale}


def runs_of(found: dict[str, dict], table: str, method: str) -> list[dict]:
    """What was found of the runs of a method, by seed."""
    return [found[key] for key in sorted(found) if key.startswith(f"{table}/{method}/seed")]


def over_seeds(runs: list[dict], key: str) -> np.ndarray:
    """One result of each run."""
    return np.array([run["results"][key] for run in runs])
