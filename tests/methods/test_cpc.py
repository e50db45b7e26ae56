"""CPC looks back only, and tells frames of an utterance from others of the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import sounds

METHOD = sounds.method("cpc")


def test_a_context_does_not_hear_what_comes():
    heard = jax.vmap(METHOD.view.evaluate)(sounds.batch())
    later = heard | {"waveform": heard["waveform"].at[:, 2000:].set(0.3)}
    before, after = (np.asarray(jax.jit(METHOD.backbone)(**each)) for each in (heard, later))
    heard_first = int(METHOD.backbone.frames(2000))
    np.testing.assert_array_equal(before[:, :heard_first], after[:, :heard_first])
    assert (before[:, heard_first:] != after[:, heard_first:]).any()


def test_negatives_are_real_frames():
    seen = sounds.views(METHOD)
    frames = np.asarray(METHOD.backbone.frames(seen["length"]))
    for row, count in enumerate(frames):
        assert np.asarray(seen["negatives"])[row, :count].max() < count


def test_predictions_that_are_right_are_counted():
    """Where every prediction is the encoding itself, and encodings point apart, all are told from the others."""
    from ssl_jax.methods.cpc import _accuracy

    encodings = jnp.eye(6)[None]
    ahead = jnp.stack([jnp.roll(encodings, -step, 1) for step in (1, 2)], 2)
    negatives = jnp.asarray([[[(place + 3) % 6] for place in range(6)]])
    found = lambda *arrays: {name.rpartition("_")[2]: share for name, share in _accuracy(*arrays, there).items()}
    there = jnp.ones((1, 6))
    assert found(ahead, encodings, negatives) == {"accuracy": 1.0, "chance": 0.5}
    assert found(-ahead, encodings, negatives) == {"accuracy": 0.0, "chance": 0.5}
    next_one = jnp.asarray([[[(place + 1) % 6, (place + 3) % 6] for place in range(6)]])
    right, chance = found(ahead, encodings, next_one).values()
    assert right == 1.0, "the true frame is no negative"
    np.testing.assert_allclose(chance, (5 * 1 / 2 + 4 * 1 / 3) / 9, rtol=1e-6)


def test_more_steps_than_frames_are_refused():
    with pytest.raises(ValueError, match="steps_ahead 30 is no less than the"):
        sounds.method("cpc", steps_ahead=30)
