"""This machine's devices, divided among processes."""

import ctypes
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import IO

from ssl_jax.errors import UserError
from ssl_jax.train.signals import EXIT_STOPPED

_PR_SET_PDEATHSIG = 1


@dataclasses.dataclass(frozen=True)
class Share:
    """What one process may use.

    Attributes:
      gpus: by CUDA's numbers; empty: whatever there is.
      cores: of the CPU; empty: all.
    """

    gpus: tuple[str, ...] = ()
    cores: tuple[int, ...] = ()

    def start(self, command: Sequence[str], *, stdout: IO | None = None, stderr: IO | None = None) -> subprocess.Popen:
        """A process with this share, which is told to stop when this one ends, however that ends.

        It is in a session of its own, so that a terminal's Ctrl-C comes through this process alone.
        """
        environment = os.environ | ({"CUDA_VISIBLE_DEVICES": ",".join(self.gpus)} if self.gpus else {})
        parent = os.getpid()

        def prepare() -> None:
            if sys.platform == "linux":
                ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
                if os.getppid() != parent:  # which ended before it could be asked to tell
                    os._exit(EXIT_STOPPED)
                if self.cores:
                    os.sched_setaffinity(0, self.cores)

        given = dict(stdout=stdout, stderr=stderr, env=environment, start_new_session=True)
        return subprocess.Popen(command, preexec_fn=prepare, **given)


def of_one_run(count: int) -> list[Share]:
    """For the `count` processes of one run: the GPUs evenly; on CPUs each has all cores.

    Raises:
      UserError: the GPUs cannot be divided by `count`.
    """
    found = gpus()
    if found and len(found) % count:
        raise UserError(f"--processes is {count}, which does not divide the {len(found)} GPUs of this machine.")
    size = len(found) // count
    return [Share(tuple(found[i * size : (i + 1) * size])) for i in range(count)]


def of_runs(count: int) -> list[Share]:
    """For `count` runs at a time: the GPUs, or the cores where there is none, as evenly as they go.

    Raises:
      UserError: there are fewer than `count`, or TPUs, which one process takes as a whole.
    """
    found = gpus()
    if found:
        if len(found) < count:
            raise UserError(f"--on.jobs is {count}, but there are {len(found)} GPUs: at most one run for each.")
        return [Share(gpus=tuple(found[i::count])) for i in range(count)]
    if count > 1 and tpus():
        raise UserError(f"--on.jobs is {count}, but the TPUs of this machine can only be used by one run at a time.")
    cores = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []
    return [Share(cores=tuple(cores[i % len(cores) :: count])) if cores else Share() for i in range(count)]


def gpus() -> list[str]:
    """The GPUs that this process may use, by CUDA's numbers."""
    if os.environ.get("JAX_PLATFORMS", "") == "cpu":
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [device for device in visible.split(",") if device]
    try:
        listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    return [str(index) for index, _ in enumerate(listed.splitlines())]


def tpus(devices: pathlib.Path = pathlib.Path("/dev")) -> bool:
    """Whether this machine has TPUs that JAX may use."""
    return os.environ.get("JAX_PLATFORMS", "") != "cpu" and any(devices.glob("accel[0-9]*"))
