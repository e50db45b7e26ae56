"""I-JEPA's contexts and target blocks: sizes, places, and a plain Python loop as reference."""

import inspect
import math

import jax
import numpy as np
import pytest

from ssl_jax import masking
from ssl_jax.methods import IJEPA

GRID, PATCHES, DRAWS = (14, 14), 196, 600
KEYS = jax.random.split(jax.random.key(0), DRAWS)


def draws(grid=GRID, count=DRAWS, **settings):
    settings = dict(most_visible=grid[0] * grid[1]) | settings
    found = jax.jit(jax.vmap(lambda key: masking.multi_block(key, grid, **settings)))(KEYS[:count])
    return jax.tree.map(np.asarray, found)


def as_masks(places, counted, size=PATCHES):
    """Numbers of patches [..., M] as masks [..., patches]."""
    masks = np.zeros((*places.shape[:-1], size), bool)
    np.put_along_axis(masks, places, counted, axis=-1)
    for index in np.ndindex(places.shape[:-1]):
        masks[index] = False
        masks[index][places[index][counted[index]]] = True
    return masks


def plain(rng):
    """One image, from the paper: scale and aspect independent, all places alike."""
    size = lambda scale, aspect: tuple(
        min(max(round(math.sqrt(x)), 1), side - 1)
        for x, side in zip((int(PATCHES * scale) * aspect, int(PATCHES * scale) / aspect), GRID)
    )

    def block(height, width):
        mask = np.zeros(GRID, bool)
        top, left = rng.integers(0, GRID[0] - height + 1), rng.integers(0, GRID[1] - width + 1)
        mask[top : top + height, left : left + width] = True
        return mask.reshape(-1)

    while True:
        of_targets = size(rng.uniform(0.15, 0.2), rng.uniform(0.75, 1.5))
        targets = np.stack([block(*of_targets) for _ in range(4)])
        context = block(*size(rng.uniform(0.85, 1.0), 1.0)) & ~targets.any(0)
        if context.sum() >= 11:
            return targets, context


def looks(targets, context):
    """Of each image: patches of a target, of their union, of the context, first rows and columns of both; the target's
    height over its width, the square of that, and how both go together with its area."""
    grids = [x.reshape(len(x), *GRID) for x in (targets[:, 0], context)]
    aspect = grids[0].any(2).sum(1) / grids[0].any(1).sum(1) - 1.1
    edges = [edge for grid in grids for edge in (grid[:, 0].sum(1), grid[:, :, 0].sum(1))]
    areas = [targets[:, 0].sum(1), targets.any(1).sum(1), context.sum(1)]
    columns = [*areas, *edges, aspect, aspect**2, aspect * (areas[0] - 33)]
    return np.stack(columns, axis=1).astype(float)


def test_distribution_is_that_of_the_plain_loop():
    found = draws()
    ours = looks(as_masks(found.targets, found.counted), as_masks(found.visible, found.seen))
    rng = np.random.default_rng(0)
    theirs = looks(*map(np.stack, zip(*(plain(rng) for _ in range(DRAWS)))))
    error = np.sqrt((ours.var(0) + theirs.var(0)) / DRAWS)
    np.testing.assert_array_less(np.abs(ours.mean(0) - theirs.mean(0)), 4.5 * error)
    assert abs(ours[:, 0].mean() - 0.15 * PATCHES) > 10 * error[0], "a test that a fixed scale fails"


def fewest_seen(rng, images=128, side=16):
    """The share of patches that the official code shows of a device's batch: it cuts all contexts to the shortest.

    There one number gives a block's scale and aspect, and blocks never touch the last row or column.
    """

    def blocks(height, width, count):
        first = lambda size: rng.integers(0, side - size, (images, count, 1))
        inside = lambda size, start: (np.arange(side) >= start) & (np.arange(side) < start + size)
        return inside(height, first(height))[..., None] & inside(width, first(width))[..., None, :]

    drawn = rng.uniform()
    area, aspect = int(side**2 * (0.15 + 0.05 * drawn)), 0.75 + 0.75 * drawn
    targets = blocks(round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect)), 4)
    of_context = min(round(math.sqrt(int(side**2 * rng.uniform(0.85, 1.0)))), side - 1)
    return (blocks(of_context, of_context, 1)[:, 0] & ~targets.any(1)).mean((1, 2)).min()


def test_as_much_is_seen_as_in_batches_of_the_official_code():
    shares = [fewest_seen(np.random.default_rng(seed)) for seed in range(300)]
    default = inspect.signature(IJEPA.__init__).parameters["context_share"].default
    assert np.std(shares) / np.sqrt(300) < 0.003 and abs(np.mean(shares) - default) < 0.01


def test_targets_are_rectangles_of_one_size_and_none_of_them_is_seen():
    found = draws()
    targets, context = as_masks(found.targets, found.counted), as_masks(found.visible, found.seen)
    counts = found.counted.sum(-1)
    assert (counts == counts[:, :1]).all() and counts.min() >= 25 and counts.max() == 42
    grids = targets.reshape(DRAWS, 4, *GRID)
    heights, widths = grids.any(3).sum(2), grids.any(2).sum(2)
    np.testing.assert_array_equal(heights * widths, counts)
    assert not (targets.any(1) & context).any()


@pytest.mark.parametrize("grid", [(14, 14), (16, 16), (8, 8), (7, 7), (6, 10), (4, 4)])
def test_room_for_a_target_is_what_the_largest_takes(grid):
    scale, aspect = (0.15, 0.2), (0.75, 1.5)
    side = lambda value, most: min(max(math.floor(math.sqrt(value) + 0.5), 1), most - 1)
    area = int(grid[0] * grid[1] * scale[1])
    most = max(side(area * a, grid[0]) * side(area / a, grid[1]) for a in np.linspace(aspect[0], aspect[1], 20_001))
    assert masking.most_in_target(grid, scale, aspect) == most


def test_of_too_many_visible_patches_those_left_out_are_drawn():
    whole, cut = draws(), draws(most_visible=40)
    context, kept = as_masks(whole.visible, whole.seen), as_masks(cut.visible, cut.seen)
    assert not (kept & ~context).any() and cut.visible.shape == (DRAWS, 40)
    np.testing.assert_array_equal(kept.sum(1), np.minimum(context.sum(1), 40))
    # A patch of a context is kept as often wherever it lies: upper half and lower half alike.
    share = lambda rows: kept[:, rows].sum() / context[:, rows].sum()
    assert abs(share(slice(0, 98)) - share(slice(98, None))) < 0.03


def test_short_contexts_are_drawn_again():
    few = draws((4, 4), least_visible=1, count=400).seen.sum(1)
    enough = draws((4, 4), least_visible=5, count=400).seen.sum(1)
    assert few.min() < 5 <= enough.min()


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(targets=0), "targets 0 is below 1"),
        (dict(most_visible=5), "least_visible 11 and most_visible 5 must be, in this order"),
        (dict(most_visible=197), "from 1 to the 196 patches"),
        (dict(target_scale=(0.2, 0.1)), r"target_scale \(0.2, 0.1\) is not a range"),
        (dict(context_scale=(0.5, 1.5)), r"context_scale \(0.5, 1.5\) is not a range"),
        (dict(target_aspect=(0.0, 1.0)), r"target_aspect \(0.0, 1.0\) is not a range"),
        (dict(target_scale=(0.001, 0.1)), "leaves no patch of 14 x 14"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        masking.multi_block(KEYS[0], GRID, **dict(most_visible=196) | settings)
