"""SimSiam: views normalised apart, two predictions, and a gradient that stops at what is predicted."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from ssl_jax.errors import UserError
from tests import probe


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
    method, views = probe.made("simsiam", data_dir, stop_gradient=stop_gradient)
    hand = lambda stop_gradient: lambda method: by_hand(method, views, stop_gradient)
    np.testing.assert_allclose(probe.loss(method, views), hand(stop_gradient)(probe.twin(method)), rtol=1e-5)
    ours, same = probe.gradients(method, views), probe.gradients_of(hand(stop_gradient), probe.twin(method))
    for name, gradient in same.items():
        size = float(jnp.abs(gradient).max())
        np.testing.assert_allclose(ours[name], gradient, rtol=1e-3, atol=1e-5 * size + 1e-8, err_msg=name)
    other = probe.gradients_of(hand(not stop_gradient), probe.twin(method))
    kernel = "projector.linears.0.kernel"
    assert np.abs(ours[kernel] - other[kernel]).max() > 0.1 * np.abs(other[kernel]).max()


def test_every_parameter_learns(data_dir):
    probe.check_gradients(*probe.made("simsiam", data_dir))


def test_heads_are_the_papers(data_dir):
    method, _ = probe.made("simsiam", data_dir, projector_hidden=12, projector_out=10, predictor_hidden=3)
    assert [linear.kernel.shape for linear in method.projector.linears] == [(8, 12), (12, 12), (12, 10)]
    assert [linear.kernel.shape for linear in method.predictor.linears] == [(10, 3), (3, 10)]
    assert all(linear.bias is None for linear in method.projector.linears)
    last = method.projector.norms[-1]
    assert last.scale is None and last.bias is None
    assert method.predictor.linears[0].bias is None and method.predictor.linears[1].bias is not None
    two, _ = probe.made("simsiam", data_dir, projector_layers=2)
    assert len(two.projector.linears) == 2


def test_only_training_moves_the_batch_statistics(data_dir):
    method, views = probe.made("simsiam", data_dir)
    statistics = lambda: jax.tree.leaves(nnx.state(method, nnx.BatchStat))
    before = statistics()
    evaluated = probe.loss(method, views, train=False)
    assert all(np.array_equal(a, b) for a, b in zip(before, statistics()))
    assert probe.loss(method, views) != evaluated
    assert not any(np.array_equal(a, b) for a, b in zip(before, statistics()))


def test_projections_are_what_is_predicted(data_dir):
    method, _ = probe.made("simsiam", data_dir)
    batch = {"image": jnp.ones((3, 8, 8, 1), jnp.uint8)}
    assert method.embed(batch).shape == (3, 8) and method.project(batch).shape == (3, 16)
    np.testing.assert_allclose(method.project(batch), method.projector(method.embed(batch)), rtol=1e-6)


@pytest.mark.parametrize("name", ["projector_hidden", "projector_out", "projector_layers", "predictor_hidden"])
def test_sizes_are_at_least_one(name, data_dir):
    with pytest.raises(UserError, match=f"{name} 0 is below 1"):
        probe.made("simsiam", data_dir, **{name: 0})
