"""What accelerators can do at most, as their makers state it, and the pods that they make up."""

import dataclasses
import math
import os
from collections.abc import Mapping

from ssl_jax.errors import UserError, unknown

GB, GIB = 1e9, 2**30


@dataclasses.dataclass(frozen=True)
class Chip:
    """One chip.

    Attributes:
      flops: bfloat16 operations a second (float16 of a V100), of dense matrices.
      memory: bytes.
      memory_speed: bytes a second between memory and chip.
      network_speed: bytes a second that it sends to others of its slice or machine, all links together; half of what is
        stated for both directions, where that is.
      source: where the figures are from.
      devices: that JAX makes of it, which share all of this.
      hosts_of: TPUs that one host of a slice of several hosts has.
      axes: of the torus that slices of a TPU are.
    """

    flops: float
    memory: float
    memory_speed: float
    network_speed: float
    source: str
    devices: int = 1
    hosts_of: int = 1
    axes: int = 0


_DOCS, _NVIDIA = "docs.cloud.google.com/tpu/docs", "NVIDIA's data sheet of the"
TPUS = {
    # The network of v3 is stated for a pod of 1,024 chips: 340 TB/s in an all-reduce.
    "v3": Chip(123e12, 32 * GIB, 900 * GB, 332 * GB, f"{_DOCS}/v3", 2, 4, 2),
    "v5e": Chip(197e12, 16 * GIB, 819 * GB, 200 * GB, f"{_DOCS}/v5e", 1, 4, 2),
    "v5p": Chip(459e12, 95 * GIB, 2765 * GB, 600 * GB, f"{_DOCS}/v5p", 1, 4, 3),
    "v6e": Chip(918e12, 32 * GIB, 1640 * GB, 400 * GB, f"{_DOCS}/v6e", 1, 4, 2),
}
GPUS = {  # by the name that JAX has for them
    "Tesla V100-SXM2-16GB": Chip(125e12, 16 * GIB, 900 * GB, 150 * GB, f"{_NVIDIA} V100"),
    "Tesla V100-SXM2-32GB": Chip(125e12, 32 * GIB, 900 * GB, 150 * GB, f"{_NVIDIA} V100"),
    "NVIDIA A100-SXM4-40GB": Chip(312e12, 40 * GIB, 1555 * GB, 300 * GB, f"{_NVIDIA} A100"),
    "NVIDIA A100-SXM4-80GB": Chip(312e12, 80 * GIB, 2039 * GB, 300 * GB, f"{_NVIDIA} A100"),
    "NVIDIA H100 80GB HBM3": Chip(989e12, 80 * GIB, 3350 * GB, 450 * GB, f"{_NVIDIA} H100 SXM"),
    "NVIDIA H200": Chip(989e12, 141 * GB, 4800 * GB, 450 * GB, f"{_NVIDIA} H200 SXM"),
}
ON_ONE_HOST = {"v5e": 8, "v6e": 8}  # chips of the largest slice of a single host, where that is more than `hosts_of`


@dataclasses.dataclass(frozen=True)
class Slice:
    """TPUs that are wired together.

    Attributes:
      kind: a name of `TPUS`.
      shape: chips along each axis.
    """

    kind: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, topology: str) -> "Slice":
        """Reads 'v5e:16x16'.

        Raises:
          UserError: no such chip, or no such shape.
        """
        kind, _, dims = topology.partition(":")
        if kind not in TPUS:
            raise unknown("--topology", kind, TPUS)
        sides = dims.split("x")
        if len(sides) != TPUS[kind].axes or not all(side.isdigit() and int(side) for side in sides):
            like = "x".join(["4"] * TPUS[kind].axes)
            raise UserError(f"--topology: a slice of {kind} has {TPUS[kind].axes} sides, as in {kind}:{like}.")
        return cls(kind, tuple(map(int, sides)))

    @property
    def chips(self) -> int:
        """How many."""
        return math.prod(self.shape)

    @property
    def hosts(self) -> int:
        """How many machines they are in, each with a process of a run."""
        alone = self.chips <= ON_ONE_HOST.get(self.kind, 0)
        return 1 if alone else max(1, self.chips // TPUS[self.kind].hosts_of)

    @property
    def name(self) -> str:
        """As `--topology` has it."""
        return f"{self.kind}:{'x'.join(map(str, self.shape))}"


def is_tpu(topology: str) -> bool:
    """Whether it names a TPU slice."""
    return topology.partition(":")[0] not in ("cpu", "gpu")


def environment(topology: str) -> Mapping[str, str]:
    """What has to be set before JAX is imported, to plan for devices that are not here.

    Raises:
      UserError: there is no such chip or slice.
    """
    if topology == "gpu":
        return {}
    if is_tpu(topology):
        Slice.of(topology)
        alone = {"TPU_SKIP_MDS_QUERY": "1", "TPU_WORKER_HOSTNAMES": "localhost"}  # else a TPU is looked for
        alone |= {"TPU_ACCELERATOR_TYPE": "v5litepod-16", "JAX_PLATFORMS": "cpu"}
        alone |= {"ALLOW_MULTIPLE_LIBTPU_LOAD": "true"}  # several plans at once: no chip is taken
        return alone | {"JAX_ENABLE_COMPILATION_CACHE": "false"}  # what it keeps cannot be read without a TPU
    count = topology.partition(":")[2] or "1"
    if not topology.startswith("cpu") or not count.isdigit() or not int(count):
        raise UserError(f"--topology {topology}: write cpu:8 for eight devices of CPU, gpu for this machine's GPUs.")
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={count}"
    return {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
