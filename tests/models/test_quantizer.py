"""The Gumbel quantizer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.models import GumbelQuantizer


def build(features=5, groups=2, codes=4, width=6):
    return GumbelQuantizer(features, groups=groups, codes=codes, width=width, rngs=nnx.Rngs(0))


X = jax.random.normal(jax.random.key(1), (2, 3, 5))


@pytest.mark.parametrize("key", [None, jax.random.key(2)])
def test_vectors_are_the_chosen_entries_of_each_codebook(key):
    quantizer = build()
    found = quantizer(X, key=key)
    entries = np.asarray(quantizer.codevectors[...]).reshape(2, 4, 3)
    expected = np.concatenate([entries[g][np.asarray(found.codes)[..., g]] for g in range(2)], -1)
    np.testing.assert_allclose(found.vectors, expected, atol=1e-6)
    np.testing.assert_allclose(found.probabilities.sum(-1), 1, atol=1e-6)
    if key is None:
        np.testing.assert_array_equal(found.codes, found.probabilities.argmax(-1))


def test_codes_are_drawn_as_often_as_they_are_likely():
    quantizer, x = build(groups=1), X[:1, :1]
    draws = 4000
    codes = jax.vmap(lambda key: quantizer(x, key=key).codes)(jax.random.split(jax.random.key(3), draws))
    share = np.bincount(np.asarray(codes).ravel(), minlength=4) / draws
    expected = np.asarray(quantizer(x).probabilities).ravel()
    assert np.all(np.abs(share - expected) <= 4.5 * np.sqrt(expected * (1 - expected) / draws))


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_the_choice_has_the_gradient_of_the_softmax(temperature):
    quantizer, key, weight = build(), jax.random.key(4), jnp.arange(6.0)
    entries = quantizer.codevectors[...].reshape(2, 4, 3)

    def soft(bias):
        logits = (X @ quantizer.logits.kernel[...]).reshape(2, 3, 2, 4) + bias.reshape(1, 1, 2, 4)
        choice = jax.nn.softmax((logits + jax.random.gumbel(key, logits.shape)) / temperature)
        return jnp.sum(jnp.einsum("btgv,gvd->btgd", choice, entries).reshape(2, 3, 6) * weight[None, None])

    graph, state = nnx.split(quantizer)
    hard = lambda state: jnp.sum(
        nnx.merge(graph, state)(X, temperature=temperature, key=key).vectors * weight[None, None]
    )
    gradient = jax.grad(hard)(state)["logits"]["bias"][...]
    np.testing.assert_allclose(gradient, jax.grad(soft)(jnp.zeros((8,))), atol=1e-5)


def test_without_noise_the_choice_has_no_gradient():
    quantizer = build()
    gradient = jax.grad(lambda x: quantizer(x).vectors.sum())(X)
    np.testing.assert_array_equal(gradient, 0)


def test_impossible_settings():
    with pytest.raises(ValueError, match="width 7 is not divisible by groups 2"):
        build(width=7)
    with pytest.raises(ValueError, match="codes 0 is below 1"):
        build(codes=0)
