"""Hidden spans: how many, where, how long."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import masking
from tests.masking.shares import expected_share, near


def many(draws, frames, **settings):
    keys = jax.random.split(jax.random.key(0), draws)
    hide = jax.vmap(lambda key: masking.random_spans(key, frames, **settings))
    return np.asarray(jax.jit(hide)(keys))


def runs(mask):
    """Lengths of the stretches of ones."""
    edges = np.flatnonzero(np.diff(np.pad(mask, 1)))
    return edges[1::2] - edges[::2]


def test_a_single_span_is_whole_and_starts_anywhere():
    masks = many(2000, jnp.ones(20), start_rate=0.05, span=6)  # one start exactly
    assert masks.dtype == np.float32
    assert all(list(runs(mask)) == [6] for mask in masks)
    starts = np.bincount(masks.argmax(1), minlength=20)
    assert starts[15:].sum() == 0
    np.testing.assert_allclose(starts[:15] / 2000, 1 / 15, atol=4.5 * np.sqrt(1 / 15 * 14 / 15 / 2000))


def test_spans_of_one_frame_are_as_many_as_said_on_average():
    masks = many(4000, jnp.ones(30), start_rate=0.11, span=1)  # 3.3
    counts = masks.sum(1)
    assert set(counts) == {3, 4}
    np.testing.assert_allclose(counts.mean(), 3.3, atol=4.5 * np.sqrt(0.21 / 4000))


def test_overlapping_spans_are_one_long_one():
    lengths = np.concatenate([runs(mask) for mask in many(200, jnp.ones(40), start_rate=0.15, span=5)])
    assert lengths.min() == 5 and lengths.max() > 5


def test_padding_is_never_hidden():
    frames = (jnp.arange(50) < 23).astype(jnp.float32)
    masks = many(500, frames, start_rate=0.1, span=4)
    assert masks[:, 23:].sum() == 0 and masks[:, 22].max() == 1 and masks[:, 0].max() == 1


@pytest.mark.parametrize("start_rate", [0.065, 0.08], ids=["wav2vec2", "hubert"])
def test_the_share_is_what_starts_without_replacement_cover(start_rate):
    masks = many(400, jnp.ones(735), start_rate=start_rate)
    assert near(masks.mean(1), expected_share(735, start_rate, 10))
    for other in (0.97, 1.03):
        assert not near(masks.mean(1), expected_share(735, other * start_rate, 10)), "a rate that is 3 % off would show"


def test_the_papers_share():
    """Section 4.2 of wav2vec 2.0: about 49% of all frames, a mean span of 14.7 frames (of 15 s at 49 Hz)."""
    assert round(100 * expected_share(735, 0.065, 10)) == 49
    masks = many(400, jnp.ones(735))
    lengths = [runs(mask) for mask in masks]
    ratio = np.concatenate(lengths).mean()
    error = np.std([row.sum() - ratio * len(row) for row in lengths]) / np.mean([len(row) for row in lengths]) / 20
    assert abs(ratio - 14.7) < 4.5 * error + 0.05, "0.05 for how the paper rounds"


@pytest.mark.parametrize("length", [0, 1, 4])
def test_too_short_for_a_span(length):
    assert many(20, jnp.arange(12) < length, start_rate=1.0, span=5).sum() == 0


def test_all_of_a_short_sequence():
    np.testing.assert_array_equal(
        many(5, jnp.arange(12) < 5, start_rate=1.0, span=5), (np.arange(12) < 5)[None] * np.ones((5, 1))
    )


def test_impossible_settings():
    ones, key = jnp.ones(8), jax.random.key(0)
    with pytest.raises(ValueError, match="vmap"):
        masking.random_spans(key, jnp.ones((2, 8)))
    with pytest.raises(ValueError, match="start_rate 1.5"):
        masking.random_spans(key, ones, start_rate=1.5, span=2)
    for span in (0, 9):
        with pytest.raises(ValueError, match=f"span {span} is not between 1 and the sequence length 8"):
            masking.random_spans(key, ones, span=span)
