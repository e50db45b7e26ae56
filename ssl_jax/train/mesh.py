"""The device mesh (axes `data` and `model`) and where arrays lie on it."""

from collections.abc import Mapping, Sequence

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from ssl_jax.errors import UserError


def make_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh of shape [devices, 1] over `devices` (default: all), for plain jit with automatic partitioning.

    Devices lie in the order of their processes, so that process i holds the i-th block of rows.
    """
    devices = sorted(devices or jax.devices(), key=lambda device: (device.process_index, device.id))
    return Mesh(np.array(devices).reshape(-1, 1), ("data", "model"), axis_types=(AxisType.Auto,) * 2)


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


def put_rows(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Makes global arrays [B, ...] from this process's rows of each array (all rows, where there is one process)."""
    sharding = by_row(mesh)
    return {name: jax.make_array_from_process_local_data(sharding, rows) for name, rows in batch.items()}
