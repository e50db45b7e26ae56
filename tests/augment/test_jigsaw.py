"""Jigsaw puzzles: the set of orders, and that tiles come from where they should."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import augment

permutations = functools.cache(augment.hamming_permutations)


def distances(orders):
    every = np.sum(orders[:, None] != orders[None], axis=-1)
    return every[~np.eye(len(orders), dtype=bool)]


# At most 9 orders of 9 tiles differ in all places (a Latin square); random orders differ in 8 on average.
@pytest.mark.parametrize("count, average", [(9, 9.0), (10, 8.57), (100, 8.05), (1000, 8.0)])
def test_orders_are_far_apart(count, average):
    orders = permutations(count)
    assert orders.shape == (count, 9) and orders.dtype == np.int32
    np.testing.assert_array_equal(np.sort(orders, axis=1), np.tile(np.arange(9), (count, 1)))
    assert distances(orders).mean() >= average and distances(orders).min() >= 2


def test_farther_apart_than_random_ones():
    random = np.stack([np.random.default_rng(i).permutation(9) for i in range(100)])
    assert distances(permutations(100)).mean() > distances(random).mean() + 0.05


def test_each_order_is_the_farthest_from_those_before():
    orders = permutations(12, tiles=4)
    left = {order for order in np.ndindex(4, 4, 4, 4) if len(set(order)) == 4} - {tuple(orders[0])}
    for i in range(1, 12):
        sums = {order: np.sum(orders[:i] != np.array(order)) for order in left}
        assert sums[tuple(orders[i])] == max(sums.values())
        left.remove(tuple(orders[i]))


def test_deterministic_and_different_for_each_seed():
    np.testing.assert_array_equal(augment.hamming_permutations(20), permutations(20))
    np.testing.assert_array_equal(permutations(20)[:9], permutations(9))
    assert np.any(permutations(9, seed=1) != permutations(9))


def test_all_orders_of_four_tiles():
    assert len(set(map(tuple, permutations(24, tiles=4)))) == 24


@pytest.mark.parametrize(
    "count, tiles, match", [(0, 9, "count"), (7, 3, "count 7 .* 6"), (9, 16, "tiles"), (1, 1, "tiles")]
)
def test_impossible_sets(count, tiles, match):
    with pytest.raises(ValueError, match=match):
        augment.hamming_permutations(count, tiles=tiles)


def puzzle(number, offsets=None):
    return augment.Jigsaw(jnp.array(number), jnp.zeros((9, 2), jnp.int32) if offsets is None else offsets)


def test_whole_cells_in_order():
    image = jax.random.uniform(jax.random.key(0), (9, 12, 2))
    tiles = augment.jigsaw_tiles(image, puzzle(0), np.arange(9)[None], tile_size=3)
    for t in range(9):
        row, column = t // 3 * 3, t % 3 * 4
        np.testing.assert_array_equal(tiles[t], image[row : row + 3, column : column + 3])


def test_each_place_shows_the_tile_that_the_order_names():
    image = jnp.repeat(jnp.repeat(jnp.arange(9).reshape(3, 3, 1), 5, axis=0), 5, axis=1)  # each cell its number
    orders = permutations(10)
    for number in (0, 3, 9):
        tiles = jax.jit(functools.partial(augment.jigsaw_tiles, tile_size=5))(image, puzzle(number), orders)
        np.testing.assert_array_equal(tiles[:, 2, 2, 0], orders[number])
        assert tiles.dtype == image.dtype


def test_a_tile_takes_its_offset_with_it():
    image = jax.random.uniform(jax.random.key(1), (30, 30, 1))
    offsets = jnp.stack([jnp.arange(9) % 4, jnp.arange(9) % 3], axis=1)
    order = np.random.default_rng(0).permutation(9)
    tiles = augment.jigsaw_tiles(image, puzzle(0, offsets), order[None], tile_size=7)
    for t, source in enumerate(order):
        row, column = source // 3 * 10 + source % 4, source % 3 * 10 + source % 3
        np.testing.assert_array_equal(tiles[t], image[row : row + 7, column : column + 7])


def test_draws_are_uniform_and_tiles_stay_in_their_cells():
    draw = functools.partial(augment.draw_jigsaw, permutations=5, cell_size=75, tile_size=64)
    drawn = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(2), 5000))
    np.testing.assert_allclose(np.bincount(drawn.permutation, minlength=5) / 5000, 0.2, atol=4.5 * 0.4 / np.sqrt(5000))
    assert drawn.offsets.shape == (5000, 9, 2) and drawn.offsets.min() == 0 and drawn.offsets.max() == 11
    shares = np.bincount(np.asarray(drawn.offsets).ravel(), minlength=12) / 90000
    np.testing.assert_allclose(shares, 1 / 12, atol=4.5 * np.sqrt(1 / 12 / 90000))


def test_the_papers_sizes_under_vmap():
    orders = permutations(100)

    def one(key, image):
        drawn = augment.draw_jigsaw(key, permutations=100, cell_size=225 // 3, tile_size=64)
        return augment.jigsaw_tiles(image, drawn, orders, tile_size=64), drawn.permutation

    images = jax.random.uniform(jax.random.key(3), (2, 225, 225, 3))
    tiles, labels = jax.jit(lambda images: augment.per_example(one, jax.random.key(4), images))(images)
    assert tiles.shape == (2, 9, 64, 64, 3) and labels.shape == (2,)
    assert np.any(labels[0] != labels[1])


def test_what_does_not_fit_is_named():
    image = jnp.zeros((30, 30, 1))
    with pytest.raises(ValueError, match="tile_size 11 is larger than the cells, 10 x 10"):
        augment.jigsaw_tiles(image, puzzle(0), np.arange(9)[None], tile_size=11)
    with pytest.raises(ValueError, match="8 tiles"):
        augment.jigsaw_tiles(image, puzzle(0), np.arange(8)[None], tile_size=5)
    with pytest.raises(ValueError, match="4 tiles with offsets"):
        augment.jigsaw_tiles(image, puzzle(0), np.arange(4)[None], tile_size=5)
    for tile_size in (0, 11):
        with pytest.raises(ValueError, match=f"tile_size {tile_size} is not between 1 and the cells' size 10"):
            augment.draw_jigsaw(jax.random.key(0), permutations=5, cell_size=10, tile_size=tile_size)


@pytest.mark.parametrize("offset", [(-1, 0), (5, 0), (0, 6)])
def test_tiles_that_leave_their_cells_are_refused(offset):
    image = jnp.zeros((30, 33, 1))  # cells of 10 x 11
    offsets = jnp.zeros((9, 2), jnp.int32).at[4].set(jnp.array(offset))
    with pytest.raises(ValueError, match="offsets must be 0 to 3 and 0 to 4"):
        augment.jigsaw_tiles(image, puzzle(0, offsets), np.arange(9)[None], tile_size=7)


@pytest.mark.parametrize("tile_size", [7, 10])
def test_drawn_tiles_show_their_own_cell_only(tile_size):
    image = jnp.repeat(jnp.repeat(jnp.arange(9).reshape(3, 3, 1), 10, axis=0), 10, axis=1)  # each cell its number
    order = np.arange(9)[None]
    for seed in range(20):
        drawn = augment.draw_jigsaw(jax.random.key(seed), permutations=1, cell_size=10, tile_size=tile_size)
        tiles = augment.jigsaw_tiles(image, drawn, order, tile_size=tile_size)
        np.testing.assert_array_equal(tiles, np.broadcast_to(np.arange(9)[:, None, None, None], tiles.shape))
