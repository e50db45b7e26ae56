"""Positions of patches: fixed ones, relative ones, and learned ones for pictures of another size."""

import math

import jax
import jax.numpy as jnp
import numpy as np


def sincos2d(
    grid: tuple[int, int], width: int, *, over: tuple[int, int] | None = None, temperature: float = 10_000.0
) -> np.ndarray:
    """Sines and cosines of a patch's column and row (He et al. 2022, MAE; Chen et al. 2021, MoCo v3).

    The first half of the features holds the column, the second the row; each half its sines, then its cosines.

    Args:
      grid: rows and columns of patches.
      width: features; a multiple of 4.
      over: rows and columns of the grid over which these are spread evenly, so that a small crop has the positions of
        the whole picture, further apart, as where a learned table is resized (`resize_positions`); None: `grid`.
      temperature: the slowest wave's length over 2 pi.

    Returns:
      float32 [rows * columns, width], row by row.

    Raises:
      ValueError: a `width` that is no multiple of 4.
    """
    if width % 4:
        raise ValueError(f"width {width} is not divisible by 4, which positions 'sincos2d' need")
    rows, columns = _places(grid, over)
    halves = [_waves(axis, width // 2, temperature) for axis in (columns, rows)]
    return np.concatenate(halves, axis=1).astype(np.float32)


def sincos3d(
    grid: tuple[int, int, int], width: int, *, over: tuple[int, int, int] | None = None, temperature: float = 10_000.0
) -> np.ndarray:
    """Sines and cosines of a patch's time, row and column in a clip (Bardes et al. 2024, V-JEPA).

    A third of the features each, rounded up to an even number, in this order; what goes beyond `width` is left out, as
    in the official code (`get_3d_sincos_pos_embed` with `uniform_power`). Each third holds its sines, then its cosines.

    Args:
      grid: times, rows and columns of patches.
      width: features.
      over, temperature: as for `sincos2d`.

    Returns:
      float32 [times * rows * columns, width], time by time, and there row by row.
    """
    third = 2 * math.ceil(width / 6)
    thirds = [_waves(axis, third, temperature) for axis in _places(grid, over)]
    return np.concatenate(thirds, axis=1)[:, :width].astype(np.float32)


def sincos(grid: tuple[int, ...], width: int, *, over: tuple[int, ...] | None = None) -> np.ndarray:
    """`sincos2d` of the patches of pictures, `sincos3d` of those of clips."""
    return (sincos2d if len(grid) == 2 else sincos3d)(grid, width, over=over)


def _places(grid: tuple[int, ...], over: tuple[int, ...] | None) -> list[np.ndarray]:
    """Where each patch lies along each axis of `over`, over which the grid is spread evenly."""
    axes = [(np.arange(size) + 0.5) * (whole / size) - 0.5 for size, whole in zip(grid, over or grid)]
    return [places.reshape(-1) for places in np.meshgrid(*axes, indexing="ij")]


def _waves(positions: np.ndarray, width: int, temperature: float) -> np.ndarray:
    frequencies = temperature ** (-np.arange(width // 2, dtype=np.float64) / (width / 2))
    angles = positions[:, None] * frequencies[None, :]
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def relative_places(grid: tuple[int, int], *, class_token: bool) -> np.ndarray:
    """Which entry of a table of relative positions belongs to each pair of tokens (Bao et al. 2022, BEiT).

    The table has one entry for each difference of rows and columns of two patches, row by row, and with a class token
    three more behind them: from it to patches, from patches to it, and to itself.

    Args:
      grid: rows and columns of patches.
      class_token: whether one stands before the patches.

    Returns:
      int32 [N, N], query and key; N counts the class token.
    """
    places = np.stack(np.meshgrid(*map(np.arange, grid), indexing="ij"), -1).reshape(-1, 2)
    apart = places[:, None] - places[None, :] + np.array(grid) - 1
    table = apart[..., 0] * (2 * grid[1] - 1) + apart[..., 1]
    if class_token:
        first = relative_count(grid, class_token=False)
        table = np.pad(table, ((1, 0), (1, 0)))
        table[0, 1:], table[1:, 0], table[0, 0] = first, first + 1, first + 2
    return table.astype(np.int32)


def relative_count(grid: tuple[int, int], *, class_token: bool) -> int:
    """How many entries such a table has."""
    return (2 * grid[0] - 1) * (2 * grid[1] - 1) + 3 * class_token


def resize_positions(table: jax.Array, grid: tuple[int, int], new_grid: tuple[int, int]) -> jax.Array:
    """A learned table of positions for another grid, by bicubic interpolation, as the official code of DINO does it.

    The same as PyTorch's `interpolate` with `mode='bicubic'` (a = -0.75, the border repeated, nothing smoothed where
    the grid shrinks) and a scale factor of `(new + 0.1) / old` in place of `new / old`: iBOT and DINOv2 keep that
    tenth, and so do weights trained with it (`interpolate_pos_encoding` in facebookresearch/dino's
    `vision_transformer.py`). timm smooths where the grid shrinks and adds nothing.

    Args:
      table: [rows * columns, F], row by row.
      grid: its (rows, columns).
      new_grid: those that are wanted.

    Returns:
      float32 [new rows * new columns, F]; `table` itself where the grids are equal.
    """
    if tuple(grid) == tuple(new_grid):
        return table
    rows, columns = (_bicubic(old, new) for old, new in zip(grid, new_grid))
    table = table.astype(jnp.float32).reshape(*grid, -1)
    resized = jnp.einsum("ri,cj,ijf->rcf", rows, columns, table, precision=jax.lax.Precision.HIGHEST)
    return resized.reshape(new_grid[0] * new_grid[1], -1)


def _bicubic(old: int, new: int, a: float = -0.75, offset: float = 0.1) -> np.ndarray:
    """float32 [new, old]: what each old position adds to each new one."""
    places = (np.arange(new) + 0.5) * (old / (new + offset)) - 0.5
    matrix = np.zeros((new, old), np.float32)
    for tap in range(-1, 3):
        index = np.floor(places).astype(int) + tap
        distance = np.abs(places - index)
        near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
        far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
        np.add.at(matrix, (np.arange(new), np.clip(index, 0, old - 1)), np.where(distance <= 1, near, far))
    return matrix
