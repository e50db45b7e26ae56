"""The processes of one run: how they find each other, how they agree, and what one of them says for all."""

import dataclasses
import importlib.util
import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ssl_jax.errors import UserError

HEARTBEAT_SECONDS = 30  # after so long without a sign of life a process counts as dead, and the others end
CONNECT_SECONDS = 300


@dataclasses.dataclass(frozen=True)
class Place:
    """Where one process stands among those of its run.

    Attributes:
      coordinator: HOST:PORT where process 0 can be reached by the others.
      processes: how many there are.
      process_id: which one this is, from 0.

    Raises:
      UserError: a coordinator that is not HOST:PORT, or a number that none of so many processes has.
    """

    coordinator: str
    processes: int
    process_id: int

    def __post_init__(self):
        host, _, port = self.coordinator.rpartition(":")
        if not host or not port.isdigit():
            raise UserError(f"--coordinator is {self.coordinator!r}; write HOST:PORT, such as 10.0.0.1:8476.")
        if not 0 <= self.process_id < self.processes:
            raise UserError(f"--process_id is {self.process_id}; it must be at least 0 and below --processes.")


def join(place: Place | None = None) -> None:
    """Makes this process one of its run's; to be called before anything is computed.

    Args:
      place: where it stands; None: what Slurm (a task of `srun` among several) or a Cloud TPU pod's metadata say; where
        there is neither, this process is the whole run, and nothing is done.

    Raises:
      UserError: the others did not come within `CONNECT_SECONDS` seconds.
    """
    jax.config.update("jax_enable_preemption_service", False)  # it would take SIGTERM away from `signals`
    limits = dict(heartbeat_timeout_seconds=HEARTBEAT_SECONDS, initialization_timeout=CONNECT_SECONDS)
    try:
        if place is not None:
            given = (place.coordinator, place.processes, place.process_id)
            jax.distributed.initialize(*given, cluster_detection_method="deactivate", **limits)
        elif _among_slurm_tasks():
            jax.distributed.initialize(local_device_ids=_slurm_devices(), **limits)
        elif _may_be_tpu_host():
            _join_tpu_slice(**limits)
    except (RuntimeError, jax.errors.JaxRuntimeError) as error:
        reason = str(error).splitlines()[0][:200]
        raise UserError(
            f"The processes of this run did not find each other: {reason}. Is each of them started?"
        ) from error


def _among_slurm_tasks(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this is one of several tasks that `srun` started; a shell within an allocation is none."""
    return "SLURM_STEP_NODELIST" in environment and int(environment.get("SLURM_STEP_NUM_TASKS", "1")) > 1


def _slurm_devices(environment: Mapping[str, str] = os.environ) -> list[int] | None:
    """All GPUs of the node where it has one task; None leaves it to JAX, which gives each task one."""
    alone = environment.get("SLURM_STEP_TASKS_PER_NODE", "").partition("(")[0] == "1"
    gpus = int(environment.get("SLURM_GPUS_ON_NODE", "0"))
    return list(range(gpus)) if alone and gpus else None


def _may_be_tpu_host(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether JAX could find TPUs here; whether there are some, and a slice around them, it finds out itself."""
    platforms = environment.get("JAX_PLATFORMS", "tpu")
    return "tpu" in platforms and importlib.util.find_spec("libtpu") is not None


def _join_tpu_slice(**limits: int) -> None:
    """Joins the other hosts of a Cloud TPU slice; without metadata of one, this host is alone."""
    try:
        jax.distributed.initialize(**limits)
    except ValueError as error:
        if "coordinator_address" not in str(error):
            raise


def first() -> bool:
    """Whether this is the process that writes files and speaks."""
    return jax.process_index() == 0


def several() -> bool:
    """Whether the run has more than one process."""
    return jax.process_count() > 1


def meet(name: str) -> None:
    """Returns when all processes are here."""
    if several():
        multihost_utils.sync_global_devices(name)


def of_first(tree: Any) -> Any:
    """What process 0 has: bools, numbers or arrays of the same shapes in all processes."""
    return multihost_utils.broadcast_one_to_all(tree) if several() else tree


def scores_of_first(scores: Mapping[str, float]) -> dict[str, float]:
    """The scores that process 0 computed, so that all decide alike; all have the same names in the same order."""
    if not several():
        return dict(scores)
    bits = np.array(list(scores.values()), np.float64).view(np.uint32)  # JAX would round float64
    return dict(zip(scores, np.asarray(of_first(bits)).view(np.float64).tolist()))


def any_of(flag: bool) -> bool:
    """Whether `flag` is true in any process."""
    return bool(multihost_utils.process_allgather(np.array(flag)).any()) if several() else flag


def all_rows(tree: Any) -> Any:
    """Arrays [n, ...] of every process, one after the other."""
    return multihost_utils.process_allgather(tree, tiled=True) if several() else tree


class Vote:
    """Whether any process wants something, found out by the devices between two steps, so that no host waits."""

    def __init__(self, mesh: Mesh):
        self._sharding = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
        self._any = jax.jit(jnp.any, out_shardings=NamedSharding(mesh, PartitionSpec()))
        self._rows = len(mesh.local_devices)

    def cast(self, wanted: bool) -> jax.Array:
        """The outcome, a bool scalar that is the same in all processes; all of them must cast."""
        return self._any(jax.make_array_from_process_local_data(self._sharding, np.full(self._rows, wanted)))
