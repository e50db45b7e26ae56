"""NNCLR: neighbours among earlier examples are the positives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.errors import UserError
from tests import probe


def unit(rows):
    return rows / jnp.linalg.norm(rows, axis=1, keepdims=True)


def one_way(z, predictions, queue, temperature):
    """A neighbour has to find the prediction of its example among those of the batch."""
    neighbours = queue[jnp.argmax(unit(z) @ queue.T, axis=1)]
    return -jnp.diagonal(jax.nn.log_softmax(neighbours @ unit(predictions).T / temperature)).mean()


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_loss_by_hand_and_then_the_first_views_enter(temperature, data_dir):
    method, views = probe.made("nnclr", data_dir, temperature=temperature)
    other, queue = probe.twin(method), method.queue[...]
    z = [probe.projections(other, views["image"][:, v]) for v in range(2)]
    p = [other.predictor(x, train=True) for x in z]
    expected = (one_way(z[0], p[1], queue, temperature) + one_way(z[1], p[0], queue, temperature)) / 2
    np.testing.assert_allclose(probe.loss(method, views), expected, rtol=1e-5)
    np.testing.assert_array_equal(method.queue[:96], queue[32:])
    np.testing.assert_allclose(method.queue[96:], unit(z[0]), atol=1e-5)


def test_evaluating_leaves_the_support_set_as_it_is(data_dir):
    method, views = probe.made("nnclr", data_dir)
    before = np.asarray(method.queue[...])
    assert np.isfinite(probe.loss(method, views, train=False))
    np.testing.assert_array_equal(method.queue[...], before)


def test_gradient_reaches_every_parameter_and_not_the_support_set(data_dir):
    probe.check_gradients(*probe.made("nnclr", data_dir))


def test_heads_are_the_papers(data_dir):
    method, _ = probe.made("nnclr", data_dir, projector_hidden=16, projector_out=8, predictor_hidden=12)
    assert [linear.kernel.shape for linear in method.projector.linears] == [(8, 16), (16, 16), (16, 8)]
    assert all(norm is not None for norm in method.projector.norms)
    assert [linear.kernel.shape for linear in method.predictor.linears] == [(8, 12), (12, 8)]
    assert method.predictor.norms[0] is not None and method.predictor.norms[1] is None
    assert method.project({"image": np.zeros((3, 8, 8, 1), np.uint8)}).shape == (3, 8)


@pytest.mark.parametrize(
    "setting, message",
    [
        (dict(queue_size=16), "config.method.queue_size 16 is below 32"),
        (dict(temperature=0.0), "config.method.temperature 0.0 must be positive"),
        (dict(predictor_hidden=0), "config.method.predictor_hidden 0 is below 1"),
    ],
)
def test_bad_settings(setting, message, data_dir):
    with pytest.raises(UserError, match=message):
        probe.made("nnclr", data_dir, **setting)
