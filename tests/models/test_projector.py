"""Projectors and predictors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.models import Projector

X = jax.random.normal(jax.random.key(0), (32, 6))


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_layers(layers):
    head = Projector(6, hidden=5, out=4, layers=layers, rngs=nnx.Rngs(0))
    assert head(X, train=True).shape == (32, 4) and head.features == 4
    assert len(head.linears) == layers
    assert all(linear.bias is None for linear in head.linears)
    assert head.norms[-1].bias is None


def test_two_layers_by_hand():
    head = Projector(6, hidden=5, out=4, rngs=nnx.Rngs(0))
    normalize = lambda x: (x - x.mean(0, keepdims=True)) / jnp.sqrt(x.var(0, keepdims=True) + 1e-5)
    hidden = jax.nn.relu(normalize(X @ head.linears[0].kernel[...]))
    expected = normalize(hidden @ head.linears[1].kernel[...])
    np.testing.assert_allclose(head(X, train=True), expected, atol=1e-4)


def test_without_normalisation_layers_have_biases():
    head = Projector(6, hidden=5, out=4, batch_norm=False, last_batch_norm=False, rngs=nnx.Rngs(0))
    assert not jax.tree.leaves(nnx.state(head, nnx.BatchStat))
    (kernel, bias), (last_kernel, last_bias) = ((linear.kernel[...], linear.bias[...]) for linear in head.linears)
    expected = jax.nn.relu(X @ kernel + bias[None]) @ last_kernel + last_bias[None]
    np.testing.assert_allclose(head(X), expected, atol=1e-5)


@pytest.mark.parametrize("bias", [False, True])
def test_predictor_ends_in_a_plain_layer(bias):
    head = Projector(6, hidden=5, out=6, last_batch_norm=False, last_bias=bias, rngs=nnx.Rngs(0))
    assert head(X, train=True).shape == (32, 6)
    assert head.norms[0] is not None and head.norms[-1] is None
    assert (head.linears[-1].bias is not None) == bias and head.linears[0].bias is None


@pytest.mark.parametrize("scale", [False, True])
def test_last_normalisation_may_have_no_scale(scale):
    head = Projector(6, hidden=5, out=4, last_scale=scale, rngs=nnx.Rngs(0))
    assert (head.norms[-1].scale is not None) == scale and head.norms[0].scale is not None
    np.testing.assert_allclose(head(X, train=True).std(0), np.ones(4), atol=1e-3)


def test_impossible_settings():
    with pytest.raises(ValueError, match="layers 0 is below 1"):
        Projector(6, layers=0, rngs=nnx.Rngs(0))


def test_first_layers_alone():
    head = Projector(6, hidden=5, out=4, layers=3, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(head(X, layers=0), X)
    np.testing.assert_allclose(head(X, layers=1), jax.nn.relu(head.norms[0](head.linears[0](X))), atol=1e-6)
    np.testing.assert_array_equal(head(X, layers=3), head(X))


def test_gelu_stands_between_layers_and_not_after_the_last():
    head = Projector(3, hidden=4, out=2, batch_norm=False, last_batch_norm=False, activation="gelu", rngs=nnx.Rngs(0))
    x = jnp.array([[0.5, -1.0, 2.0]])
    np.testing.assert_allclose(head(x), head.linears[1](jax.nn.gelu(head.linears[0](x), approximate=False)), rtol=1e-6)
    with pytest.raises(ValueError, match="activation 'tanh' is not one of"):
        Projector(3, activation="tanh", rngs=nnx.Rngs(0))
