"""The devices that a run is planned for: a TPU slice that is not here, this machine's GPUs, CPUs."""

import dataclasses
import os

import jax

from ssl_jax.errors import UserError
from ssl_jax.launchers import slices
from ssl_jax.launchers.chips import GPUS, TPUS, Chip, Slice, is_tpu


@dataclasses.dataclass(frozen=True)
class Target:
    """Devices to compile for.

    Attributes:
      name: as `--topology` has it.
      devices: as JAX has them.
      chips, hosts: how many they are on.
      memory: bytes that a device has.
      chip: its figures, None where they are not known.
    """

    name: str
    devices: tuple[jax.Device, ...]
    chips: int
    hosts: int
    memory: float
    chip: Chip | None

    def larger(self) -> "Target | None":
        """The next slice that Google Cloud has, of twice as many chips or more; None where there is none."""
        name = slices.larger(Slice.of(self.name)) if is_tpu(self.name) else None
        return target(name) if name else None


def target(topology: str) -> Target:
    """The devices of 'v5e:16x16', 'cpu:8' or 'gpu'; `environment` has been set.

    Raises:
      UserError: there are no such devices, or the compiler for TPUs is not installed.
    """
    if is_tpu(topology):
        where = Slice.of(topology)
        chip = TPUS[where.kind]
        return Target(topology, _slice(where), where.chips, where.hosts, chip.memory / chip.devices, chip)
    if topology == "gpu":
        return _gpus()
    devices = tuple(jax.devices())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / len(devices)
    return Target(topology, devices, len(devices), 1, memory, None)


def _slice(where: Slice) -> tuple[jax.Device, ...]:
    from jax.experimental import topologies

    bounds = (*where.shape, 1)[:3] if where.hosts == 1 else None
    given = {"chips_per_host_bounds": bounds} if bounds else {}
    try:
        return tuple(topologies.get_topology_desc(platform="tpu", topology_name=where.name, **given).devices)
    except Exception as error:
        reason = str(error).splitlines()[0][:200]
        if "libtpu" in str(error) or "TPU support not installed" in str(error):
            raise UserError(f"The TPU compiler is missing ({reason}): pip install -r requirements-plan.txt.") from error
        raise UserError(f"--topology {where.name}: the compiler knows no such slice ({reason}).") from error


def _gpus() -> Target:
    try:
        devices = tuple(jax.devices("gpu"))
    except RuntimeError as error:
        raise UserError("--topology gpu: JAX finds no GPU here; see 'GPU and TPU' in README.md.") from error
    limit = (devices[0].memory_stats() or {}).get("bytes_limit")
    chip = GPUS.get(devices[0].device_kind)
    return Target("gpu", devices, len(devices), 1, limit or (chip.memory if chip else float("inf")), chip)
