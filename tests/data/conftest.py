"""Prepared sets to be damaged."""

import shutil
from pathlib import Path

import pytest

from ssl_jax import data


@pytest.fixture
def digits_copy(data_dir: str, tmp_path: Path) -> Path:
    """A folder with prepared digits."""
    shutil.copytree(data.prepare("digits", data_dir), tmp_path / "digits" / "1.0.0")
    return tmp_path
