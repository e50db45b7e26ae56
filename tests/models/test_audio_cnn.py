"""The network of BYOL-A; tests/fidelity/test_models_byol_a.py compares it with the public code."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from flax import nnx

from ssl_jax import models
from ssl_jax.errors import UserError
from ssl_jax.experiment import build as build_run
from ssl_jax.models.audio_cnn import _halved
from tests import tiny

IMAGES = jax.random.normal(jax.random.key(0), (4, 20, 16, 1))


def build(**settings):
    return models.AudioCNN(**dict(mels=16, channels=4, width=6) | settings, rngs=nnx.Rngs(0))


def test_features_of_recordings_of_any_length():
    network = build()
    assert network.features == 6 and network.reads == "image"
    for frames in (8, 20):
        features = network(IMAGES[:, :frames])
        assert features.shape == (4, 6) and np.all(np.isfinite(features))


def test_spectrograms_that_are_too_short_are_refused(data_dir):
    config = tiny.config("clap", data=dict(seconds=0.1), views=ml_collections.ConfigDict(dict(name="log_mel", mels=16)))
    config["model"] = dict(name="audio_cnn", mels=16, channels=4, width=6)
    assert build_run(config | {"data": config["data"] | {"seconds": 0.08}}, data_dir=data_dir)
    with pytest.raises(
        UserError, match="config.views give spectrograms of 7 frames, and config.model needs at least 8"
    ):
        build_run(config | {"data": config["data"] | {"seconds": 0.07}}, data_dir=data_dir)


def test_it_is_as_large_as_the_papers():
    """5.3 M parameters for 2048 features."""
    network = nnx.eval_shape(lambda: models.AudioCNN(rngs=nnx.Rngs(0)))
    count = sum(weight.size for weight in jax.tree.leaves(nnx.state(network, nnx.Param)))
    assert 5_250_000 < count < 5_350_000


def test_pooling_takes_the_largest_and_its_gradient():

    x = jax.random.normal(jax.random.key(1), (2, 5, 6, 3))
    expected = nnx.max_pool(x, (2, 2), strides=(2, 2))
    np.testing.assert_array_equal(_halved(x), expected)
    weights = jnp.arange(expected.size, dtype=jnp.float32).reshape(expected.shape)
    ours, theirs = (
        jax.grad(lambda x, pool=pool: jnp.sum(pool(x) * weights))(x)
        for pool in (_halved, lambda x: nnx.max_pool(x, (2, 2), strides=(2, 2)))
    )
    np.testing.assert_allclose(ours, theirs)


def test_dropout_takes_a_key():
    network = build()
    with pytest.raises(ValueError, match="needs the argument key"):
        network(IMAGES, train=True)
    first, second = (network(IMAGES, train=True, key=jax.random.key(seed)) for seed in (0, 1))
    assert np.abs(first - second).max() > 0
    still = build(dropout=0.0)
    assert still(IMAGES, train=True).shape == (4, 6)


def test_impossible_settings():
    with pytest.raises(ValueError, match="mels 20 is not divisible by 8"):
        build(mels=20)
    with pytest.raises(ValueError, match="width 0 is below 1"):
        build(width=0)
