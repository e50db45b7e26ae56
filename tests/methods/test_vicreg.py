"""VICReg: views normalised apart, and three terms with their weights."""

import numpy as np
import pytest

from ssl_jax.errors import UserError
from tests import probe

NAMES = ("invariance_weight", "variance_weight", "covariance_weight")


def terms_by_hand(method, views):
    """Equations 1 to 5 with the official code's factors, in float64."""
    f = lambda x: np.asarray(probe.projections(method, x), np.float64)
    z = [f(views["image"][:, index]) for index in range(2)]
    hinges = [np.maximum(0, 1 - np.sqrt(x.var(0, ddof=1) + 1e-4)).mean() for x in z]
    moments = [np.cov(x.T) for x in z]
    redundant = [((c - np.diag(np.diag(c))) ** 2).sum() / len(c) for c in moments]
    return ((z[0] - z[1]) ** 2).mean(), sum(hinges) / 2, sum(redundant)


@pytest.mark.parametrize("weights", [(25.0, 25.0, 1.0), (3.0, 0.0, 0.0), (0.0, 2.0, 0.0), (0.0, 0.0, 5.0)])
def test_loss_is_the_sum_of_its_terms(weights, data_dir):
    method, views = probe.made("vicreg", data_dir, **dict(zip(NAMES, weights)))
    terms = terms_by_hand(probe.twin(method), views)
    assert all(term > 1e-4 for term in terms), "each term counts"
    np.testing.assert_allclose(probe.loss(method, views), np.dot(weights, terms), rtol=1e-4)


def test_every_parameter_learns(data_dir):
    probe.check_gradients(*probe.made("vicreg", data_dir))


def test_projector_is_the_papers(data_dir):
    method, _ = probe.made("vicreg", data_dir, projector_hidden=12, projector_out=10, projector_layers=2)
    assert [linear.kernel.shape for linear in method.projector.linears] == [(8, 12), (12, 10)]
    assert all(linear.bias is None for linear in method.projector.linears)
    assert method.projector.norms[-1] is None


@pytest.mark.parametrize("name, value", [*((name, -1.0) for name in NAMES), ("projector_out", 0)])
def test_impossible_settings(name, value, data_dir):
    with pytest.raises(UserError, match=f"{name} {value} is below"):
        probe.made("vicreg", data_dir, **{name: value})
