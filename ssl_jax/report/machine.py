"""What a run ran on."""

import importlib.metadata
import json
import os
import pathlib
import platform

from ssl_jax.train.workdir import write_atomically

_PACKAGES = (
    *("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "tensorflow-datasets", "ml_collections"),
    *("numpy", "scikit-learn"),
)
FILE = "environment.json"


def environment() -> dict[str, str]:
    """Python, packages, system and devices of this process, name -> description. Starts JAX's backend."""
    import jax

    processes = jax.process_count()
    kinds = [device.device_kind for device in jax.devices()]
    devices = ", ".join(f"{kinds.count(kind)} x {kind}" for kind in dict.fromkeys(kinds))
    return {
        "devices": f"{devices} ({jax.default_backend()})" + (f", {processes} processes" if processes > 1 else ""),
        "host": f"{os.cpu_count()} CPU cores, {platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version for name in _PACKAGES if (version := _version(name))},
    }


def record_environment(workdir: str | os.PathLike) -> None:
    """Writes `environment.json` into the workdir, so that a report made later tells where the run ran."""
    write_atomically(pathlib.Path(workdir) / FILE, json.dumps(environment(), indent=2) + "\n")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
