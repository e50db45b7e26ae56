"""DCL: no positive in the denominator."""

import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.errors import UserError
from tests import probe
from tests.probe import KEY


def official(z1, z2, temperature, sigma):
    """What the authors' code computes one way; `sigma` None: without weights."""
    cross, within, others = z1 @ z2.T, z1 @ z1.T, ~np.eye(len(z1), dtype=bool)
    positive = -np.diag(cross) / temperature
    if sigma is not None:
        weights = np.exp(np.diag(cross) / sigma)
        positive = positive * (2 - len(z1) * weights / weights.sum())
    negative = sum(np.exp(part / temperature).sum(axis=1, where=others) for part in (cross, within))
    return (positive + np.log(negative)).mean()


@pytest.mark.parametrize("sigma", [None, 0.5, 0.2])
def test_loss_is_half_the_official_codes(sigma, data_dir):
    settings = {} if sigma is None else dict(weighted=True, sigma=sigma)
    method, views = probe.made("dcl", data_dir, **settings)
    images = jnp.concatenate([views["image"][:, 0], views["image"][:, 1]])
    other = probe.twin(method)
    z = np.asarray(other.projector(other.backbone(images, train=True), train=True), np.float64)
    z1, z2 = np.split(z / np.linalg.norm(z, axis=1, keepdims=True), 2)
    expected = (official(z1, z2, 0.1, sigma) + official(z2, z1, 0.1, sigma)) / 2
    np.testing.assert_allclose(method.loss(views, KEY)[0], expected, rtol=1e-4)


def test_every_parameter_has_a_gradient(data_dir):
    probe.check_gradients(*probe.made("dcl", data_dir, weighted=True))


@pytest.mark.parametrize("name, value", [("temperature", 0.0), ("sigma", 0.0), ("projector_layers", 0)])
def test_bad_settings(name, value, data_dir):
    with pytest.raises(UserError, match=f"config.method.{name} {value} "):
        probe.made("dcl", data_dir, **{name: value})


def test_features_come_before_the_projector(data_dir):
    method, _ = probe.made("dcl", data_dir, projector_out=5)
    images = {"image": np.zeros((3, 8, 8, 1), np.uint8)}
    assert method.embed(images).shape == (3, 8) and method.project(images).shape == (3, 5)
