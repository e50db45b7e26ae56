"""NT-Xent by hand, at its edges, and its symmetries."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import losses


def projections(seed, n=6, d=5):
    return jax.random.normal(jax.random.key(seed), (2, n, d))


def plain(z1, z2, temperature):
    """Equation 1 of the paper, one pair at a time, in float64."""
    z = np.concatenate([z1, z2]).astype(np.float64)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    n = len(z1)
    terms = []
    for i in range(2 * n):
        others = [np.exp(z[i] @ z[k] / temperature) for k in range(2 * n) if k != i]
        terms.append(-np.log(np.exp(z[i] @ z[(i + n) % (2 * n)] / temperature) / sum(others)))
    return np.mean(terms)


@pytest.mark.parametrize("temperature", [0.07, 0.5, 1.0])
def test_equals_the_equation(temperature):
    z1, z2 = projections(0)
    loss = losses.nt_xent(z1, z2, temperature=temperature)
    assert loss.dtype == jnp.float32 and loss.shape == ()
    np.testing.assert_allclose(loss, plain(z1, z2, temperature), rtol=1e-6)


def test_collapsed_embeddings_cost_the_log_of_the_number_of_candidates():
    z = jnp.ones((8, 3))
    np.testing.assert_allclose(losses.nt_xent(z, z), np.log(15), rtol=1e-6)


def test_identical_views_of_orthogonal_examples():
    z = jnp.eye(4)  # positive similarity 1, six negatives of similarity 0
    expected = -np.log(np.exp(2) / (np.exp(2) + 6))
    np.testing.assert_allclose(losses.nt_xent(z, 3 * z, temperature=0.5), expected, rtol=1e-6)


def test_one_example_has_no_negatives():
    value, gradient = jax.value_and_grad(losses.nt_xent)(*projections(1, n=1))
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


def test_zero_vectors_have_finite_gradients():
    z1, z2 = projections(2)
    value, gradients = jax.value_and_grad(losses.nt_xent, (0, 1))(z1.at[0].set(0), jnp.zeros_like(z2))
    assert np.isfinite(value) and all(np.all(np.isfinite(g)) for g in gradients)


def test_small_temperature_stays_finite():
    value, gradient = jax.value_and_grad(lambda a, b: losses.nt_xent(a, b, temperature=1e-3))(*projections(3))
    assert np.isfinite(value) and np.all(np.isfinite(gradient))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_inputs_are_computed_in_float32(dtype):
    z1, z2 = projections(4).astype(dtype)
    value, gradient = jax.value_and_grad(losses.nt_xent)(z1, z2)
    exact, exact_gradient = jax.value_and_grad(losses.nt_xent)(z1.astype(jnp.float32), z2.astype(jnp.float32))
    assert value.dtype == jnp.float32 and value == exact and gradient.dtype == dtype
    np.testing.assert_allclose(gradient.astype(jnp.float32), exact_gradient, rtol=1e-2, atol=1e-6)


def test_symmetric_in_the_views_and_under_permutation_and_scale():
    z1, z2 = projections(5)
    loss = losses.nt_xent(z1, z2)
    order = jax.random.permutation(jax.random.key(0), 6)
    np.testing.assert_allclose(losses.nt_xent(z2, z1), loss, rtol=1e-6)
    np.testing.assert_allclose(losses.nt_xent(z1[order], z2[order]), loss, rtol=1e-6)
    np.testing.assert_allclose(losses.nt_xent(7 * z1, 0.1 * z2), loss, rtol=1e-6)


def test_temperature_can_be_learned():
    z1, z2 = projections(6)
    slope = jax.jit(jax.grad(lambda t: losses.nt_xent(z1, z2, temperature=t)))(0.5)
    measured = (plain(z1, z2, 0.5 + 1e-4) - plain(z1, z2, 0.5 - 1e-4)) / 2e-4
    np.testing.assert_allclose(slope, measured, rtol=1e-4)


def test_under_jit_vmap_and_remat():
    z1, z2 = jax.random.normal(jax.random.key(7), (2, 3, 6, 5))
    singly = [losses.nt_xent(a, b) for a, b in zip(z1, z2)]
    np.testing.assert_allclose(jax.jit(jax.vmap(losses.nt_xent))(z1, z2), singly, rtol=1e-6)
    gradient = jax.grad(lambda a: jax.remat(losses.nt_xent)(a, z2[0]))(z1[0])
    np.testing.assert_allclose(gradient, jax.grad(losses.nt_xent)(z1[0], z2[0]), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("temperature", [0, -0.1, float("nan")])
def test_impossible_temperature(temperature):
    with pytest.raises(ValueError, match="temperature .* is not positive"):
        losses.nt_xent(*projections(0), temperature=temperature)


def test_views_that_do_not_fit():
    with pytest.raises(ValueError, match=r"not \(3, 4\) and \(3, 5\)"):
        losses.nt_xent(jnp.ones((3, 4)), jnp.ones((3, 5)))
