"""SimSiam: two passes, two predictions, and a gradient that stops at what is predicted."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from ssl_jax.experiment import build
from ssl_jax.train import mesh as meshes
from tests import tiny


def method_and_views(data_dir, **leaves):
    """The method with parameters off their special initial values (zeros, ones), and views of a batch."""
    experiment = build(tiny.config("simsiam", **leaves), data_dir=data_dir, mesh=meshes.make_mesh(jax.devices()[:1]))
    method = experiment.module(experiment.initial_state())
    shifted = jax.tree.map(
        lambda x: x + 0.1 * jax.random.normal(jax.random.key(1), x.shape), nnx.state(method, nnx.Param)
    )
    nnx.update(method, shifted)
    return method, method.views(experiment.batch_at(0), jax.random.key(0))


def value_and_gradients(loss, method):
    graphdef, params, rest = nnx.split(method, nnx.Param, ...)
    return jax.value_and_grad(lambda params: loss(nnx.merge(graphdef, params, rest, copy=True)))(params)


def by_hand(method, views, stop_gradient=True):
    """Algorithm 1 of the paper."""
    x1, x2 = views["image"][:, 0], views["image"][:, 1]
    f = lambda x: method.projector(method.backbone(x, train=True), train=True)
    h = lambda z: method.predictor(z, train=True)
    z1, z2 = f(x1), f(x2)
    p1, p2 = h(z1), h(z2)
    z1, z2 = jax.lax.stop_gradient((z1, z2)) if stop_gradient else (z1, z2)
    return -(optax.cosine_similarity(p1, z2).mean() + optax.cosine_similarity(p2, z1).mean()) / 2


@pytest.mark.parametrize("stop_gradient", [True, False])
def test_loss_is_the_papers_algorithm(stop_gradient, data_dir):
    method, views = method_and_views(data_dir, method=dict(stop_gradient=stop_gradient))
    ours = value_and_gradients(lambda method: method.loss(views, jax.random.key(0))[0], method)
    hand = value_and_gradients(lambda method: by_hand(method, views, stop_gradient), method)
    np.testing.assert_allclose(ours[0], hand[0], rtol=1e-5)
    for a, b in zip(jax.tree.leaves(ours[1]), jax.tree.leaves(hand[1]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5 * float(jnp.abs(b).max()) + 1e-8)
    other = value_and_gradients(lambda method: by_hand(method, views, not stop_gradient), method)[1]
    kernel = lambda gradient: gradient["projector"]["linears"][0]["kernel"][...]
    assert np.abs(kernel(ours[1]) - kernel(other)).max() > 0.1 * np.abs(kernel(other)).max()


def test_every_parameter_learns(data_dir):
    method, views = method_and_views(data_dir)
    gradients = value_and_gradients(lambda method: method.loss(views, jax.random.key(0))[0], method)[1]
    for path, leaf in jax.tree.leaves_with_path(gradients):
        assert np.any(leaf), jax.tree_util.keystr(path)


def test_heads_are_the_papers(data_dir):
    method, _ = method_and_views(data_dir, method=dict(projector_hidden=12, projector_out=10, predictor_hidden=3))
    assert [linear.kernel.shape for linear in method.projector.linears] == [(8, 12), (12, 12), (12, 10)]
    assert [linear.kernel.shape for linear in method.predictor.linears] == [(10, 3), (3, 10)]
    assert all(linear.bias is None for linear in method.projector.linears)
    last = method.projector.norms[-1]
    assert last.scale is None and last.bias is None
    assert method.predictor.linears[0].bias is None and method.predictor.linears[1].bias is not None
    two, _ = method_and_views(data_dir, method=dict(projector_layers=2))
    assert len(two.projector.linears) == 2


def test_only_training_moves_the_batch_statistics(data_dir):
    method, views = method_and_views(data_dir)
    statistics = lambda: jax.tree.leaves(nnx.state(method, nnx.BatchStat))
    before = statistics()
    evaluated = method.loss(views, jax.random.key(0), train=False)[0]
    assert all(np.array_equal(a, b) for a, b in zip(before, statistics()))
    assert method.loss(views, jax.random.key(0))[0] != evaluated
    assert not any(np.array_equal(a, b) for a, b in zip(before, statistics()))


def test_projections_are_what_is_predicted(data_dir):
    method, _ = method_and_views(data_dir)
    batch = {"image": jnp.ones((3, 8, 8, 1), jnp.uint8)}
    assert method.embed(batch).shape == (3, 8) and method.project(batch).shape == (3, 16)
    np.testing.assert_allclose(method.project(batch), method.projector(method.embed(batch)), rtol=1e-6)


@pytest.mark.parametrize("name", ["projector_hidden", "projector_out", "projector_layers", "predictor_hidden"])
def test_sizes_are_at_least_one(name, data_dir):
    with pytest.raises(Exception, match=f"{name} 0 is below 1"):
        method_and_views(data_dir, method={name: 0})
