"""CAPI's blocks of visible patches: counts, shapes, and a plain Python loop as reference."""

import math
import random
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from ssl_jax import masking

DRAWS = 4000
KEYS = jax.random.split(jax.random.key(0), DRAWS)


def draws(grid, visible, count=DRAWS):
    """bool [draws, rows, columns], True where visible."""
    hidden = jax.jit(jax.vmap(lambda key: masking.inverse_block(key, grid, visible)))(KEYS[:count])
    return ~np.asarray(hidden).reshape(-1, *grid)


def plain(rng, grid, visible):
    """One image as the authors' code draws it: patches of the block one by one, and then each moved by the shift."""
    rows, columns = grid
    low = max(math.log(0.5), math.log(visible / columns**2))
    high = min(math.log(2.0), math.log(rows**2 / (visible + 1e-5)))
    aspect = math.exp(rng.uniform(low, high))
    height, width = math.ceil(math.sqrt(visible * aspect)), math.ceil(math.sqrt(visible / aspect))
    top, left = rng.randint(0, rows - height), rng.randint(0, columns - width)
    down, right = rng.randint(0, rows - 1), rng.randint(0, columns - 1)
    mask, seen = np.zeros(grid, bool), 0
    for row in range(top, top + height):
        for column in range(left, left + width):
            if seen < visible:
                mask[(row + down) % rows, (column + right) % columns] = True
                seen += 1
    return mask


@pytest.mark.parametrize("grid, visible", [((4, 4), 5), ((4, 5), 7), ((4, 4), 15)])
def test_each_mask_is_as_frequent_as_in_the_plain_loop(grid, visible):
    rng = random.Random(0)
    ours = Counter(mask.tobytes() for mask in draws(grid, visible))
    theirs = Counter(plain(rng, grid, visible).tobytes() for _ in range(DRAWS))
    kinds = sorted(ours.keys() | theirs.keys())
    table = np.array([[found[kind] for kind in kinds] for found in (ours, theirs)])
    common = table.sum(0) >= 10
    table = np.concatenate([table[:, common], table[:, ~common].sum(1, keepdims=True) + 1], axis=1)
    assert len(kinds) > 10 and stats.chi2_contingency(table).pvalue > 1e-3


def looks(masks):
    """Of each mask: neighbours above and beside each other that are both visible, and patches of some places."""
    masks = masks.astype(float)
    around = [(masks * np.roll(masks, 1, axis)).sum((1, 2)) for axis in (1, 2)]
    return np.stack([*around, masks[:, 0].sum(1), masks[:, :, 0].sum(1), masks[:, 7].sum(1)], axis=1)


def test_the_papers_masks_are_those_of_the_plain_loop():
    grid, visible, count = (16, 16), 90, 1000
    rng = random.Random(1)
    ours, theirs = draws(grid, visible, count), np.stack([plain(rng, grid, visible) for _ in range(count)])
    assert (ours.sum((1, 2)) == visible).all() and (theirs.sum((1, 2)) == visible).all()
    ours, theirs = looks(ours), looks(theirs)
    error = np.sqrt((ours.var(0) + theirs.var(0)) / count)
    np.testing.assert_array_less(np.abs(ours.mean(0) - theirs.mean(0)), 4.5 * error)


def test_each_place_is_seen_as_often():
    share = draws((8, 8), 22).mean(0)
    assert np.abs(share - 22 / 64).max() < 4.5 * math.sqrt(22 / 64 * 42 / 64 / DRAWS)


@pytest.mark.parametrize("grid, visible", [((1, 1 + 4), 1), ((2, 8), 4), ((3, 3), 8), ((14, 14), 1), ((14, 14), 195)])
def test_exactly_so_many_are_seen(grid, visible):
    assert (draws(grid, visible, 500).sum((1, 2)) == visible).all()


def test_some_places_are_drawn_alike_and_without_repetition():
    mask = jnp.arange(12) % 3 > 0
    found = np.asarray(jax.vmap(lambda key: masking.some_places(key, mask, 3))(KEYS))
    assert found.dtype == np.int32 and found.shape == (DRAWS, 3) and np.asarray(mask)[found].all()
    assert all(len({*row}) == 3 for row in found.tolist())
    assert stats.chisquare(np.bincount(found.ravel(), minlength=12)[np.asarray(mask)]).pvalue > 1e-3


@pytest.mark.parametrize(
    "grid, visible, settings, message",
    [
        ((4, 4), 0, {}, "visible 0 is not from 1 to all but one of 16 patches"),
        ((4, 4), 16, {}, "visible 16 is not from 1"),
        ((4, 4), 4, dict(least_aspect=0.0), r"least_aspect 0.0 is not in \(0, 1\]"),
        ((2, 8), 15, {}, "least_aspect 0.5 allows no block of 15 patches on 2 x 8"),
    ],
)
def test_impossible_settings(grid, visible, settings, message):
    with pytest.raises(ValueError, match=message):
        masking.inverse_block(KEYS[0], grid, visible, **settings)
