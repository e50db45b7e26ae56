"""What V-JEPA's masks hide of a clip: how much, where, at all times; and a plain Python loop as reference."""

import inspect
import math

import jax
import numpy as np
import pytest

from ssl_jax import masking
from ssl_jax.methods import VJEPA

TIMES, IMAGE, PLACES, DRAWS = 3, (14, 14), 196, 1500
KEYS = jax.random.split(jax.random.key(0), DRAWS)
KINDS = {"short-range": (8, 0.15, 0.627), "long-range": (2, 0.7, 0.815)}  # blocks, scale, the share that is hidden


def draws(blocks, scale, *, image=IMAGE, count=DRAWS, **settings):
    settings = dict(most_visible=math.prod(image), most_hidden=math.prod(image)) | settings
    draw = lambda key: masking.block_tubes(key, (TIMES, *image), blocks=blocks, scale=scale, **settings)
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(draw))(KEYS[:count]))


def as_masks(places, counted, image=IMAGE):
    """Numbers of patches [B, M] as masks [B, times, rows, columns]."""
    masks = np.zeros((len(places), TIMES * math.prod(image)), bool)
    for mask, row, real in zip(masks, places, counted):
        mask[row[real]] = True
    return masks.reshape(-1, TIMES, *image)


def plain(rng, blocks, scale, aspect=None):
    """One clip, as the official code draws it for a batch of one: bool [rows, columns]."""
    aspect, area = rng.uniform(0.75, 1.5) if aspect is None else aspect, int(PLACES * scale)
    height, width = (min(round(math.sqrt(x)), side) for x, side in zip((area * aspect, area / aspect), IMAGE))
    while True:
        mask = np.zeros(IMAGE, bool)
        for _ in range(blocks):
            top, left = rng.integers(0, IMAGE[0] - height + 1), rng.integers(0, IMAGE[1] - width + 1)
            mask[top : top + height, left : left + width] = True
        if not mask.all():
            return mask


def looks(masks):
    """Of each image: how much is hidden, its square, of the corner, of two edges, of the middle, and whole rows."""
    share = masks.mean((1, 2))
    edges = [masks[:, 0].mean(1), masks[:, :, -1].mean(1)]
    columns = [share, share**2, masks[:, 0, 0], *edges, masks[:, 6:8, 6:8].mean((1, 2)), masks.all(2).mean(1)]
    return np.stack(columns, axis=1).astype(float)


@pytest.mark.parametrize("kind", KINDS)
def test_distribution_is_that_of_the_official_code(kind):
    blocks, scale, hidden = KINDS[kind]
    found = draws(blocks, scale)
    ours = looks(as_masks(found.targets[:, 0], found.counted[:, 0])[:, 0])
    rng = np.random.default_rng(0)
    theirs = looks(np.stack([plain(rng, blocks, scale) for _ in range(DRAWS)]))
    error = np.sqrt((ours.var(0) + theirs.var(0)) / DRAWS)
    np.testing.assert_array_less(np.abs(ours.mean(0) - theirs.mean(0)), 4.5 * error + 1e-9)
    assert abs(ours[:, 0].mean() - hidden) < 0.02  # blocks overlap: together they would hide 120 and 140 %


@pytest.mark.parametrize("number", range(2))
def test_as_much_is_seen_and_predicted_as_in_batches_of_the_official_code(number):
    """It cuts all of a device's 24 clips to the one of which fewest places are seen, and hidden."""
    blocks, scale, _ = list(KINDS.values())[number]
    found = []
    for seed in range(200):
        of_batch = np.random.default_rng(seed).uniform(0.75, 1.5)
        hidden = [plain(np.random.default_rng((seed, clip)), blocks, scale, of_batch).mean() for clip in range(24)]
        found.append((1 - max(hidden), min(hidden)))
    defaults = inspect.signature(VJEPA.__init__).parameters
    expected = [defaults[name].default[number] for name in ("context_shares", "predicted_shares")]
    np.testing.assert_allclose(np.mean(found, axis=0), expected, atol=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_hidden_is_predicted_at_all_times_and_all_else_is_seen(kind):
    found = draws(*KINDS[kind][:2], count=200)
    hidden, seen = as_masks(found.targets[:, 0], found.counted[:, 0]), as_masks(found.visible, found.seen)
    np.testing.assert_array_equal(hidden, ~seen)
    assert (hidden == hidden[:, :1]).all() and seen.any((1, 2, 3)).all()


def test_of_too_many_places_those_left_out_are_drawn_for_all_times():
    whole, cut = (draws(8, 0.15, count=600, **most) for most in ({}, dict(most_visible=40, most_hidden=60)))
    assert cut.visible.shape == (600, TIMES * 40) and cut.targets.shape == (600, 1, TIMES * 60)
    for places, counted, most in (("visible", "seen", 40), ("targets", "counted", 60)):
        all_of, kept = (
            as_masks(getattr(found, places).reshape(600, -1), getattr(found, counted).reshape(600, -1))
            for found in (whole, cut)
        )
        assert not (kept & ~all_of).any() and (kept == kept[:, :1]).all()
        np.testing.assert_array_equal(kept[:, 0].sum((1, 2)), np.minimum(all_of[:, 0].sum((1, 2)), most))
        upper, lower = (kept[:, 0, rows].sum() / all_of[:, 0, rows].sum() for rows in (slice(0, 7), slice(7, None)))
        assert abs(upper - lower) < 0.03, "a place is kept as often wherever it lies"


def test_where_nothing_is_left_all_is_drawn_again():
    """Two of three places on, blocks of two thirds hide all of an image half of the time."""
    seen = as_masks(*(lambda found: (found.visible, found.seen))(draws(2, 0.7, image=(3, 3), count=400)), (3, 3))
    assert seen.any((1, 2, 3)).all()


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(blocks=0), "blocks 0 is below 1"),
        (dict(scale=1.0), "scale 1.0 of a block is not between 0 and 1"),
        (dict(scale=0.001), "scale 0.001 leaves no patch of 14 x 14"),
        (dict(scale=0.95, aspect=(1.0, 1.0)), "scale 0.95 of a block may hide all of 14 x 14 patches"),
        (dict(aspect=(1.5, 0.75)), r"aspect \(1.5, 0.75\) is not a range"),
        (dict(most_visible=0), "most_visible 0 is not from 1 to the 196 places"),
        (dict(most_hidden=197), "most_hidden 197 is not from 1 to the 196 places"),
    ],
)
def test_impossible_settings(settings, message):
    fitting = dict(blocks=8, scale=0.15, most_visible=196, most_hidden=196)
    with pytest.raises(ValueError, match=message):
        masking.block_tubes(KEYS[0], (TIMES, *IMAGE), **fitting | settings)
