"""BEST-RQ's codes are of what was said, and its network hears noise there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import losses
from ssl_jax.methods.best_rq import Fixed
from tests import sounds

METHOD = sounds.method("best_rq")
SEEN = sounds.views(METHOD)


def test_hidden_fours_are_noise_and_others_are_as_they_were():
    mask = np.repeat(np.asarray(SEEN["mask"]), 4, axis=1)
    frames = np.asarray(SEEN["frames"])[:, : mask.shape[1]]
    plain = np.asarray(jax.vmap(METHOD.view.evaluate)(sounds.batch())["frames"])[:, : mask.shape[1]]
    # Two programs, whose sums XLA may order in two ways; noise is 0.1, frames are 1.
    np.testing.assert_allclose(frames[mask == 0], plain[mask == 0], rtol=1e-6, atol=1e-6)
    assert mask.sum() > 0 and 0.08 < frames[mask > 0].std() < 0.12 and plain[mask > 0].std() > 0.5


def test_codes_are_of_what_is_hidden():
    plain = jax.vmap(METHOD.view.evaluate)(sounds.batch())["frames"]
    fours = plain[:, : 4 * (plain.shape[1] // 4)].reshape(len(plain), -1, 4 * plain.shape[2])
    codes = losses.random_projection_quantizer(fours, METHOD.random_projection[...], METHOD.codebook[...])
    np.testing.assert_array_equal(SEEN["codes"], codes)


def test_the_quantizer_is_never_trained():
    assert isinstance(METHOD.random_projection, Fixed) and isinstance(METHOD.codebook, Fixed)


def test_what_lies_behind_the_end_changes_nothing():
    counts = METHOD.backbone.frames(SEEN["length"])
    behind = (jnp.arange(SEEN["frames"].shape[1])[None] >= SEEN["length"][:, None])[:, :, None]
    noisy = jnp.where(behind, 7.0, SEEN["frames"])
    clean, dirty = (np.asarray(jax.jit(METHOD.backbone)(frames, SEEN["length"])) for frames in (SEEN["frames"], noisy))
    for row, count in enumerate(counts):
        np.testing.assert_array_equal(clean[row, :count], dirty[row, :count])
    assert clean.shape[1] == SEEN["mask"].shape[1]


@pytest.mark.parametrize("length", [20, 22])
def test_a_recording_is_heard_alike_whatever_lies_behind(length):
    frames, lengths = SEEN["frames"][:1, :length], jnp.array([length])
    alone = METHOD.backbone(frames, lengths)[:, : length // 4]
    for behind in range(1, 6):
        padded = METHOD.backbone(jnp.pad(frames, ((0, 0), (0, behind), (0, 0))), lengths)[:, : length // 4]
        np.testing.assert_allclose(padded, alone, atol=1e-5)
