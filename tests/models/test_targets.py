"""Target networks follow, and nothing else changes them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.models import ResNet, ViT, targets

PARTS = dict(stage_sizes=(1, 1), base_width=4, stem="small", channels=1)


def weights(module, kind):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(module, kind))]


@pytest.fixture
def online():
    return ResNet(**PARTS, rngs=nnx.Rngs(0))


def test_a_copy_has_the_same_weights_and_no_parameter(online):
    target = targets.target_copy(online)
    assert not jax.tree.leaves(nnx.state(target, nnx.Param))
    for a, b in zip(weights(target, targets.TargetWeight), weights(online, nnx.Param), strict=True):
        np.testing.assert_array_equal(a, b)
    images = jax.random.normal(jax.random.key(0), (2, 8, 8, 1))
    np.testing.assert_array_equal(target(images), online(images))


def test_statistics_of_the_batch_are_the_targets_own(online):
    target = targets.target_copy(online)
    before = weights(online, nnx.BatchStat)
    target(jax.random.normal(jax.random.key(0), (4, 8, 8, 1)) + 3, train=True)
    for a, b in zip(weights(online, nnx.BatchStat), before):
        np.testing.assert_array_equal(a, b)
    assert any(np.abs(a - b).max() > 0.01 for a, b in zip(weights(target, nnx.BatchStat), before))


def test_follows_leaf_by_leaf(online):
    target = targets.target_copy(online)
    old = weights(target, targets.TargetWeight)
    _, params, _ = nnx.split(online, nnx.Param, ...)
    nnx.update(online, jax.tree.map(lambda w: w + 1, params))
    targets.follow(target, online, 0.75)
    for a, b in zip(weights(target, targets.TargetWeight), old, strict=True):
        np.testing.assert_allclose(a, b + 0.25, rtol=1e-5)


def test_ramps_by_hand():
    """BYOL, appendix C: tau = 1 - (1 - tau_base) (cos(pi k / K) + 1) / 2."""
    steps = [0, 25, 50, 100, 120]
    ramp = [float(targets.cosine_ramp(jnp.int32(step), 100, 0.9, 1.0)) for step in steps]
    np.testing.assert_allclose(ramp, [0.9, 0.9146447, 0.95, 1.0, 1.0], rtol=1e-6)
    ramp = [float(targets.linear_ramp(jnp.int32(step), 100, 0.04, 0.08)) for step in steps]
    np.testing.assert_allclose(ramp, [0.04, 0.05, 0.06, 0.08, 0.08], rtol=1e-6)
    assert float(targets.linear_ramp(jnp.int32(0), 0, 0.04, 0.08)) == pytest.approx(0.08)


def test_frozen_parameters_have_no_gradient_until_the_step(online):
    images = jax.random.normal(jax.random.key(0), (2, 8, 8, 1))
    graphdef, params, rest = nnx.split(online, nnx.Param, ...)

    def loss(params, step):
        module = nnx.merge(graphdef, params, rest, copy=True)
        return targets.frozen_until(step, 10, module)(images).sum()

    norm = lambda step: sum(float(jnp.abs(g).sum()) for g in jax.tree.leaves(jax.grad(loss)(params, jnp.int32(step))))
    assert norm(9) == 0 and norm(10) > 0


@pytest.mark.parametrize("scan", [False, True])
def test_a_teacher_never_drops(scan):
    sizes = dict(width=16, depth=2, heads=2, mlp_dim=32, patch_size=4, image_size=8, scan=scan)
    student = ViT(**sizes, dropout=0.3, drop_path=0.5, rngs=nnx.Rngs(0))
    teacher = targets.never_dropping(targets.target_copy(student))
    images, key = jax.random.normal(jax.random.key(0), (4, 8, 8, 3)), jax.random.key(1)
    np.testing.assert_allclose(teacher(images, train=True, key=key), student(images), atol=1e-5)
    assert jnp.abs(student(images, train=True, key=key) - student(images)).max() > 1e-2, "the student still does"


def test_all_that_is_called_target_follows_its_namesake(online):
    class Method(nnx.Module):
        def __init__(self):
            self.backbone, self.head, self.other = online, nnx.clone(online), nnx.clone(online)
            self.target_backbone, self.target_head = targets.target_copy(online), targets.target_copy(online)
            self.target_missing, self.frozen = nnx.data(None), targets.target_copy(online)

    method = Method()
    old = weights(method.frozen, targets.TargetWeight)
    nnx.update(method, jax.tree.map(lambda w: w + 1, nnx.state(method, nnx.Param)))
    targets.follow_all(method, 0.75)
    for target, step in ((method.target_backbone, 0.25), (method.target_head, 0.25), (method.frozen, 0.0)):
        for a, b in zip(weights(target, targets.TargetWeight), old, strict=True):
            np.testing.assert_allclose(a, b + step, rtol=1e-5)
