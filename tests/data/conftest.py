"""One folder of prepared sets for all tests; preparing is safe with several test processes."""

import os
import shutil
from pathlib import Path

import pytest

from ssl_jax import data


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder for prepared sets and caches that all test processes share."""
    base = tmp_path_factory.getbasetemp()
    return str((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "data")


@pytest.fixture
def digits_copy(data_dir: str, tmp_path: Path) -> Path:
    """A folder with prepared digits, to be damaged."""
    shutil.copytree(data.prepare("digits", data_dir), tmp_path / "digits" / "1.0.0")
    return tmp_path
