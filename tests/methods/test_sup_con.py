"""SupCon: all images of one label belong together."""

import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.errors import UserError
from tests import probe
from tests.probe import KEY


def unit(rows):
    return rows / jnp.linalg.norm(rows, axis=-1, keepdims=True)


def by_hand(z, labels, temperature):
    """Equation 2, one embedding after the other."""
    z, labels = np.asarray(unit(z), np.float64), np.asarray(labels)
    scores, terms = z @ z.T / temperature, []
    for i, row in enumerate(scores):
        others = np.arange(len(z)) != i
        log_p = row - np.log(np.exp(row[others]).sum())
        terms.append(-log_p[others & (labels == labels[i])].mean())
    return np.mean(terms)


@pytest.mark.parametrize("base, normalize", [(0.07, False), (1.0, True)])
def test_loss_by_hand(base, normalize, data_dir):
    settings = dict(temperature=0.1, base_temperature=base, normalize_features=normalize)
    method, views = probe.made("sup_con", data_dir, **settings)
    images = jnp.concatenate([views["image"][:, 0], views["image"][:, 1]])
    features = probe.twin(method).backbone(images, train=True)
    z = method.projector(unit(features) if normalize else features)
    expected = by_hand(z, jnp.tile(views["label"], 2), 0.1) * 0.1 / base
    np.testing.assert_allclose(method.loss(views, KEY)[0], expected, rtol=1e-4)


def test_labels_decide(data_dir):
    method, views = probe.made("sup_con", data_dir)
    values = [method.loss(views | {"label": labels}, KEY)[0] for labels in (views["label"], jnp.arange(32))]
    assert abs(values[0] - values[1]) > 1e-3


def test_every_parameter_has_a_gradient(data_dir):
    probe.check_gradients(*probe.made("sup_con", data_dir))


def test_heads_of_the_two_official_codes(data_dir):
    method, _ = probe.made("sup_con", data_dir, projector_hidden=None)
    assert [linear.kernel.shape for linear in method.projector.linears] == [(8, 8), (8, 8)]
    assert all(linear.bias is not None for linear in method.projector.linears)
    method, _ = probe.made("sup_con", data_dir, projector_layers=1, projector_bias=False)
    assert [linear.kernel.shape for linear in method.projector.linears] == [(8, 8)]
    assert method.projector.linears[0].bias is None and method.projector.norms[0] is None
    images = {"image": np.zeros((3, 8, 8, 1), np.uint8)}
    assert method.embed(images).shape == (3, 8) and method.project(images).shape == (3, 8)


@pytest.mark.parametrize("name", ["temperature", "base_temperature"])
def test_bad_settings(name, data_dir):
    with pytest.raises(UserError, match=f"config.method.{name} 0.0 must be positive"):
        probe.made("sup_con", data_dir, **{name: 0.0})
