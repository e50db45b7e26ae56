"""LiDAR on views whose answer is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import diagnostics

lidar = jax.jit(diagnostics.lidar)


def views(seed, n, v, d, signal, noise):
    """Examples that differ along the first `signal` directions, and views by noise in all of them."""
    first, second = jax.random.split(jax.random.key(seed))
    examples = jax.random.normal(first, (n, 1, d)) * (jnp.arange(d) < signal)[None, None]
    return examples + noise * jax.random.normal(second, (n, v, d))


@pytest.mark.parametrize("signal", [1, 3, 10])
def test_counts_the_directions_that_tell_examples_apart(signal):
    np.testing.assert_allclose(lidar(views(0, 2000, 4, 16, signal, 1e-3)), signal, rtol=0.02)


def test_by_hand_with_two_directions():
    # Means (+-a, +-b), views +-v and +-w along the two directions; unbiased covariances of 4 examples with 2 views.
    a, b, v, w, delta = 3.0, 1.0, 0.5, 1.0, 0.1
    means = jnp.array([[a, b], [a, -b], [-a, b], [-a, -b]])
    shifts = jnp.array([[[v, w], [-v, -w]], [[v, -w], [-v, w]], [[v, w], [-v, -w]], [[v, -w], [-v, w]]])
    within = np.array([8 * v**2, 8 * w**2]) / (4 * 1) + delta
    ratios = np.array([4 * a**2, 4 * b**2]) / 3 / within
    p = ratios / ratios.sum()
    found = diagnostics.lidar(means[:, None] + shifts, delta=delta)
    np.testing.assert_allclose(found, np.exp(-np.sum(p * np.log(p))), rtol=1e-5)


def test_noise_that_views_do_not_share_is_no_signal_where_rank_me_counts_it():
    # Two strong directions, and one in which views of an example differ as much as examples do.
    both = views(1, 4000, 8, 3, 2, 0.05).at[..., 2].set(jax.random.normal(jax.random.key(9), (4000, 8)))
    assert diagnostics.rank_me(both[:, 0]) > 2.9
    assert lidar(both) < 2.1


@pytest.mark.parametrize("fill", [0.0, 3.0])
def test_collapsed_views_are_one(fill):
    np.testing.assert_allclose(lidar(jnp.full((6, 3, 8), fill)), 1, atol=1e-3)


def test_identical_views_leave_the_rank_of_the_examples():
    rows = jnp.repeat(jnp.eye(5)[:, None], 2, axis=1)
    np.testing.assert_allclose(diagnostics.lidar(rows), 4, rtol=1e-4)
    assert np.isfinite(diagnostics.lidar(rows, delta=0.0))


def test_scale_does_not_matter_far_from_delta():
    x = views(2, 200, 3, 6, 4, 0.5)
    np.testing.assert_allclose(lidar(100 * x), lidar(10 * x), rtol=1e-3)


def reference(x, delta=1e-4, eps=1e-7):
    """In float64, by the formula."""
    x = np.asarray(x, np.float64)
    n, v, d = x.shape
    means = x.mean(1)
    residuals = (x - means[:, None]).reshape(-1, d)
    values, vectors = np.linalg.eigh(residuals.T @ residuals / (n * (v - 1)) + delta * np.eye(d))
    p = np.linalg.svd((means - means.mean(0)) @ (vectors / np.sqrt(values)), compute_uv=False) ** 2
    p = p / p.sum() + eps
    return np.exp(-np.sum(p * np.log(p)))


def views_along_few_directions(n, v, d, k):
    keys = [jax.random.key(i) for i in range(3)]
    noise = jnp.matmul(jax.random.normal(keys[1], (n, v, k)), jax.random.normal(keys[2], (k, d)), precision="highest")
    return jax.random.normal(keys[0], (n, 1, d)) + noise


@pytest.mark.parametrize("scale", [0.1, 1, 3, 10, 30, 100])
def test_directions_in_which_views_agree_do_not_drown_in_rounding(scale):
    # What views vary along is up to 10^8 times delta, which is all there is in the other directions.
    few = scale * views_along_few_directions(256, 4, 64, 8)
    np.testing.assert_allclose(lidar(few), reference(few), rtol=1e-3)
    short = scale * views(5, 32, 2, 128, 128, 0.3)  # 32 residuals that differ, of 128 directions
    np.testing.assert_allclose(lidar(short), reference(short), rtol=1e-3)


def test_fewer_examples_than_dimensions():
    assert 3 < lidar(views(3, 5, 2, 64, 64, 0.01)) <= 4.01  # N - 1


def test_half_precision_is_computed_in_float32():
    x = views(4, 30, 2, 5, 5, 0.1).astype(jnp.bfloat16)
    assert lidar(x).dtype == jnp.float32
    np.testing.assert_allclose(lidar(x), lidar(x.astype(jnp.float32)), rtol=1e-6)


@pytest.mark.parametrize("shape", [(1, 2, 3), (2, 1, 3), (4, 3)])
def test_too_few_are_named(shape):
    with pytest.raises(ValueError, match="at least 2"):
        diagnostics.lidar(jnp.ones(shape))
