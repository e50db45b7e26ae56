"""Losses of redundancy: by hand, at their edges."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from ssl_jax import losses
from ssl_jax.losses.capacity import nuclear_norm

SIGNS = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])  # columns of mean 0, variance 1, uncorrelated


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def finite(tree):
    return all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(tree))


def value_and_gradients(loss, *arrays, **settings):
    every = tuple(range(len(arrays)))
    return jax.jit(jax.value_and_grad(functools.partial(loss, **settings), every))(*arrays)


# Barlow Twins


def test_barlow_twins_of_identical_uncorrelated_views_is_zero():
    np.testing.assert_allclose(losses.barlow_twins(SIGNS, 3 * SIGNS + 7, eps=1e-12), 0, atol=1e-6)


def test_barlow_twins_of_collapsed_views_is_the_number_of_dimensions():
    value, gradients = value_and_gradients(losses.barlow_twins, jnp.full((4, 3), 5.0), jnp.full((4, 3), -2.0))
    np.testing.assert_allclose(value, 3)  # all correlations are 0
    assert finite(gradients)


def test_barlow_twins_weighs_correlations_of_different_dimensions():
    z1, z2 = SIGNS, SIGNS[:, ::-1]  # C = [[0, 1], [1, 0]]
    np.testing.assert_allclose(losses.barlow_twins(z1, z2, lambda_=0.25, eps=1e-12), 2 + 0.25 * 2, rtol=1e-6)


def test_barlow_twins_adds_eps_to_the_variance():
    # Variance 1 with eps 3 scales columns by 1/2, so C_ii = 1/4.
    np.testing.assert_allclose(losses.barlow_twins(SIGNS, SIGNS, eps=3.0), 2 * 0.75**2, rtol=1e-6)


# VICReg


def test_vicreg_by_hand():
    z1, z2 = SIGNS, SIGNS + jnp.array([[1.0, 0.0]])
    # The unbiased variance is 4/3, so the deviations exceed 1 and only the distance counts: mean of (1, 0).
    np.testing.assert_allclose(losses.vicreg(z1, z2), 25 * 0.5, rtol=1e-6)


def test_vicreg_of_collapsed_views():
    z = jnp.full((4, 3), 5.0)
    value, gradients = value_and_gradients(losses.vicreg, z, z)
    np.testing.assert_allclose(value, 25 * (1 - 0.01), rtol=1e-6)  # the deviations are sqrt(1e-4)
    np.testing.assert_array_equal(gradients, 0)


def test_vicreg_of_equal_dimensions():
    z = jnp.array([[1.0, 1.0], [-1.0, -1.0]])  # covariance 2 everywhere: 2 views * (2^2 + 2^2) / 2 dimensions
    np.testing.assert_allclose(losses.vicreg(z, z, covariance=3.0), 3 * 2 * 4, rtol=1e-6)


def test_vicreg_halves_the_variance_terms_and_takes_the_unbiased_one():
    z1, z2 = 0.5 * SIGNS, jnp.zeros_like(SIGNS)  # variances 1/3 and 0
    spread = ((2 - np.sqrt(1 / 3 + 0.01)) + (2 - 0.1)) / 2
    np.testing.assert_allclose(
        losses.vicreg(z1, z2, invariance=0, variance=3, gamma=2, eps=0.01), 3 * spread, rtol=1e-6
    )


# VICRegL


def two_views(n=4):
    """Two large views of two places, whose contents have changed places."""
    first, second = normal(0, n, 1, 3), normal(1, n, 1, 3)
    maps = jnp.stack([jnp.concatenate([first, second], 1), jnp.concatenate([second, first], 1)], 1)
    corners = jnp.array([[0.0, 0.0], [1.0, 1.0]])
    return maps, jnp.broadcast_to(corners, (n, 2, 2, 2))


def local(maps, locations, **settings):
    settings = dict(alpha=0.0, variance=0.0, covariance=0.0) | settings
    return losses.vicregl(jnp.zeros((len(maps), 2, 5)), maps, locations, **settings)


def test_vicregl_matches_by_features_and_by_location():
    maps, corners = two_views()
    apart = 25 * jnp.mean(jnp.square(maps[:, 0] - maps[:, 1]))
    np.testing.assert_allclose(local(maps, corners), apart, rtol=1e-5)  # by features nothing is apart
    swapped = corners.at[:, 1].set(corners[:, 1, ::-1])
    np.testing.assert_allclose(local(maps, swapped), 0, atol=1e-6)


def test_vicregl_takes_the_closest_matches_only():
    shared, second, first = (normal(seed, 4, 3) for seed in range(3))
    maps = jnp.stack([jnp.stack([shared, second], 1), jnp.stack([first, shared], 1)], 1)
    locations = two_views()[1].at[:, 1].add(jnp.array([0.1, 0.0]))
    locations = locations.at[:, 1, 0].add(0.2)  # so the second places are closer
    value = local(maps, locations, feature_matches=(1, 1), location_matches=(1, 1))
    np.testing.assert_allclose(value, 25 * jnp.mean(jnp.square(second - shared)), rtol=1e-5)  # 0 by features


def test_vicregl_regularises_each_place_by_itself():
    maps = jnp.broadcast_to(jnp.array([[0.0], [9.0]]), (4, 2, 2, 1))  # places differ, examples do not
    corners = two_views()[1]
    # Both kinds of matches: deviations of sqrt(1e-4) at each place.
    np.testing.assert_allclose(local(maps, corners, variance=1.0), 2 * (1 - 0.01), rtol=1e-6)


def test_vicregl_of_pooled_embeddings():
    maps, corners = two_views()
    z = jnp.stack([SIGNS, SIGNS + jnp.array([[1.0, 0.0]])], 1)
    np.testing.assert_allclose(losses.vicregl(z, maps, corners, alpha=1.0), 25 * 0.5, rtol=1e-6)


def test_vicregl_pairs_large_views_with_all_others():
    z = jnp.stack([0 * SIGNS, 0 * SIGNS, SIGNS, 2 * SIGNS], 1)
    maps, corners = two_views()
    settings = dict(alpha=1.0, invariance=1.0, variance=0.0, covariance=0.0)
    value = losses.vicregl(z, maps, corners, maps, corners, **settings)
    np.testing.assert_allclose(value, (0 + 1 + 4 + 0 + 1 + 4) / 6, rtol=1e-6)


def test_vicregl_names_what_does_not_fit():
    maps, corners = two_views()
    z = jnp.zeros((4, 2, 5))
    with pytest.raises(ValueError, match="given together"):
        losses.vicregl(z, maps, corners, maps)
    with pytest.raises(ValueError, match=r"embeddings must be \(4, 4, 5\)"):
        losses.vicregl(z, maps, corners, maps, corners)
    with pytest.raises(ValueError, match="locations must be"):
        losses.vicregl(z, maps, corners[..., 0])
    with pytest.raises(ValueError, match="at least 2 views"):
        losses.vicregl(z[:, :1], maps[:, :1], corners[:, :1])
    with pytest.raises(ValueError, match="location_matches 0 is not positive"):
        losses.vicregl(z, maps, corners, location_matches=(4, 0))


# W-MSE


def test_w_mse_of_views_that_differ_by_scale_and_offset_is_zero():
    z = normal(0, 16, 3)
    np.testing.assert_allclose(losses.w_mse(z, 4 * z + 2), 0, atol=1e-5)


def test_w_mse_of_opposite_views_is_four():
    z = normal(0, 16, 3)
    np.testing.assert_allclose(losses.w_mse(z, -z), 4, rtol=1e-5)


def test_w_mse_without_unit_length():
    z = normal(0, 16, 3)  # whitened entries have mean square (n - 1) / n, and opposite ones are twice as far apart
    np.testing.assert_allclose(losses.w_mse(z, -z, normalize=False), 4 * 15 / 16, rtol=1e-5)


def test_w_mse_whitens_parts_by_themselves():
    z1, z2 = normal(0, 8, 2), normal(1, 8, 2)
    parts = [losses.w_mse(z1[i : i + 4], z2[i : i + 4]) for i in (0, 4)]
    np.testing.assert_allclose(losses.w_mse(z1, z2, size=4), np.mean(parts), rtol=1e-5)


def test_w_mse_averages_over_permutations():
    z1, z2, key = normal(0, 8, 2), normal(1, 8, 2), jax.random.key(3)
    orders = [jax.random.permutation(k, 8) for k in jax.random.split(key, 3)]
    parts = [losses.w_mse(z1[order], z2[order], size=4) for order in orders]
    assert np.ptp(parts) > 1e-3
    np.testing.assert_allclose(losses.w_mse(z1, z2, key, size=4, iterations=3), np.mean(parts), rtol=1e-5)


def test_w_mse_of_the_whole_batch_takes_no_order():
    z1, z2 = normal(0, 8, 2), normal(1, 8, 2)
    assert losses.w_mse(z1, z2, jax.random.key(3)) == losses.w_mse(z1, z2, size=8)


@pytest.mark.parametrize("eps", [0.0, 0.01])
def test_w_mse_of_covariances_without_inverse_is_finite(eps):
    low_rank = normal(0, 16, 2) @ normal(1, 2, 5)
    for z in (jnp.zeros((16, 5)), jnp.full((16, 5), 0.1), low_rank, normal(2, 3, 5), 1e-4 * low_rank):
        assert finite(value_and_gradients(losses.w_mse, z, z + 1e-3 * normal(3, *z.shape), eps=eps))
        assert finite(value_and_gradients(losses.w_mse, z, -z, eps=eps))


def test_w_mse_names_impossible_parts():
    z = normal(0, 8, 2)
    with pytest.raises(ValueError, match="size 3 does not divide the batch of 8"):
        losses.w_mse(z, z, size=3)
    with pytest.raises(ValueError, match="need a key"):
        losses.w_mse(z, z, size=4, iterations=2)
    for size in (None, 8):
        with pytest.raises(ValueError, match="2 iterations need a size of at most half the batch, so at least 16 rows"):
            losses.w_mse(z, z, jax.random.key(0), size=size, iterations=2)
    with pytest.raises(ValueError, match="at least 2 rows"):
        losses.w_mse(z, z, size=1)


# TiCo


def test_tico_of_equal_orthogonal_views():
    z = jnp.eye(4)  # C = 0.1 * I / 4 from a state of 0
    np.testing.assert_allclose(losses.tico(z, 5 * z, jnp.zeros((4, 4))), 8 * 0.1 / 4, rtol=1e-6)


def test_tico_of_collapsed_views():
    z = jnp.ones((6, 4))  # C has the one eigenvalue 0.1 along z
    np.testing.assert_allclose(losses.tico(z, z, jnp.zeros((4, 4))), 8 * 0.1, rtol=1e-6)
    np.testing.assert_allclose(losses.tico(z, -z, jnp.eye(4)), 2 + 8 * (0.9 + 0.1), rtol=1e-6)


def test_tico_gradient_through_the_batch_doubles_that_part():
    z, other, state = normal(0, 5, 3), normal(1, 5, 3), jnp.zeros((3, 3))
    contrast = lambda z, **s: losses.tico(z, other, state, **s) - losses.tico(z, other, state, rho=0.0, **s)
    without, through = (jax.grad(functools.partial(contrast, differentiate_covariance=d))(z) for d in (False, True))
    np.testing.assert_allclose(through, 2 * without, rtol=1e-4, atol=1e-6)


def test_the_state_of_tico_moves_towards_the_second_moment():
    state, z = normal(0, 3, 3), jnp.eye(3)[:2] * 7
    expected = 0.75 * state + 0.25 * jnp.diag(jnp.array([0.5, 0.5, 0.0]))
    np.testing.assert_allclose(losses.update_covariance(state, z, beta=0.75), expected, rtol=1e-6)
    assert not np.any(jax.grad(lambda z: losses.update_covariance(state, z).sum())(z))


def test_the_state_of_tico_is_that_of_the_global_batch(eight_devices):
    state, z = normal(0, 3, 3), normal(1, 16, 3)
    spread = jax.shard_map(
        lambda state, z: losses.update_covariance(state, z, axis_name="data"),
        mesh=Mesh(np.array(eight_devices), ("data",)), in_specs=(P(), P("data")), out_specs=P(),
    )  # fmt: skip
    np.testing.assert_allclose(jax.jit(spread)(state, z), losses.update_covariance(state, z), rtol=1e-5, atol=1e-6)


# MMCR


def test_mmcr_of_collapsed_views():
    views = jnp.ones((4, 3, 5))  # norms of a rank of one: sqrt(3) of each example, sqrt(4) of the centroids
    value, gradients = value_and_gradients(losses.mmcr, views, lambda_=0.5)
    np.testing.assert_allclose(value, 0.5 * np.sqrt(3) - 2, rtol=1e-6)
    assert finite(gradients)


def test_mmcr_of_identical_views_of_orthogonal_examples():
    views = jnp.broadcast_to(jnp.eye(4)[:, None], (4, 2, 4))
    np.testing.assert_allclose(losses.mmcr(3 * views), -4, rtol=1e-6)


def test_mmcr_of_orthogonal_views():
    views = jnp.broadcast_to(jnp.eye(2)[None], (4, 2, 2))  # local norms 2; centroids of length sqrt(1/2), all equal
    np.testing.assert_allclose(losses.mmcr(views, lambda_=1.0), 2 - np.sqrt(2), rtol=1e-6)


def test_mmcr_counts_momentum_views_in_the_centroids_only():
    views, momentum = jnp.broadcast_to(jnp.eye(2)[:1], (4, 2, 2)), jnp.broadcast_to(jnp.eye(2)[1:], (4, 3, 2))
    value = losses.mmcr(views, momentum, lambda_=1.0)
    np.testing.assert_allclose(value, np.sqrt(2) - np.sqrt(2), atol=1e-6)


def test_mmcr_of_one_view_of_one_example():
    value, (gradient,) = value_and_gradients(losses.mmcr, normal(0, 1, 1, 5), lambda_=0.25)
    np.testing.assert_allclose(value, 0.25 - 1, rtol=1e-6)
    np.testing.assert_allclose(gradient, 0, atol=1e-6)


def test_mmcr_names_misfits():
    with pytest.raises(ValueError, match="momentum_views must be"):
        losses.mmcr(jnp.ones((4, 2, 3)), jnp.ones((4, 2, 5)))


@pytest.mark.parametrize("rank", [0, 1, 3])
def test_nuclear_norm_has_the_subgradient_of_least_norm(rank):
    a = normal(0, 6, rank) @ normal(1, rank, 4)
    value, gradient = jax.value_and_grad(nuclear_norm)(a)
    np.testing.assert_allclose(value, np.linalg.norm(np.asarray(a, np.float64), "nuc"), rtol=1e-5, atol=1e-6)
    # Its singular values are 1, as many as the rank, and 0.
    np.testing.assert_allclose(np.linalg.svd(gradient)[1], [1] * rank + [0] * (4 - rank), atol=1e-5)


# All


@pytest.mark.parametrize("loss", [losses.barlow_twins, losses.vicreg, losses.w_mse])
def test_views_that_do_not_fit(loss):
    with pytest.raises(ValueError, match=r"not \(3, 4\) and \(3, 5\)"):
        loss(jnp.ones((3, 4)), jnp.ones((3, 5)))
    with pytest.raises(ValueError, match="at least 2 rows"):
        loss(jnp.ones((1, 4)), jnp.ones((1, 4)))


def test_settings_out_of_range():
    z = jnp.ones((3, 4))
    for loss in (losses.barlow_twins, losses.vicreg):
        with pytest.raises(ValueError, match="eps 0 is not positive"):
            loss(z, z, eps=0)
    with pytest.raises(ValueError, match="lambda_ -1.0 is not between"):
        losses.barlow_twins(z, z, lambda_=-1.0)
    with pytest.raises(ValueError, match="lambda_ -1.0 is not between"):
        losses.mmcr(z[None], lambda_=-1.0)
    with pytest.raises(ValueError, match="beta 2 is not between"):
        losses.tico(z, z, jnp.ones((4, 4)), beta=2)
    with pytest.raises(ValueError, match="covariance must be"):
        losses.tico(z, z, jnp.ones((3, 3)))


@pytest.mark.parametrize("name", ["invariance", "variance", "covariance"])
def test_weights_are_not_negative(name):
    z, (maps, corners) = jnp.ones((4, 2, 5)), two_views()
    with pytest.raises(ValueError, match=f"{name} -1.0 is not between"):
        losses.vicreg(z[:, 0], z[:, 1], **{name: -1.0})
    with pytest.raises(ValueError, match=f"{name} -1.0 is not between"):
        losses.vicregl(z, maps, corners, **{name: -1.0})
