"""alpha-ReQ on spectra that are power laws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import diagnostics

alpha_req = jax.jit(diagnostics.alpha_req, static_argnames=("first", "last"))


def with_spectrum(eigenvalues, n, seed=0):
    """Centred embeddings [n, d] whose covariance has exactly these eigenvalues, up to one factor."""
    d = len(eigenvalues)
    left = np.random.default_rng(seed).normal(size=(n, d))
    left, _ = np.linalg.qr(left - left.mean(axis=0))
    right, _ = np.linalg.qr(np.random.default_rng(seed + 1).normal(size=(d, d)))
    return jnp.asarray((left * np.sqrt(eigenvalues)) @ right, jnp.float32)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("d", [8, 64, 150])
def test_a_power_law_gives_its_exponent(alpha, d):
    eigenvalues = np.arange(1, d + 1, dtype=float) ** -alpha
    np.testing.assert_allclose(alpha_req(with_spectrum(eigenvalues, 200)), alpha, rtol=1e-3, atol=1e-3)


def test_only_the_range_counts():
    eigenvalues = np.arange(1, 41, dtype=float) ** -1.0
    eigenvalues[:3], eigenvalues[30:] = [1e3, 1e2, 1e1], 1e-6
    np.testing.assert_allclose(alpha_req(with_spectrum(eigenvalues, 100), last=30), 1, rtol=1e-2)
    assert alpha_req(with_spectrum(eigenvalues, 100)) > 3


def test_by_hand_over_two_ranks():
    # Through two points the line is exact: log(8) / log(2) from rank 1 to 2.
    np.testing.assert_allclose(alpha_req(with_spectrum([8.0, 1.0], 10), first=1, last=2), 3, rtol=1e-4)


def test_a_common_offset_and_the_scale_do_not_matter():
    x = with_spectrum(np.arange(1, 33, dtype=float) ** -1.3, 100)
    np.testing.assert_allclose(alpha_req(7 * x + 2), alpha_req(x), rtol=1e-3)


@pytest.mark.parametrize("fill", [0.0, 5.0])
def test_constant_embeddings_are_finite(fill):
    np.testing.assert_allclose(alpha_req(jnp.full((20, 8), fill)), 0, atol=1e-5)


def test_dead_directions_are_finite_and_steep():
    eigenvalues = np.where(np.arange(32) < 6, 1.0, 0.0)
    value = alpha_req(with_spectrum(eigenvalues, 100))
    assert np.isfinite(value) and value > 5


def test_fewer_examples_than_dimensions():
    assert np.isfinite(alpha_req(jax.random.normal(jax.random.key(0), (12, 100))))


@pytest.mark.parametrize("n, d", [(5, 100), (100, 4)])
def test_too_few_ranks_are_named(n, d):
    with pytest.raises(ValueError, match="at least 2 ranks"):
        diagnostics.alpha_req(jnp.ones((n, d)))
