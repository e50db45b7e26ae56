"""data2vec's teacher; the loss is compared in tests/fidelity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.models import targets
from tests import sounds


def test_the_teacher_follows_and_shares_what_comes_before_the_blocks():
    method = sounds.method("data2vec", momentum=0.5, momentum_end=0.75, momentum_steps=10)
    weight = lambda stack: np.asarray(stack.blocks[0].mlp.hidden.kernel[...])
    before = weight(method.teacher)
    np.testing.assert_array_equal(before, weight(method.backbone.stack))
    method.backbone.stack.blocks[0].mlp.hidden.kernel[...] += 1.0
    method.follow(jnp.int32(0))
    np.testing.assert_allclose(weight(method.teacher), before + 0.5, rtol=1e-5, atol=1e-6)
    method.follow(jnp.int32(10))
    np.testing.assert_allclose(weight(method.teacher), before + 0.625, rtol=1e-5, atol=1e-6)
    followed = nnx.state(method, targets.TargetWeight)
    assert set(followed) == {"teacher", "teacher_norm"}


def test_targets_of_real_frames_do_not_depend_on_the_padding():
    method = sounds.method("data2vec")
    whole = jax.vmap(method.view.evaluate)(sounds.batch())
    features = lambda waveform, length: method.backbone.feature_norm(method.backbone.convolve(waveform, length))

    def of(waveform, length):
        return method.targets(features(waveform, length), method.backbone.frames(length))

    padded = jax.jit(of)(whole["waveform"], whole["length"])
    for row, length in enumerate(sounds.LENGTHS[1:3], 1):
        alone = jax.jit(of)(whole["waveform"][row : row + 1, :length], jnp.array([length]))
        np.testing.assert_allclose(padded[row, : alone.shape[1]], alone[0], atol=1e-4)


def test_targets_have_mean_0_and_variance_1_over_time():
    method = sounds.method("data2vec", top=1)
    heard = jax.vmap(method.view.evaluate)(sounds.batch())
    features = method.backbone.feature_norm(method.backbone.convolve(**heard))
    frames = method.backbone.frames(heard["length"])
    found = jax.jit(method.targets)(features, frames)
    for row, count in enumerate(frames):
        np.testing.assert_allclose(found[row, :count].mean(0), 0, atol=1e-4)
        spread = found[row, :count].std(0)
        assert np.all(spread < 1.0001) and spread.mean() > 0.9, "less only where the teacher's variance is tiny"


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(top=3), "top 3 is more than the 2 blocks"),
        (dict(momentum_end=0.5), "momentum_end 0.5 is not between momentum 0.9 and 1"),
        (dict(beta=-1.0), "beta -1.0 is below 0"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        sounds.method("data2vec", **settings)
