"""A contender in a process of its own, so that threads and logging of one do not reach another."""

import importlib
import importlib.util
import multiprocessing
import time
import traceback
import warnings
from typing import Any

import numpy as np

from benchmarks.contenders.setup import Setup

CLASSES = {
    "ours": ("ours", "Ours", "jax"),
    "lightly": ("with_lightly", "Lightly", "lightly", "lightning_utilities", "timm", "torchvision"),
    "stable-pretraining": ("with_stable_pretraining", "StablePretraining", "stable_pretraining", "loguru", "omegaconf"),
}
"""Contender -> the module and class here, and the packages that it needs."""


def installed(name: str) -> bool:
    """Whether the packages that a contender needs are there."""
    return all(importlib.util.find_spec(package) for package in CLASSES[name][2:])


class Contender:
    """A context in which a contender waits for commands.

    Args:
      name: of `CLASSES`.
      setup: what it does.
      workers: processes that make its views; None: they are made on the device, with the step.
    """

    def __init__(self, name: str, setup: Setup, workers: int | None):
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, name, setup, workers))

    def __enter__(self) -> "Contender":
        self._process.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the process, if that has not been done."""
        if self._process.is_alive():
            self._pipe.send(None)
            self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
        self._process.join()

    def run(self, steps: int) -> float:
        """Trains for so many steps more and returns the last loss."""
        return self._ask("run", steps)

    def time(self, warm: int, steps: int) -> float:
        """Seconds a step, over `steps` steps that follow on `warm` ones that are not timed."""
        return self._ask("time", warm, steps)

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Features float32 [N, F] of pictures uint8 [N, H, W, C]."""
        return self._ask("embed", images)

    def _ask(self, command: str, *arguments: Any) -> Any:
        self._pipe.send((command, arguments))
        try:
            answer, error = self._pipe.recv()
        except EOFError:
            self._process.join()
            raise RuntimeError(f"a contender's process ended with status {self._process.exitcode}") from None
        if error:
            raise RuntimeError(error)
        return answer


def _serve(pipe: Any, name: str, setup: Setup, workers: int | None) -> None:
    """What runs in the process: answers each command with (result, error)."""
    warnings.simplefilter("ignore")  # they would be written into the progress bar
    contender = None
    while (message := pipe.recv()) is not None:
        command, arguments = message
        try:
            contender = contender or built(name, setup, workers)
            answer = _time(contender, *arguments) if command == "time" else getattr(contender, command)(*arguments)
            pipe.send((answer, None))
        except Exception:
            pipe.send((None, traceback.format_exc()))


def built(name: str, setup: Setup, workers: int | None) -> Any:
    """The contender of a name, in this process."""
    module, chosen = CLASSES[name][:2]
    return getattr(importlib.import_module(f"benchmarks.contenders.{module}"), chosen)(setup, workers)


def _time(contender: Any, warm: int, steps: int) -> float:
    contender.run(warm)
    begun = time.perf_counter()
    contender.run(steps)
    return (time.perf_counter() - begun) / steps
