"""Which patches of an image are hidden, in squares larger than a patch."""

import math

import jax
import jax.numpy as jnp


def count_hidden_units(grid: tuple[int, int], ratio: float, *, unit: int) -> int:
    """How many squares of `unit` x `unit` patches are hidden when `ratio` of them are, rounded up.

    Raises:
      ValueError: the grid does not consist of such squares, or none or all of them would be hidden.
    """
    if unit < 1 or grid[0] % unit or grid[1] % unit:
        raise ValueError(f"a grid of {grid[0]} x {grid[1]} patches is not made of squares of {unit} x {unit}")
    units = (grid[0] // unit) * (grid[1] // unit)
    hidden = math.ceil(units * ratio - 1e-6)
    if not 0 < hidden < units:
        raise ValueError(f"ratio {ratio} hides {hidden} of {units} squares, and must leave some and hide some")
    return hidden


def unit_patches(key: jax.Array, grid: tuple[int, int], *, unit: int, ratio: float = 0.6) -> jax.Array:
    """Hides a uniformly random subset of squares of patches, of a fixed size.

    Source: Xie et al., "SimMIM: A Simple Framework for Masked Image Modeling", 2022, section 3.2 and table 1 (squares
    of 32 pixels, 60 %), and the authors' code (`MaskGenerator`, which rounds up).

    Args:
      key: of this example.
      grid: rows and columns of patches.
      unit: side of a square, in patches.
      ratio: the part that is hidden.

    Returns:
      bool [rows * columns], row by row: True where hidden; `count_hidden_units` squares of `unit ** 2` patches are.

    Raises:
      ValueError: see `count_hidden_units`.
    """
    hidden = count_hidden_units(grid, ratio, unit=unit)
    squares = (grid[0] // unit, grid[1] // unit)
    order = jax.random.permutation(key, squares[0] * squares[1])
    mask = jnp.zeros(len(order), bool).at[order[:hidden]].set(True).reshape(squares)
    return jnp.repeat(jnp.repeat(mask, unit, axis=0), unit, axis=1).reshape(-1)
