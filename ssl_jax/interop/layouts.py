"""How one array of theirs (PyTorch's layout) is laid out in our modules, and back."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Layout(NamedTuple):
    """A rearrangement and its inverse."""

    to_ours: Callable[[np.ndarray], np.ndarray]
    to_theirs: Callable[[np.ndarray], np.ndarray]


def _expand(axes: tuple[int, ...]) -> Layout:
    return Layout(lambda x: np.squeeze(x, axes), lambda x: np.expand_dims(x, axes))


SAME = Layout(lambda x: x, lambda x: x)
LINEAR = Layout(lambda x: np.transpose(x, (1, 0)), lambda x: np.transpose(x, (1, 0)))  # (out, in) -> (in, out)
CONV = Layout(lambda x: np.transpose(x, (2, 3, 1, 0)), lambda x: np.transpose(x, (3, 2, 0, 1)))  # OIHW -> HWIO
CONV1D = Layout(lambda x: np.transpose(x, (2, 1, 0)), lambda x: np.transpose(x, (2, 1, 0)))  # OIW -> WIO
ROW = _expand((0, 1))  # (1, 1, features) -> (features,)
TABLE = _expand((0,))  # (1, count, features) -> (count, features)


def after(count: int) -> Layout:
    """A table whose first `count` rows are nothing: (count + n, features) -> (n, features), and back with zeros."""
    return Layout(lambda x: x[count:], lambda x: np.concatenate([np.zeros((count, *x.shape[1:]), x.dtype), x]))


def pixels(patch_size: int) -> Layout:
    """What PyTorch's `PixelShuffle` makes patches of, as patches: (C * p * p, ...) -> (p * p * C, ...)."""

    def to_ours(x):
        return np.moveaxis(x.reshape(-1, patch_size, patch_size, *x.shape[1:]), 0, 2).reshape(x.shape)

    def to_theirs(x):
        return np.moveaxis(x.reshape(patch_size, patch_size, -1, *x.shape[1:]), 2, 0).reshape(x.shape)

    return Layout(to_ours, to_theirs)


def pixel_kernel(patch_size: int) -> Layout:
    """The kernel of a 1x1 convolution before it: (C * p * p, in, 1, 1) -> (in, p * p * C)."""
    rows = pixels(patch_size)
    return Layout(lambda x: rows.to_ours(x[:, :, 0, 0]).T, lambda x: rows.to_theirs(x.T)[:, :, None, None])


def patches(patch_size: int) -> Layout:
    """A convolution with stride `patch_size` as a matrix: (out, in, p, p) -> (p * p * in, out)."""
    return Layout(
        lambda x: CONV.to_ours(x).reshape(-1, x.shape[0]),
        lambda x: CONV.to_theirs(x.reshape(patch_size, patch_size, -1, x.shape[-1])),
    )
