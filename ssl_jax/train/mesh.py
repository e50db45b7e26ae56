"""The device mesh (axes `data` and `model`) and where arrays lie on it."""

import contextlib
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from ssl_jax.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sharding:
    """How a run's arrays are split over the mesh. No choice changes what is computed, but for rounding.

    Attributes:
      model: devices along the axis `model`; all others lie along `data`, which the batch is split over.
      state: 'replicated': each device along `data` holds all parameters, optimizer state and targets; 'fsdp': a part
        of each (Zhao et al. 2023; Rajbhandari et al. 2020, ZeRO stage 3). Along `model` they are always split.
      smallest: arrays of fewer elements are not split.

    Raises:
      ValueError: a number below 1.
    """

    model: int = 1
    state: Literal["replicated", "fsdp"] = "replicated"
    smallest: int = 2**16

    def __post_init__(self):
        for name in ("model", "smallest"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must be at least 1")

    def of(self, shape: tuple[int, ...], mesh: Mesh) -> NamedSharding:
        """Where an array of the state lies: its longest axis that divides is split over `data`, the next by `model`."""
        names, wanted = [None] * len(shape), [("data", self.state == "fsdp"), ("model", True)]
        for name, split in wanted if math.prod(shape) >= self.smallest else ():
            free = [axis for axis, taken in enumerate(names) if not taken and shape[axis] % mesh.shape[name] == 0]
            if split and free and mesh.shape[name] > 1:
                names[max(free, key=lambda axis: shape[axis])] = name
        return NamedSharding(mesh, PartitionSpec(*names))


def make_mesh(devices: Sequence[jax.Device] | None = None, *, model: int = 1) -> Mesh:
    """A mesh of shape [devices / model, model] over `devices` (default: all), for automatic partitioning.

    Devices lie in the order of their processes, so that process i holds the i-th block of rows.

    Raises:
      UserError: `model` does not divide the devices of a process.
    """
    devices = sorted(devices or jax.devices(), key=lambda device: (device.process_index, device.id))
    own = len(devices) // len({device.process_index for device in devices})
    if own % model:
        raise UserError(f"config.sharding.model is {model}, which does not divide the {own} devices of a process.")
    return Mesh(np.array(devices).reshape(-1, model), ("data", "model"), axis_types=(AxisType.Auto,) * 2)


def within(mesh: Mesh) -> contextlib.AbstractContextManager:
    """What is traced in this context splits its losses in blocks over the mesh (`losses.pairs`)."""
    return jax.sharding.use_abstract_mesh(mesh.abstract_mesh)


def replicated(mesh: Mesh) -> NamedSharding:
    """Every device holds the whole array."""
    return NamedSharding(mesh, PartitionSpec())


def by_row(mesh: Mesh) -> NamedSharding:
    """The first axis is split over `data`."""
    return NamedSharding(mesh, PartitionSpec("data"))


def check_batch_size(batch_size: int, mesh: Mesh) -> None:
    """Raises UserError where a global batch does not split evenly over the mesh."""
    devices = mesh.shape["data"]
    if batch_size % devices:
        near = max(devices, batch_size // devices * devices)
        raise UserError(f"config.batch_size {batch_size} does not split over {devices} devices; {near} would.")


def check_parts(batch_size: int, mesh: Mesh, parts: int) -> None:
    """Raises UserError where a global batch does not split evenly over the mesh in so many parts."""
    devices = mesh.shape["data"]
    if batch_size % (devices * parts):
        raise UserError(
            f"config.model.accumulate {parts}: config.batch_size {batch_size} does not split into {parts} parts over "
            f"{devices} devices; it must be a multiple of {devices * parts}."
        )


def put_all(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Makes global arrays that every device holds whole, from the same rows in all processes."""
    everywhere = replicated(mesh)
    return {name: jax.make_array_from_process_local_data(everywhere, rows) for name, rows in batch.items()}


def on_one_device(tree: Any) -> Any:
    """Each array whole on one device of this process; all processes must ask for it, as parts may lie elsewhere."""

    def one(leaf: jax.Array) -> jax.Array:
        if not leaf.is_fully_replicated:
            leaf = jax.jit(lambda whole: whole, out_shardings=replicated(leaf.sharding.mesh))(leaf)
        return leaf.addressable_data(0)

    return jax.tree.map(one, tree)


def put_rows(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Makes global arrays [B, ...] from this process's rows of each array (all rows, where there is one process)."""
    sharding = by_row(mesh)
    return {name: jax.make_array_from_process_local_data(sharding, rows) for name, rows in batch.items()}


def placed(array: np.ndarray, sharding: jax.sharding.Sharding) -> jax.Array:
    """An array that every process holds as a whole, as one that lies where `sharding` says."""
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])
