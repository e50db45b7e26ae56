"""Sinkhorn-Knopp against the codes of SwAV and DINOv2, by hand, at its edges, and over devices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from ssl_jax import losses

sinkhorn = jax.jit(losses.sinkhorn_knopp, static_argnames=("iterations", "axis_name"))


def cosines(seed, n, k, d=16):
    rows, prototypes = (
        jax.random.normal(key, (m, d)) for key, m in zip(jax.random.split(jax.random.key(seed)), (n, k))
    )
    unit = lambda x: x / jnp.linalg.norm(x, axis=1, keepdims=True)
    return unit(rows) @ unit(prototypes).T


def of_swav(scores, epsilon, iterations):
    """main_swav.py of facebookresearch/swav on one device, in float64: K x B, rows to 1/K, then columns to 1/B."""
    q = np.exp(np.asarray(scores, np.float64) / epsilon).T
    k, b = q.shape
    q = q / q.sum()
    for _ in range(iterations):
        q = q / (k * q.sum(axis=1, keepdims=True))
        q = q / (b * q.sum(axis=0, keepdims=True))
    return (b * q).T


def of_dinov2(scores, temperature, iterations, present):
    """DINOv2's, of patch tokens: only those present come in, and their number is B (here summed over processes)."""
    result = np.zeros(scores.shape)
    result[present] = of_swav(np.asarray(scores)[present], temperature, iterations)
    return result


@pytest.mark.parametrize(
    "n, k, epsilon, iterations", [(32, 8, 0.05, 3), (7, 12, 0.05, 3), (64, 30, 0.03, 1), (16, 5, 0.2, 10)]
)
def test_equals_the_authors_code_of_swav(n, k, epsilon, iterations):
    scores = cosines(0, n, k)
    found = sinkhorn(scores, temperature=epsilon, iterations=iterations)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, of_swav(scores, epsilon, iterations), rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("n, k, temperature", [(24, 6, 0.07), (24, 40, 0.04)])
def test_equals_dinov2s_code_with_padding(n, k, temperature):
    scores = cosines(1, n, k)
    present = np.arange(n) % 3 != 1
    found = sinkhorn(scores, temperature=temperature, weights=jnp.asarray(present, jnp.float32))
    np.testing.assert_allclose(found, of_dinov2(scores, temperature, 3, present), rtol=2e-5, atol=1e-7)


def test_equal_scores_are_assigned_equally():
    np.testing.assert_allclose(sinkhorn(jnp.full((5, 4), 0.7)), 0.25, rtol=1e-6)


def test_one_iteration_by_hand():
    # exp: [[1, 3], [1, 1]]; columns to equal sums: [[1/2, 3/4], [1/2, 1/4]]; rows to 1: [[2/5, 3/5], [2/3, 1/3]].
    scores = jnp.log(jnp.array([[1.0, 3.0], [1.0, 1.0]]))
    np.testing.assert_allclose(
        sinkhorn(scores, temperature=1.0, iterations=1), [[2 / 5, 3 / 5], [2 / 3, 1 / 3]], rtol=1e-6
    )


def test_a_prototype_that_all_prefer_is_shared_out():
    # Both examples are nearer to the first prototype, the first one more so; balance gives the second one the other.
    scores = jnp.array([[1.0, 0.0], [0.9, 0.5]])
    np.testing.assert_allclose(sinkhorn(scores, temperature=0.01, iterations=200), np.eye(2), atol=1e-4)


def test_many_iterations_balance_rows_and_columns():
    found = sinkhorn(cosines(2, 48, 6), temperature=0.1, iterations=100)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(found.sum(axis=0), 48 / 6, rtol=1e-4)


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_small_temperatures_neither_overflow_nor_lose_a_row(scale):
    scores = scale * cosines(3, 20, 7)  # exp(1e6) is far beyond float32 and float64
    found = sinkhorn(scores, temperature=1e-3)
    assert np.all(np.isfinite(found))
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


def test_padding_alone_is_assigned_to_nothing():
    np.testing.assert_array_equal(sinkhorn(cosines(4, 6, 3), weights=jnp.zeros(6)), 0)


@pytest.mark.parametrize("filler", [np.nan, np.inf, 1e30])
def test_what_stands_in_the_padding_does_not_matter(filler):
    scores, weights = cosines(5, 8, 3), jnp.array([1, 0, 1, 1, 0, 1, 1, 1.0])
    exact = sinkhorn(scores, weights=weights)
    np.testing.assert_array_equal(sinkhorn(scores.at[1].set(filler), weights=weights), exact)
    np.testing.assert_array_equal(exact[jnp.array([1, 4])], 0)


def test_weights_of_one_change_nothing():
    scores = cosines(6, 8, 3)
    np.testing.assert_allclose(sinkhorn(scores, weights=jnp.ones(8)), sinkhorn(scores), rtol=1e-5)


def test_no_gradient_flows_through():
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(losses.sinkhorn_knopp(x) ** 2)))(cosines(7, 6, 3))
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_computed_in_float32(dtype):
    scores = cosines(8, 10, 4).astype(dtype)
    found = sinkhorn(scores)
    assert found.dtype == jnp.float32
    np.testing.assert_array_equal(found, sinkhorn(scores.astype(jnp.float32)))


@pytest.mark.parametrize("devices", [2, 8])
@pytest.mark.parametrize("padded", [False, True])
def test_over_devices_it_is_that_of_the_global_batch(devices, padded):
    scores = cosines(9, 16, 5)
    weights = (jnp.arange(16) < 9).astype(jnp.float32) if padded else jnp.ones(16)  # some devices hold padding only
    exact = of_dinov2(scores, 0.05, 3, np.asarray(weights) > 0)
    function = lambda rows, kept: losses.sinkhorn_knopp(rows, weights=kept if padded else None, axis_name="data")
    mesh = Mesh(np.array(jax.devices()[:devices]), ("data",))
    spread = jax.jit(jax.shard_map(function, mesh=mesh, in_specs=P("data"), out_specs=P("data")))
    np.testing.assert_allclose(spread(scores, weights), exact, rtol=2e-5, atol=1e-7)
    pieces = lambda x: x.reshape(devices, 16 // devices, *x.shape[1:])
    mapped = jax.pmap(function, axis_name="data", devices=jax.devices()[:devices])
    np.testing.assert_allclose(mapped(pieces(scores), pieces(weights)).reshape(16, 5), exact, rtol=2e-5, atol=1e-7)


def of_capi(scores, temperature, iterations):
    """CAPI's model.py, in float64: exponentials of what is at most 50, and 1e-8 in every sum."""
    m = np.asarray(scores, np.float64).transpose(1, 0, 2) / temperature
    m = np.exp(m + 50 - m.max(axis=1, keepdims=True))
    for _ in range(iterations):
        m = m / (m.sum(axis=1, keepdims=True) + 1e-8)
        m = m / (m.sum(axis=2, keepdims=True) + 1e-8)
    return m.transpose(1, 0, 2)


def patch_scores(n=16, patches=3, k=5):
    return cosines(12, n * patches, k).reshape(n, patches, k) + jnp.arange(patches * k).reshape(1, patches, k) / 20


@pytest.mark.parametrize("temperature, iterations", [(0.06, 3), (0.2, 5)])
def test_each_position_is_balanced_by_itself_as_in_the_code_of_capi(temperature, iterations):
    scores = patch_scores()
    found = losses.positionwise_sinkhorn(scores, temperature=temperature, iterations=iterations)
    np.testing.assert_allclose(found, of_capi(scores, temperature, iterations), rtol=2e-5, atol=1e-7)
    plain = np.stack([of_swav(scores[:, at], temperature, iterations) for at in range(3)], axis=1)
    np.testing.assert_allclose(found, plain, atol=1e-4)
    together = sinkhorn(scores.reshape(-1, 5), temperature=temperature, iterations=iterations).reshape(scores.shape)
    assert np.abs(found - together).max() > 0.05


def test_a_patch_that_is_near_no_cluster_has_a_small_sum_as_in_the_code_of_capi():
    scores = jnp.concatenate([3 * patch_scores(n=8), patch_scores(n=1) - 3])
    found = losses.positionwise_sinkhorn(scores)
    np.testing.assert_allclose(found, of_capi(scores, 0.06, 3), rtol=1e-4, atol=1e-7)
    sums = found.sum(-1)
    assert sums[-1].max() < 0.5 and np.abs(sums[:-1] - 1).max() < 0.01


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_positions_neither_overflow_nor_are_undefined(scale):
    assert np.isfinite(losses.positionwise_sinkhorn(scale * patch_scores(), temperature=1e-3)).all()


@pytest.mark.parametrize("devices", [2, 8])
def test_positions_are_balanced_over_devices(devices):
    scores = patch_scores()
    function = lambda rows: losses.positionwise_sinkhorn(rows, axis_name="data")
    mesh = Mesh(np.array(jax.devices()[:devices]), ("data",))
    spread = jax.jit(jax.shard_map(function, mesh=mesh, in_specs=P("data"), out_specs=P("data")))
    np.testing.assert_allclose(spread(scores), of_capi(scores, 0.06, 3), rtol=2e-5, atol=1e-7)


def test_impossible_settings_are_named():
    with pytest.raises(ValueError, match=r"scores must be \[N, P, K\]"):
        losses.positionwise_sinkhorn(jnp.ones((2, 3)))
    with pytest.raises(ValueError, match=r"scores must be \[N, K\]"):
        losses.sinkhorn_knopp(jnp.ones((2, 3, 4)))
    with pytest.raises(ValueError, match="weights must be"):
        losses.sinkhorn_knopp(jnp.ones((2, 3)), weights=jnp.ones(3))
    for settings in ({"temperature": 0.0}, {"iterations": 0}):
        with pytest.raises(ValueError, match="not positive"):
            losses.sinkhorn_knopp(jnp.ones((2, 3)), **settings)


def test_under_vmap():
    scores = jnp.stack([cosines(10, 6, 3), cosines(11, 6, 3)])
    together = jax.jit(jax.vmap(functools.partial(losses.sinkhorn_knopp, iterations=2)))(scores)
    np.testing.assert_allclose(together, [sinkhorn(x, iterations=2) for x in scores], rtol=1e-6)
