"""Barlow Twins: views normalised apart, and a cross-correlation held to the identity."""

import jax
import numpy as np
import pytest

from ssl_jax.errors import UserError
from tests import probe


def by_hand(method, views, lambda_):
    """Algorithm 1 of the paper, in float64, with the 1e-5 that batch normalisation adds to variances."""
    f = lambda x: np.asarray(probe.projections(method, x), np.float64)
    normalized = lambda z: (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5)
    z1, z2 = (normalized(f(views["image"][:, index])) for index in range(2))
    correlation = z1.T @ z2 / len(z1)
    own = np.diag(correlation)
    return ((1 - own) ** 2).sum() + lambda_ * ((correlation**2).sum() - (own**2).sum())


@pytest.mark.parametrize("lambda_", [0.0051, 0.5])
def test_loss_is_the_papers_algorithm(lambda_, data_dir):
    method, views = probe.made("barlow_twins", data_dir, lambda_=lambda_)
    expected = by_hand(probe.twin(method), views, lambda_)
    np.testing.assert_allclose(probe.loss(method, views), expected, rtol=1e-4)


def test_every_parameter_learns(data_dir):
    probe.check_gradients(*probe.made("barlow_twins", data_dir))


def test_projector_is_the_papers(data_dir):
    method, _ = probe.made("barlow_twins", data_dir, projector_hidden=12, projector_out=10, projector_layers=4)
    assert [linear.kernel.shape for linear in method.projector.linears] == [(8, 12), (12, 12), (12, 12), (12, 10)]
    assert all(linear.bias is None for linear in method.projector.linears)
    assert method.projector.norms[-1] is None and all(norm is not None for norm in list(method.projector.norms)[:-1])


def test_projections_are_what_is_compared(data_dir):
    method, _ = probe.made("barlow_twins", data_dir)
    batch = {"image": jax.numpy.ones((3, 8, 8, 1), jax.numpy.uint8)}
    assert method.embed(batch).shape == (3, 8)
    np.testing.assert_allclose(method.project(batch), method.projector(method.embed(batch)), rtol=1e-6)


@pytest.mark.parametrize("name, value", [("lambda_", -0.1), ("projector_hidden", 0), ("projector_layers", 0)])
def test_impossible_settings(name, value, data_dir):
    with pytest.raises(UserError, match=f"{name} {value} is below"):
        probe.made("barlow_twins", data_dir, **{name: value})
