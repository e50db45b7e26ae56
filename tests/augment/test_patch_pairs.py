"""Pairs of patches: that the second lies where the label says, inside of the image, with the gap and the jitter."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import augment

DIRECTIONS = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]


def draw(count, size, **settings):
    keys = jax.random.split(jax.random.key(0), count)
    drawn = jax.jit(jax.vmap(functools.partial(augment.draw_patch_pair, size=size, **settings)))(keys)
    return jax.tree.map(np.asarray, drawn)


def test_without_jitter_the_second_is_exactly_one_step_away():
    drawn = draw(500, (40, 50), patch_size=8, gap=4, jitter=0)
    steps = drawn.starts[:, 1] - drawn.starts[:, 0]
    np.testing.assert_array_equal(steps, 12 * np.array(DIRECTIONS)[drawn.position])


@pytest.mark.parametrize("jitter", [0, 2])
def test_both_patches_lie_inside_and_reach_every_border(jitter):
    drawn = draw(4000, (30, 26), patch_size=8, gap=4, jitter=jitter)
    assert drawn.starts.min() == 0
    assert np.all(drawn.starts.max(axis=(0, 1)) == [30 - 8, 26 - 8])


def test_directions_are_equally_likely():
    drawn = draw(8000, (40, 50), patch_size=8)
    np.testing.assert_allclose(
        np.bincount(drawn.position, minlength=8) / 8000, 1 / 8, atol=4.5 * np.sqrt(7 / 64 / 8000)
    )


def test_jitter_moves_patches_by_up_to_its_size_each():
    drawn = draw(4000, (200, 200), patch_size=16, gap=8, jitter=3)
    error = drawn.starts[:, 1] - drawn.starts[:, 0] - 24 * np.array(DIRECTIONS)[drawn.position]
    assert error.min() == -6 and error.max() == 6  # both move


def test_patches_never_overlap():
    drawn = draw(4000, (24, 24), patch_size=8, gap=6, jitter=3)
    apart = np.abs(drawn.starts[:, 1] - drawn.starts[:, 0])
    assert np.all(apart.max(axis=1) >= 8)


def test_the_papers_sizes_are_the_defaults():
    drawn = draw(4000, (400, 400), patch_size=96)
    error = drawn.starts[:, 1] - drawn.starts[:, 0] - 144 * np.array(DIRECTIONS)[drawn.position]
    assert error.min() == -14 and error.max() == 14


def test_an_image_that_just_fits_two_patches():
    drawn = draw(200, (20, 20), patch_size=8, gap=4, jitter=0)
    diagonal = np.isin(drawn.position, [0, 2, 5, 7])
    corners = np.sort(drawn.starts[diagonal], axis=1)
    np.testing.assert_array_equal(corners, np.broadcast_to([[0, 0], [12, 12]], corners.shape))


def test_the_label_is_the_place_of_the_second_patch_around_the_first():
    # The pixel's value tells its row and column.
    image = jnp.stack(jnp.meshgrid(jnp.arange(60), jnp.arange(60), indexing="ij"), axis=-1)

    def one(key):
        pair = augment.draw_patch_pair(key, (60, 60), patch_size=10)
        return augment.patch_pair(image, pair, patch_size=10), pair

    patches, pair = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(1), 100))
    assert patches.shape == (100, 2, 10, 10, 2)
    np.testing.assert_array_equal(patches[:, :, 0, 0], pair.starts)
    away = np.asarray(patches[:, 1, 5, 5] - patches[:, 0, 5, 5])
    rounded = np.rint(away / 15).astype(int)
    np.testing.assert_array_equal(rounded, np.array(DIRECTIONS)[pair.position])


@pytest.mark.parametrize(
    "size, settings, match",
    [
        ((19, 40), dict(patch_size=8, gap=4), "do not fit into an image of 19 x 40"),
        ((90, 90), dict(patch_size=8, gap=4, jitter=3), "jitter 3 is not between 0 and half"),
        ((90, 90), dict(patch_size=8, gap=4, jitter=-1), "jitter -1"),
    ],
)
def test_impossible_settings(size, settings, match):
    with pytest.raises(ValueError, match=match):
        augment.draw_patch_pair(jax.random.key(0), size, **settings)
