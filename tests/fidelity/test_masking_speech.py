"""What is hidden of speech, and what it is told from, against other projects: both are random, so in distribution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import masking

theirs = pytest.importorskip("transformers.models.wav2vec2.modeling_wav2vec2")
DRAWS = 3000
KEYS = jax.random.split(jax.random.key(0), DRAWS)


def assert_as_often(ours, expected, draws):
    """Two means of as many draws of 0 or 1 each differ by chance alone."""
    deviation = np.sqrt(2 * expected * (1 - expected) / draws)
    assert np.all(np.abs(ours - expected) <= 4.5 * deviation)


@pytest.mark.parametrize("length, rate, span", [(60, 0.065, 10), (37, 0.2, 4)])
def test_each_frame_is_hidden_as_often_as_in_transformers(length, rate, span):
    np.random.seed(0)
    # One at a time: the rounding is drawn once for each call.
    masks = np.concatenate([theirs._compute_mask_indices((1, length), rate * span, span) for _ in range(DRAWS)])
    hide = jax.vmap(lambda key: masking.random_spans(key, jnp.ones(length), start_rate=rate, span=span))
    assert_as_often(np.asarray(jax.jit(hide)(KEYS)).mean(0), masks.mean(0), DRAWS)


def test_each_pair_of_places_is_told_apart_as_often_as_in_transformers():
    mask = np.array([0, 1, 1, 0, 0, 1, 0, 1])
    np.random.seed(1)
    drawn = theirs._sample_negative_indices((DRAWS, 8), 3, mask_time_indices=np.tile(mask, (DRAWS, 1)))
    drawn = drawn - 8 * np.arange(DRAWS)[:, None, None]
    ours = np.asarray(jax.jit(jax.vmap(lambda key: masking.sample_negatives(key, mask, 3)))(KEYS))
    for t in np.flatnonzero(mask):
        share = [np.bincount(x[:, t].ravel(), minlength=8) / (3 * DRAWS) for x in (ours, drawn)]
        assert_as_often(*share, 3 * DRAWS)
