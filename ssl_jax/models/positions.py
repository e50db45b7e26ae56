"""Fixed positions of patches."""

import numpy as np


def sincos2d(grid: tuple[int, int], width: int, *, temperature: float = 10_000.0) -> np.ndarray:
    """Sines and cosines of a patch's column and row (He et al. 2022, MAE; Chen et al. 2021, MoCo v3).

    The first half of the features holds the column, the second the row; each half its sines, then its cosines.

    Args:
      grid: rows and columns of patches.
      width: features; a multiple of 4.
      temperature: the slowest wave's length over 2 pi.

    Returns:
      float32 [rows * columns, width], row by row.
    """
    if width % 4:
        raise ValueError(f"width {width} is not divisible by 4, which positions 'sincos2d' need")
    rows, columns = np.meshgrid(np.arange(grid[0]), np.arange(grid[1]), indexing="ij")
    halves = [_waves(axis.reshape(-1), width // 2, temperature) for axis in (columns, rows)]
    return np.concatenate(halves, axis=1).astype(np.float32)


def _waves(positions: np.ndarray, width: int, temperature: float) -> np.ndarray:
    frequencies = temperature ** (-np.arange(width // 2, dtype=np.float64) / (width / 2))
    angles = positions[:, None] * frequencies[None, :]
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
