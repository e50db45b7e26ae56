"""Weights in safetensors files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ssl_jax.errors import UserError


def read(path: str | Path) -> dict[str, np.ndarray]:
    """All arrays of a .safetensors file, by name.

    Raises:
      UserError: there is no such file, or it is damaged.
    """
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file. Give the path of a .safetensors file.") from error
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} cannot be read as safetensors ({error}). Download or convert it again.") from error


def write(path: str | Path, weights: Mapping[str, np.ndarray]) -> None:
    """Writes arrays under their names to a .safetensors file, marked as transformers asks."""
    arrays = {name: np.asarray(array, order="C") for name, array in weights.items()}
    save_file(arrays, path, metadata={"format": "pt"})
