"""SpecAugment: what is hidden, how much of it, and that nothing behind the end counts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import augment

ONES = jnp.ones((40, 20))
KEYS = jax.random.split(jax.random.key(0), 2000)


def masks(**settings):
    settings = dict(frequency_masks=0, time_masks=0) | settings
    done = jax.vmap(lambda key: augment.spec_augment(key, ONES, 30, **settings))(KEYS)
    return np.asarray(done) == 0


def test_bands_of_frequencies():
    hidden = masks(frequency_masks=1, frequency_width=4)
    assert not hidden[:, 30:].any()
    assert (hidden[:, :30] == hidden[:, :1]).all()
    widths = hidden[:, 0].sum(axis=1)
    np.testing.assert_allclose(np.bincount(widths, minlength=5) / 2000, 0.2, atol=0.04)
    assert (np.diff(hidden[:, 0].astype(int), axis=1) == 1).sum(axis=1).max() <= 1
    assert hidden[:, 0].any(axis=0).all()


def test_stretches_of_time():
    hidden = masks(time_masks=2, time_width=5)
    assert not hidden[:, 30:].any()
    assert (hidden == hidden[:, :, :1]).all()
    counts = hidden[:, :, 0].sum(axis=1)
    assert counts.max() == 10 and counts.min() == 0
    assert hidden[:, :30, 0].any(axis=0).all()


def test_a_stretch_covers_at_most_its_share():
    assert masks(time_masks=1, time_width=100, time_share=0.2)[:, :, 0].sum(axis=1).max() == 6


def test_another_value():
    done = augment.spec_augment(KEYS[0], ONES, 30, frequency_masks=4, time_masks=0, frequency_width=9, value=-7.0)
    assert set(np.unique(done)) == {-7.0, 1.0}


def test_warped_time_keeps_its_ends_and_its_order():
    ramp = jnp.broadcast_to(jnp.arange(40.0)[:, None], (40, 3))
    warp = functools.partial(augment.spec_augment, frequency_masks=0, time_masks=0, warp=5)
    done = np.asarray(jax.vmap(lambda key: warp(key, ramp, 30))(KEYS[:200]))
    assert (done == done[..., :1]).all()
    times = done[..., 0]
    np.testing.assert_allclose(times[:, [0, 29]], np.broadcast_to([0, 29], (200, 2)), atol=1e-3)
    assert np.diff(times[:, :30], axis=1).min() >= 0
    np.testing.assert_array_equal(times[:, 30:], np.broadcast_to(np.arange(30, 40), (200, 10)))
    moved = np.abs(times[:, :30] - np.arange(30)).max(axis=1)
    assert 3.0 < moved.max() <= 5.001 and moved.min() < 1


@pytest.mark.parametrize("frames", [0, 1, 7])
def test_short_recordings(frames):
    done = augment.spec_augment(KEYS[1], ONES * 3, frames, warp=5, frequency_masks=2, time_masks=2)
    assert np.all(np.isfinite(done)) and np.all(np.asarray(done[frames:]) == 3)


def test_what_lies_behind_the_end_changes_nothing():
    other = ONES.at[30:].set(99.0)
    settings = dict(warp=5, frequency_masks=1, time_masks=1)
    first, second = (augment.spec_augment(KEYS[2], x, 30, **settings) for x in (ONES, other))
    np.testing.assert_array_equal(first[:30], second[:30])
