"""Perplexity by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import diagnostics


def test_codes_used_equally_are_counted():
    np.testing.assert_allclose(diagnostics.perplexity(jnp.arange(12) % 4, num_codes=100), 4, rtol=1e-6)


def test_by_hand():
    # Usage 1/2, 1/4, 1/4: entropy 1.5 bits.
    np.testing.assert_allclose(diagnostics.perplexity(jnp.array([0, 0, 1, 2]), num_codes=3), 2**1.5, rtol=1e-6)


def test_probabilities_are_averaged_before_the_entropy():
    sure = jnp.eye(4)
    np.testing.assert_allclose(diagnostics.perplexity(sure), 4, rtol=1e-6)
    np.testing.assert_allclose(diagnostics.perplexity(jnp.full((3, 4), 0.25)), 4, rtol=1e-6)
    np.testing.assert_allclose(diagnostics.perplexity(sure[jnp.zeros(5, int)]), 1, rtol=1e-6)


def test_codes_and_their_one_hot_probabilities_agree():
    codes = jax.random.randint(jax.random.key(0), (50,), 0, 7)
    found = jax.jit(diagnostics.perplexity, static_argnames="num_codes")(codes, num_codes=7)
    np.testing.assert_allclose(found, diagnostics.perplexity(jax.nn.one_hot(codes, 7)), rtol=1e-6)


def test_weights_count_rows():
    p = jax.nn.softmax(jax.random.normal(jax.random.key(1), (4, 5)))
    twice = diagnostics.perplexity(jnp.concatenate([p, p[1:2]]))
    np.testing.assert_allclose(diagnostics.perplexity(p, weights=jnp.array([1, 2, 1, 1.0])), twice, rtol=1e-6)


def test_rows_of_weight_zero_do_not_count_even_when_nan():
    p = jax.nn.softmax(jax.random.normal(jax.random.key(2), (4, 5))).at[2].set(jnp.nan)
    kept = diagnostics.perplexity(p[jnp.array([0, 1, 3])])
    np.testing.assert_allclose(diagnostics.perplexity(p, weights=jnp.array([1, 1, 0, 1])), kept, rtol=1e-6)


def test_codes_below_zero_are_none():
    np.testing.assert_allclose(diagnostics.perplexity(jnp.array([-1, 0, 1, -100]), num_codes=2), 2, rtol=1e-6)
    np.testing.assert_allclose(diagnostics.perplexity(jnp.array([-1, -1]), num_codes=2), 1)


def test_codes_too_large_do_not_count():
    np.testing.assert_allclose(diagnostics.perplexity(jnp.array([0, 1, 2, 99]), num_codes=2), 2, rtol=1e-6)


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="num_codes"):
        diagnostics.perplexity(jnp.array([0, 1]))
    with pytest.raises(ValueError, match=r"with K num_codes, not \(2, 3\) with 4"):
        diagnostics.perplexity(jnp.ones((2, 3)), num_codes=4)
    with pytest.raises(ValueError, match="assignments must be"):
        diagnostics.perplexity(jnp.ones((2, 3, 4)))
    with pytest.raises(ValueError, match="weights must be"):
        diagnostics.perplexity(jnp.ones((2, 3)), weights=jnp.ones(3))
