"""Jigsaw puzzles: tiles, their order, and one network for all."""

import re

import numpy as np
import pytest
from flax import nnx

from ssl_jax.errors import UserError
from ssl_jax.methods import METHODS
from tests import probe


@pytest.fixture(scope="module")
def made(data_dir):
    return probe.made("jigsaw", data_dir)


def test_each_tile_is_normalised_by_itself(made):
    _, views = made
    tiles = np.asarray(views["image"])
    assert tiles.shape == (16, 4, 3, 3, 1) and np.asarray(views["order"]).max() < 8
    deviation = tiles.std(axis=(2, 3, 4))
    assert (np.isclose(deviation, 1, atol=1e-3) | (deviation < 1e-6)).all() and deviation.max() > 0.99  # or flat
    np.testing.assert_allclose(tiles.mean(axis=(2, 3, 4)), 0, atol=1e-5)


def test_swapping_tiles_swaps_what_the_layer_above_them_sees(made):
    """Tiles pass one network: a classifier whose layer ignores places says the same of any order."""
    method, views = made
    kernel = np.asarray(method.of_all.kernel[...]).reshape(4, -1, method.of_all.out_features)
    method.of_all.kernel[...] = np.broadcast_to(kernel[:1], kernel.shape).reshape(method.of_all.kernel.shape)
    swapped = {**views, "image": views["image"][:, ::-1]}
    np.testing.assert_allclose(probe.loss(method, views), probe.loss(method, swapped), rtol=1e-5)
    method.of_all.kernel[...] = kernel.reshape(method.of_all.kernel.shape)
    assert abs(probe.loss(method, views) - probe.loss(method, swapped)) > 1e-4


class Same:
    """A backbone without weights."""

    features = 3


def test_cells_of_views_that_are_not_square_are_as_wide_as_the_shorter_side_allows():
    class View:
        shape = (40, 16, 1)

    assert METHODS["jigsaw"](Same(), View, tiles=4, tile_size=8, orders=8, hidden=4, rngs=nnx.Rngs(0)).cell == 8


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(tiles=6), "tiles 6 is not 4 or 9"),
        (dict(tile_size=5), "tile_size 5 is not between 1 and the cells' size 4"),
        (dict(orders=25), "count 25 is not between 1 and 24, the orders of 4 tiles"),
        (dict(orders=1), "orders 1 is below 2"),
        (dict(hidden=0), "hidden 0 is below 1"),
    ],
)
def test_impossible_settings(settings, message, data_dir):
    with pytest.raises(UserError, match=re.escape(message)):
        probe.made("jigsaw", data_dir, **settings)
