"""What becomes of memory that a process has freed."""

import ctypes
import importlib.metadata
import importlib.util
import os
import sys

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # of glibc's malloc.h
_NEVER = -1


def keep_freed() -> bool:
    """Has glibc keep what is freed, where all devices are CPUs; says whether it does. Call before JAX is used.

    XLA:CPU asks anew for the buffers of a step at each step. glibc by itself gives them back to the system in between,
    which clears each page of them again: in steps of BERT (`configs/bert_kjv.py`) 30,000 of 4 KiB. What it keeps is at
    least the most that was in use at once, and more where what is free does not fit. `python benchmarks/allocation.py`
    has steps with and without.
    """
    if sys.platform != "linux" or _may_have_accelerators():
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # not in musl
    if mallopt is None:
        return False
    # One arena, as others than the first give back all that they can.
    settings = (_TRIM_THRESHOLD, _NEVER), (_MMAP_MAX, 0), (_ARENA_MAX, 1)
    return all(mallopt(name, value) for name, value in settings)


def _may_have_accelerators() -> bool:
    """Looks for what JAX would load, as JAX itself may not start yet."""
    chosen = os.environ.get("JAX_PLATFORMS")
    if chosen:
        return chosen != "cpu"
    plugins = importlib.metadata.entry_points(group="jax_plugins")
    return bool(plugins) or any(importlib.util.find_spec(name) for name in ("jax_plugins", "libtpu"))
