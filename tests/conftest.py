"""A strict environment: eight CPU devices, rank promotion raises, warnings are errors."""

import atexit
import gc
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
if metadata.version("jaxlib").startswith("0.10."):  # an unknown flag would end the process
    os.environ["XLA_FLAGS"] += " --xla_cpu_use_fusion_emitters=false"  # compiles in half the time
    os.environ["XLA_FLAGS"] += " --xla_cpu_parallel_codegen_split_count=1"  # both cores have work of their own
if "PYTEST_XDIST_WORKER" not in os.environ:
    # Compiled programs of this session alone, shared by the commands that tests start.
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="ssl_jax_tests_")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)

import jax  # noqa: E402
import pytest  # noqa: E402
import rich  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")
# Most of the time goes into compiling programs that hardly run. Commands that tests start choose for themselves.
jax.config.update("jax_disable_most_optimizations", True)
# Tests themselves hardly ever compile what another has compiled; looking and keeping takes a tenth of their time.
jax.config.update("jax_enable_compilation_cache", False)
# Tracing makes many objects that live; looking through all of them after each 700 is a tenth of the time.
gc.set_threshold(100_000, 20, 50)

LONGEST = ("test_kills.py", "test_collapse.py", "test_wrong_inputs.py", "test_configs.py", "test_trajectory.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest go first, so that worker processes end at about the same time."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(autouse=True, scope="module")
def forget_programs() -> Iterator[None]:
    """Each compiled program takes up pieces of memory, of which Linux allows a process 65,530; then it crashes."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_text().count("\n") > 10_000:
        jax.clear_caches()


@pytest.fixture
def eight_devices() -> list[jax.Device]:
    """The eight CPU devices that this process pretends to have."""
    devices = jax.devices()
    assert len(devices) == 8
    return devices


@pytest.fixture
def wide_terminal() -> Iterator[None]:
    """Tables are printed 200 columns wide, whatever terminal an earlier test of this process has made rich remember."""
    rich.reconfigure(width=200, height=50)
    yield
    rich.reconfigure()


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data folder that all test processes share; what a test needs is prepared in it on first use."""
    base = tmp_path_factory.getbasetemp()
    return str((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "data")


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a small file system where that is allowed; a function (options) -> folder."""
    folder = tmp_path / "tmpfs"

    def mount(options: str) -> Path:
        folder.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True).returncode:
            pytest.skip("only root can mount")
        return folder

    yield mount
    if folder.is_mount():
        subprocess.run(["umount", "-l", folder], check=True)
