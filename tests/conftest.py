"""A strict environment: eight CPU devices, rank promotion raises, warnings are errors."""

import os

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"

import jax  # noqa: E402
import pytest  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def eight_devices() -> list[jax.Device]:
    """The eight CPU devices that this process pretends to have."""
    devices = jax.devices()
    assert len(devices) == 8
    return devices


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data folder that all tests of a session share; what a test needs is prepared in it on first use."""
    return str(tmp_path_factory.mktemp("data"))
