"""Negatives are other masked places, each as often."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import losses, masking

MASK = jnp.array([0, 1, 1, 0, 0, 1, 0, 1, 1, 0])
MASKED = np.flatnonzero(MASK)


def many(draws, mask, count):
    keys = jax.random.split(jax.random.key(0), draws)
    return np.asarray(jax.jit(jax.vmap(lambda key: masking.sample_negatives(key, mask, count)))(keys))


def test_never_itself_and_always_masked():
    negatives = many(200, MASK, 7)
    assert negatives.shape == (200, 10, 7) and negatives.dtype == np.int32
    for t in MASKED:
        assert set(negatives[:, t].ravel()) == set(MASKED) - {t}


def test_each_other_place_is_as_likely():
    draws, count = 2000, 4
    negatives = many(draws, MASK, count)
    for t in MASKED:
        share = np.bincount(negatives[:, t].ravel(), minlength=10)[np.setdiff1d(MASKED, t)] / (draws * count)
        np.testing.assert_allclose(share, 1 / 4, atol=4.5 * np.sqrt(1 / 4 * 3 / 4 / (draws * count)))


def test_draws_of_a_place_and_of_two_places_are_independent():
    draws = 8000
    negatives = many(draws, MASK, 2)
    equal = (negatives[:, 1, 0] == negatives[:, 1, 1]).mean()  # of 4
    np.testing.assert_allclose(equal, 1 / 4, atol=4.5 * np.sqrt(3 / 16 / draws))
    equal = (negatives[:, 1, 0] == negatives[:, 2, 0]).mean()  # 3 in common, of 4 each
    np.testing.assert_allclose(equal, 3 / 16, atol=4.5 * np.sqrt(3 / 16 * 13 / 16 / draws))


def test_everything_masked():
    negatives = many(100, jnp.ones(3, bool), 5)
    for t in range(3):
        assert set(negatives[:, t].ravel()) == {0, 1, 2} - {t}


def test_two_masked_places_have_each_other():
    negatives = many(20, jnp.array([0, 0, 1, 1.0]), 3)
    np.testing.assert_array_equal(negatives[:, 2], 3)
    np.testing.assert_array_equal(negatives[:, 3], 2)


@pytest.mark.parametrize("mask", [[0, 0, 0], [0, 1, 0], [0, 0, 1]])
def test_without_another_place_it_is_itself(mask):
    expected = np.broadcast_to(np.arange(3)[None, :, None], (5, 3, 4))
    np.testing.assert_array_equal(many(5, jnp.array(mask), 4), expected)


def test_places_that_are_not_masked_have_themselves():
    negatives = many(20, MASK, 3)
    for t in np.flatnonzero(MASK == 0):
        np.testing.assert_array_equal(negatives[:, t], t)


def test_a_single_masked_place_costs_nothing_in_wav2vec2():
    x = jax.random.normal(jax.random.key(1), (1, 3, 4))
    mask = jnp.array([0, 1, 0])
    negatives = masking.sample_negatives(jax.random.key(2), mask, 4)[None]
    assert losses.wav2vec2(x, 2 * x + 1, negatives, mask[None]) == 0


def test_misfits_are_named():
    with pytest.raises(ValueError, match="vmap"):
        masking.sample_negatives(jax.random.key(0), jnp.ones((2, 3)), 4)
    with pytest.raises(ValueError, match="count 0"):
        masking.sample_negatives(jax.random.key(0), jnp.ones(3), 0)
