"""BYOL: the online network predicts the target's projection of the other view; the target follows."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.errors import UserError
from ssl_jax.models import targets
from tests import probe


def distance(p, z):
    """Equation 2."""
    unit = lambda x: x / jnp.linalg.norm(x, axis=1, keepdims=True)
    return jnp.sum(jnp.square(unit(p) - unit(z)), axis=1).mean()


@nnx.jit
def by_hand(method, views):
    """Equation 2 both ways, in a pass for each view."""
    x1, x2 = views["image"][:, 0], views["image"][:, 1]
    z1, z2 = (method.projector(method.backbone(x, train=True), train=True) for x in (x1, x2))
    p1, p2 = (z1, z2) if method.predictor is None else (method.predictor(z, train=True) for z in (z1, z2))
    t1, t2 = (method.target_projector(method.target_backbone(x, train=True), train=True) for x in (x1, x2))
    return distance(p1, t2) + distance(p2, t1)


@pytest.mark.parametrize("predictor", [True, False])
def test_loss_is_equation_2_both_ways(predictor, data_dir):
    method, views = probe.made("byol", data_dir, predictor=predictor)
    twin = probe.twin(method)
    np.testing.assert_allclose(probe.loss(method, views), by_hand(twin, views), rtol=1e-5)
    ours, theirs = (jax.tree.leaves(nnx.state(network, nnx.BatchStat)) for network in (method, twin))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6 * float(np.abs(b).max()))


def test_every_parameter_learns_and_no_target_weight_does(data_dir):
    method, views = probe.made("byol", data_dir)
    assert jax.tree.leaves(nnx.state(method, targets.TargetWeight))
    probe.check_gradients(method, views)


def test_heads_are_the_papers(data_dir):
    method, _ = probe.made("byol", data_dir, projector_hidden=12, projector_out=10)
    for head, inputs in ((method.projector, 8), (method.predictor, 10), (method.target_projector, 8)):
        assert [linear.kernel.shape for linear in head.linears] == [(inputs, 12), (12, 10)]
        assert all(linear.bias is None for linear in head.linears) and head.norms[-1] is None
        assert head.norms[0].scale is not None and head.norms[0].bias is not None


def test_pytorchs_heads_have_biases_in_their_last_layers(data_dir):
    method, _ = probe.made("byol", data_dir, projector_hidden=12, projector_out=10, head_layers="torch")
    for head in (method.projector, method.predictor, method.target_projector):
        assert head.linears[0].bias is None and head.linears[1].bias.shape == (10,)


@pytest.mark.parametrize("step, momentum", [(0, 0.9), (25, 0.95), (50, 1.0)])
def test_target_follows_by_the_schedule(step, momentum, data_dir):
    """tiny has 50 steps and momentum 0.9: half way, 1 - 0.1 * (cos(pi / 2) + 1) / 2 = 0.95."""
    method, _ = probe.made("byol", data_dir)
    online = jax.tree.leaves(nnx.state((method.backbone, method.projector), nnx.Param))
    target = lambda: jax.tree.leaves(nnx.state((method.target_backbone, method.target_projector), targets.TargetWeight))
    before = target()
    method.follow(jnp.int32(step))
    for old, new, now in zip(before, online, target(), strict=True):
        np.testing.assert_allclose(now, momentum * old + (1 - momentum) * new, rtol=1e-5, atol=1e-6)
    assert any(np.abs(new - old).max() > 0.01 for old, new in zip(before, online))


def test_a_target_may_follow_at_the_same_pace_to_the_end(data_dir):
    method, _ = probe.made("byol", data_dir, momentum_end=0.9)
    old = np.asarray(method.target_projector.linears[0].kernel[...])
    new = np.asarray(method.projector.linears[0].kernel[...]) + 1
    method.projector.linears[0].kernel[...] = jnp.asarray(new)
    method.follow(jnp.int32(50))
    now = method.target_projector.linears[0].kernel[...]
    np.testing.assert_allclose(now, 0.9 * old + 0.1 * new, rtol=1e-5, atol=1e-6)


def test_an_evaluation_changes_nothing(data_dir):
    method, views = probe.made("byol", data_dir)
    before = jax.tree.leaves(nnx.state(method))
    probe.loss(method, views, train=False)
    for a, b in zip(before, jax.tree.leaves(nnx.state(method)), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("momentum", 1.0, "momentum 1.0 is not in"),
        ("momentum_end", 0.8, "momentum_end 0.8 is not between momentum 0.9 and 1"),
        ("projector_hidden", 0, "projector_hidden 0 is below 1"),
        ("projector_out", 0, "projector_out 0 is below 1"),
        ("head_layers", "pytorch", "head_layers is 'pytorch' (str); it must be one of 'haiku', 'torch'"),
    ],
)
def test_impossible_settings(name, value, message, data_dir):
    with pytest.raises(UserError, match=re.escape(message)):
        probe.made("byol", data_dir, **{name: value})
