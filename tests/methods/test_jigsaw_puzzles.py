"""Jigsaw puzzles: tiles, their order, and one network for all."""

import re

import jax
import jax.numpy as jnp
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


def test_tiles_come_in_the_order_that_is_asked_for(data_dir):
    """Each is found again in a picture of noise, in the cell that the order names."""
    method, _ = probe.made("jigsaw", data_dir)
    image = np.random.default_rng(0).normal(size=(8, 8, 1)).astype(np.float32)
    method.view.train = lambda key, example: jnp.asarray(image)
    views = jax.jit(method.views)({"label": jnp.zeros(16)}, jax.random.key(3))
    starts = [(row, column) for row in range(6) for column in range(6)]
    windows = np.stack([image[row : row + 3, column : column + 3] for row, column in starts])
    mean, deviation = (of(windows, axis=(1, 2, 3), keepdims=True) for of in (np.mean, np.std))
    apart = np.abs(np.asarray(views["image"])[:, :, None] - (windows - mean) / deviation).max((3, 4, 5))
    assert apart.min(-1).max() < 1e-3
    cells = np.array([row // 4 * 2 + column // 4 for row, column in starts])[apart.argmin(-1)]
    np.testing.assert_array_equal(cells, np.asarray(method.orders)[views["order"]])
    assert len(np.unique(views["order"])) > 3


def test_every_parameter_learns(made):
    probe.check_gradients(*made)


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
        (dict(tiles=6), "config.method.tiles 6 is not one of 4, 9"),
        (dict(tile_size=5), "tile_size 5 is not between 1 and the cells' size 4"),
        (dict(orders=25), "config.method.orders 25 is not between 1 and 24, the orders of 4 tiles"),
        (dict(orders=1), "orders 1 is below 2"),
        (dict(hidden=0), "hidden 0 is below 1"),
    ],
)
def test_impossible_settings(settings, message, data_dir):
    with pytest.raises(UserError, match=re.escape(message)):
        probe.made("jigsaw", data_dir, **settings)
