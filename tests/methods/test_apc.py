"""APC looks back only."""

import jax
import numpy as np
import pytest

from tests import sounds

METHOD = sounds.method("apc")


def test_a_prediction_does_not_hear_what_it_predicts():
    seen = sounds.views(METHOD)
    later = seen | {"frames": seen["frames"].at[:, 20:].add(1.0)}
    before, after = (np.asarray(jax.jit(METHOD.backbone)(**each)) for each in (seen, later))
    np.testing.assert_array_equal(before[:, :20], after[:, :20])
    assert (before[:, 20:] != after[:, 20:]).any()


def test_copying_is_the_error_between_frames():
    seen = sounds.views(METHOD)
    frames, counts = np.asarray(seen["frames"]), np.asarray(seen["length"])
    pairs = [np.abs(f[: n - 2] - f[2:n]).mean(-1) for f, n in zip(frames, counts)]
    error, (loss, metrics) = np.concatenate(pairs).mean(), sounds.loss(METHOD, seen)
    np.testing.assert_allclose(metrics["copy_error"], error, rtol=1e-5)
    np.testing.assert_allclose(metrics["copy_skill"], (error - loss) / error, rtol=1e-4)


@pytest.mark.parametrize(
    "settings, message", [(dict(shift=0), "shift 0 is below 1"), (dict(shift=99), "shift 99 is no")]
)
def test_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        sounds.method("apc", **settings)
