"""Squares of hidden patches."""

import jax
import numpy as np
import pytest
from scipy import stats

from ssl_jax import masking

DRAWS = 2000
KEYS = jax.random.split(jax.random.key(0), DRAWS)


def draws(grid, **settings):
    masks = jax.jit(jax.vmap(lambda key: masking.unit_patches(key, grid, **settings)))(KEYS)
    return np.asarray(masks).reshape(DRAWS, *grid)


def test_whole_squares_are_hidden_as_many_of_each_image():
    """SimMIM's: 224 pixels, patches of 16, squares of 32: 30 of 49, the ceiling of 29.4."""
    masks = draws((14, 14), unit=2, ratio=0.6)
    squares = masks.reshape(DRAWS, 7, 2, 7, 2).sum((2, 4))
    assert set(np.unique(squares)) == {0, 4}
    np.testing.assert_array_equal((squares > 0).sum((1, 2)), 30)


def test_each_square_is_hidden_as_often_and_pairs_are_independent_but_for_their_number():
    squares = draws((8, 6), unit=2, ratio=0.5)[:, ::2, ::2].reshape(DRAWS, 12)
    # 6 of 12: the sum over squares is fixed, so counts vary by 11/12 of what independent ones would.
    chi = np.square(squares.sum(0) - DRAWS / 2).sum() / (DRAWS / 4) * 11 / 12
    assert 0.0005 < stats.chi2(11).cdf(chi) < 0.9995
    both = (squares[:, 0] & squares[:, 7]).mean()
    assert abs(both - 6 / 12 * 5 / 11) < 4.5 * np.sqrt(0.2273 * 0.7727 / DRAWS)


@pytest.mark.parametrize(
    "grid, settings, message",
    [
        ((7, 8), dict(unit=2), "a grid of 7 x 8 patches is not made of squares of 2 x 2"),
        ((8, 8), dict(unit=2, ratio=0.0), "ratio 0.0 hides 0 of 16 squares"),
        ((8, 8), dict(unit=4, ratio=0.9), "ratio 0.9 hides 4 of 4 squares"),
        ((8, 8), dict(unit=0), "squares of 0 x 0"),
    ],
)
def test_impossible_settings(grid, settings, message):
    with pytest.raises(ValueError, match=message):
        masking.unit_patches(KEYS[0], grid, **settings)
