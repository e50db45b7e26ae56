"""Batch statistics over parts of a batch."""

import jax
import numpy as np
from flax import nnx

from ssl_jax.models import ResNet, groups

PARTS = dict(stage_sizes=(1,), base_width=4, stem="small", channels=1)
IMAGES = jax.random.normal(jax.random.key(0), (8, 6, 6, 1)) * jax.numpy.arange(1, 9)[:, None, None, None]


def run(module, rows, key):
    return module(rows, train=True)


def call(count):
    module = ResNet(**PARTS, rngs=nnx.Rngs(0))
    return groups.in_groups(run, module, IMAGES, jax.random.key(1), count), module


def test_each_part_is_normalised_by_itself():
    whole, _ = call(1)
    parts, _ = call(2)
    alone = [ResNet(**PARTS, rngs=nnx.Rngs(0))(half, train=True) for half in (IMAGES[:4], IMAGES[4:])]
    np.testing.assert_allclose(parts, np.concatenate(alone), rtol=1e-5, atol=1e-5)
    assert np.abs(parts - whole).max() > 0.05


def test_running_averages_are_the_mean_over_the_parts():
    _, module = call(2)
    found = []
    for half in (IMAGES[:4], IMAGES[4:]):
        alone = ResNet(**PARTS, rngs=nnx.Rngs(0))
        alone(half, train=True)
        found.append(np.asarray(alone.stem_norm.var[...]))
    assert np.abs(found[0] - found[1]).max() > 0.1
    np.testing.assert_allclose(module.stem_norm.var[...], np.mean(found, axis=0), rtol=1e-5)
