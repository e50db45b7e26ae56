"""Who attends to whom in packed rows."""

import jax.numpy as jnp
import numpy as np

from ssl_jax.models import attending

PARTS = jnp.asarray([[1, 1, 2, 2, 2, 0], [1, 1, 1, 1, 1, 1]])


def test_within_parts():
    mask = attending.within_parts(PARTS)
    two, three = np.ones((2, 2), bool), np.ones((3, 3), bool)
    expected = np.zeros((6, 6), bool)
    expected[:2, :2], expected[2:5, 2:5] = two, three
    np.testing.assert_array_equal(mask[0], expected)
    assert mask[1].all() and mask.shape == (2, 6, 6)


def test_positions_start_again_with_each_part():
    places = attending.positions_within(PARTS)
    np.testing.assert_array_equal(places, [[0, 1, 0, 1, 2, 0], [0, 1, 2, 3, 4, 5]])
    assert places.dtype == jnp.int32


def test_causal_sees_what_is_allowed_and_not_ahead():
    padded = attending.causal(PARTS > 0)
    np.testing.assert_array_equal(padded[0], np.tril(np.ones((6, 6), bool)) & (np.arange(6) < 5)[None])
    packed = attending.causal(attending.within_parts(PARTS))
    assert packed[0, 4].tolist() == [False, False, True, True, True, False]
    assert packed[0, 2].tolist() == [False, False, True, False, False, False]
