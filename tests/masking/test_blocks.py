"""Blocks of hidden patches: counts, shapes, and a plain Python loop as reference."""

import math
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import masking

GRID, DRAWS = (14, 14), 400
KEYS = jax.random.split(jax.random.key(0), DRAWS)


def draws(count, **settings):
    return np.asarray(jax.vmap(lambda key: masking.block_patches(key, GRID, count, **settings))(KEYS))


def plain(rng, count, min_block, min_aspect=0.3):
    """Algorithm 1 of BEiT with ten attempts a block."""
    mask, hidden, log = np.zeros(GRID, bool), 0, math.log(min_aspect)
    while hidden < count:
        for _ in range(10):
            area, aspect = rng.uniform(min_block, count - hidden), math.exp(rng.uniform(log, -log))
            height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if height >= GRID[0] or width >= GRID[1]:
                continue
            top, left = rng.randint(0, GRID[0] - height), rng.randint(0, GRID[1] - width)
            block = np.zeros(GRID, bool)
            block[top : top + height, left : left + width] = True
            new = (block & ~mask).sum()
            if 0 < new <= count - hidden:
                mask, hidden = mask | block, hidden + new
                break
        else:
            break
    return mask.reshape(-1)


def looks(masks):
    """Of each mask: hidden patches, hidden neighbours above and beside each other and the square of how these differ,
    the first row and column, in how many rows and columns patches are hidden and the square of how these differ."""
    grids = masks.reshape(-1, *GRID).astype(float)
    above = (grids[:, 1:] * grids[:, :-1]).sum((1, 2))
    beside = (grids[:, :, 1:] * grids[:, :, :-1]).sum((1, 2))
    rows, columns = grids.any(2).sum(1), grids.any(1).sum(1)
    neighbours, extents = [above, beside, (above - beside) ** 2], [rows, columns, (rows - columns) ** 2]
    return np.stack([grids.sum((1, 2)), *neighbours, grids[:, 0].sum(1), grids[:, :, 0].sum(1), *extents], axis=1)


OF_PAPERS = [(75, 16), (120, 16), (78, 15)]  # BEiT, data2vec, MaskFeat


def apart(ours, count, min_block, **settings):
    """By how many standard errors means differ from those of the plain loop; and these."""
    rng = random.Random(0)
    theirs = looks(np.stack([plain(rng, count, min_block, **settings) for _ in range(DRAWS)]))
    error = np.sqrt((ours.var(0) + theirs.var(0)) / DRAWS) + 1e-9
    return (ours.mean(0) - theirs.mean(0)) / error, theirs, error


@pytest.mark.parametrize("count, min_block", [(80, 4), (33, 16), (40, 30), *OF_PAPERS])
def test_distribution_is_that_of_the_plain_loop(count, min_block):
    ours = looks(draws(count, min_block=min_block))
    difference, theirs, error = apart(ours, count, min_block)
    np.testing.assert_array_less(np.abs(difference), 4.5)
    shuffled = looks(np.stack([np.random.default_rng(i).permutation(m) for i, m in enumerate(draws(count))]))
    assert np.abs(shuffled[:, 1].mean() - theirs[:, 1].mean()) > 20 * error[1], "a test that scattered patches fail"


@pytest.mark.parametrize("count, min_block", [(40, 30), (75, 16), (78, 15)])
def test_other_aspects_would_be_told(count, min_block):
    difference, *_ = apart(looks(draws(count, min_block=min_block)), count, min_block, min_aspect=0.5)
    assert difference.max() > 4.5


def test_never_more_than_asked_for_and_nearly_as_many():
    hidden = draws(60).sum(1)
    assert hidden.max() <= 60 and np.mean(hidden) > 57 and draws(0).sum() == 0


@pytest.mark.parametrize("count, min_block", OF_PAPERS)
def test_few_patches_are_hidden_one_by_one(count, min_block):
    """What blocks leave, once no further one of `min_block` can be hidden: less than one of them on average."""
    missing = count - draws(count, min_block=min_block).sum(1)
    assert 0 <= missing.min() and missing.max() < 2 * min_block and 0 < missing.mean() < min_block


def test_exactly_as_many_are_hidden_by_blocks_and_then_one_by_one():
    exact = np.asarray(jax.vmap(lambda key: masking.exact_blocks(key, GRID, 78, min_block=15))(KEYS))
    of_blocks = lambda key: masking.block_patches(jax.random.split(key)[0], GRID, 78, min_block=15)
    blocks = np.asarray(jax.vmap(of_blocks)(KEYS))
    np.testing.assert_array_equal(exact.sum(1), 78)
    assert not (blocks & ~exact).any() and (blocks.sum(1) < 78).any()
    others = (exact & ~blocks).sum(0) / (~blocks).sum(0)  # each other patch is hidden as often
    share = (78 - blocks.sum(1)).sum() / (~blocks).sum()
    assert abs(others.mean() - share) < 0.01 and others.std() < 2 * np.sqrt(share / DRAWS)
    for count in (-1, 197):
        with pytest.raises(ValueError, match=f"count {count} is not between 0 and the 196 patches"):
            masking.exact_blocks(KEYS[0], GRID, count)


def test_impossible_settings():
    with pytest.raises(ValueError, match="min_block 0 is below 1"):
        masking.block_patches(KEYS[0], GRID, 9, min_block=0)
    with pytest.raises(ValueError, match=r"min_aspect 2.0 is not in \(0, 1\]"):
        masking.block_patches(KEYS[0], GRID, 9, min_aspect=2.0)


def test_ratios_fill_the_range_evenly_for_the_share():
    ratios = np.sort(masking.spread_ratios(KEYS[0], 40, share=0.5, low=0.1, high=0.5))
    assert (ratios[:20] == 0).all()
    np.testing.assert_array_equal(np.floor((ratios[20:] - 0.1) / 0.02 + 1e-4), np.arange(20))
    assert (masking.spread_ratios(KEYS[0], 40) != masking.spread_ratios(KEYS[1], 40)).any()
    assert (masking.spread_ratios(KEYS[0], 4, share=0.1) > 0).sum() == 1


def test_hidden_patches_come_first_and_count():
    places, counted = masking.hidden_first(jnp.array([0, 1, 0, 0, 1, 0], bool), 3)
    np.testing.assert_array_equal(places[:2], [1, 4])
    np.testing.assert_array_equal(counted, [1, 1, 0])
    assert int(places[2]) in (0, 2, 3, 5)
