"""The engines that a sweep can be run on."""

import importlib
from collections.abc import Mapping
from typing import Any, Protocol

from ssl_jax import config as configs
from ssl_jax.errors import unknown
from ssl_jax.train.runs import Sweep
from ssl_jax.train.signals import StopSignal

# Module of this package -> its class; imported when asked for.
ENGINES = {"local": "Local", "slurm": "Slurm", "skypilot": "Skypilot", "xpk": "Xpk"}


class Engine(Protocol):
    """Starts the runs of a sweep. Its keyword-only settings are what `--on.NAME=VALUE` gives."""

    def preview(self, sweep: Sweep) -> str:
        """What would be handed to the engine, as text; empty where there is nothing to show."""

    def run(self, sweep: Sweep, stop: StopSignal) -> int:
        """Starts what is open; returns the exit status of the command."""


def engine(name: str, settings: Mapping[str, Any]) -> Engine:
    """The engine that `--on=NAME` asks for.

    Raises:
      UserError: there is none of that name, or a setting is wrong, or what it needs is not installed.
    """
    if name not in ENGINES:
        raise unknown("--on", name, ENGINES)
    made = getattr(importlib.import_module(f"ssl_jax.launchers.{name}"), ENGINES[name])
    return configs.construct(made, settings, "--on")
