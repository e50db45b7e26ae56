"""Losses of evenness: by hand, at their edges."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import losses

AXES = jnp.eye(3)  # directions


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def finite(tree):
    return all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(tree))


# KoLeo


def test_koleo_of_orthogonal_rows():
    np.testing.assert_allclose(losses.koleo(7 * jnp.eye(4)), -np.log(np.sqrt(2)), rtol=1e-6)


def test_koleo_of_an_antipodal_pair():
    # A row's similarity to itself must not tie with its only neighbour's, which is -1.
    np.testing.assert_allclose(losses.koleo(jnp.array([[2.0, 0.0], [-3.0, 0.0]])), -np.log(2), rtol=1e-6)


def test_koleo_of_collapsed_rows_has_no_gradient():
    value, gradient = jax.value_and_grad(losses.koleo)(jnp.ones((5, 3)))
    np.testing.assert_allclose(value, -np.log(1e-8), rtol=1e-6)
    np.testing.assert_array_equal(gradient, 0)


def test_koleo_uses_the_nearest_neighbour():
    angles = jnp.array([0.0, 0.1, 0.3, 2.0])
    z = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)
    chords = 2 * np.sin(np.array([0.1, 0.1, 0.2, 1.7]) / 2)
    np.testing.assert_allclose(losses.koleo(z), -np.log(chords).mean(), rtol=1e-5)


@pytest.mark.parametrize("block_size", [1, 4, 7, 20])
def test_koleo_in_blocks_is_the_same(block_size):
    z = normal(0, 20, 6)
    blocks = jax.jit(jax.value_and_grad(functools.partial(losses.koleo, block_size=block_size)))(z)
    for ours, exact in zip(blocks, jax.value_and_grad(losses.koleo)(z), strict=True):
        np.testing.assert_allclose(ours, exact, rtol=1e-5, atol=1e-6)


def test_koleo_in_blocks_has_no_square_matrix():
    n, block_size = 512, 16
    compiled = lambda **s: jax.jit(jax.grad(functools.partial(losses.koleo, **s))).lower(normal(0, n, 4)).compile()
    whole, blocks = (compiled(block_size=b).memory_analysis().temp_size_in_bytes for b in (None, block_size))
    assert whole > 4 * n * n > 4 * blocks


def test_koleo_needs_a_neighbour():
    with pytest.raises(ValueError, match="at least 2 rows, not 1"):
        losses.koleo(jnp.ones((1, 4)))
    with pytest.raises(ValueError, match="block_size 0 is not positive"):
        losses.koleo(jnp.ones((4, 4)), block_size=0)


# SIGReg and LeJEPA


def test_random_directions_have_length_one():
    directions = losses.random_directions(jax.random.key(0), 5, 300)
    assert directions.shape == (5, 300)
    np.testing.assert_allclose(jnp.linalg.norm(directions, axis=0), 1, rtol=1e-6)
    assert np.abs(directions.mean(axis=1)).max() < 0.1


def test_sigreg_of_collapsed_embeddings():
    # The characteristic function is 1. Two points, 0 and 1: the integrand is 0 and (1 - e^-0.5)^2 e^-0.5.
    expected = 6 * (1 - np.exp(-0.5)) ** 2 * np.exp(-0.5)
    np.testing.assert_allclose(losses.sigreg(jnp.zeros((6, 3)), AXES, points=2, t_max=1.0), expected, rtol=1e-6)


def test_sigreg_of_one_embedding():
    # cos t + i sin t at t = 1 against e^-0.5, from (1, 1, 1) along the axes.
    expected = ((np.cos(1) - np.exp(-0.5)) ** 2 + np.sin(1) ** 2) * np.exp(-0.5)
    np.testing.assert_allclose(losses.sigreg(jnp.ones((1, 3)), AXES, points=2, t_max=1.0), expected, rtol=1e-6)


def test_sigreg_tells_the_normal_distribution_from_others():
    directions = losses.random_directions(jax.random.key(0), 4, 30)
    gaussian = normal(1, 4096, 4)
    values = [losses.sigreg(z, directions) for z in (gaussian, 1.5 * gaussian, gaussian + 1, jnp.sign(gaussian))]
    assert values[0] < 3 and min(values[1:]) > 10


def test_sigreg_of_views_is_the_mean_of_each():
    views, directions = normal(0, 8, 2, 3), losses.random_directions(jax.random.key(0), 3, 5)
    singly = [losses.sigreg(views[:, i], directions) for i in range(2)]
    np.testing.assert_allclose(losses.sigreg(views, directions), np.mean(singly), rtol=1e-5)


def test_lejepa_by_hand():
    views = jnp.array([[[1.0, 0, 0], [3, 0, 0]], [[0, 1, 0], [0, 3, 0]]])
    spread = losses.sigreg(views, AXES)
    # Distances to the centre 1, in one of three dimensions; to the first view 0 and 4.
    np.testing.assert_allclose(losses.lejepa(views, AXES, lambda_=0.25), 0.75 / 3 + 0.25 * spread, rtol=1e-6)
    first = losses.lejepa(views, AXES, lambda_=0.25, global_views=1)
    np.testing.assert_allclose(first, 0.75 * 2 / 3 + 0.25 * spread, rtol=1e-6)


def test_lejepa_of_identical_views_is_sigreg():
    views = jnp.repeat(normal(0, 6, 1, 3), 4, axis=1)
    np.testing.assert_allclose(losses.lejepa(views, AXES), 0.05 * losses.sigreg(views, AXES), rtol=1e-5)


# VISReg


def test_visreg_of_collapsed_views():
    views = jnp.full((4, 2, 3), 2.0)
    value, gradient = jax.value_and_grad(functools.partial(losses.visreg, shape=0.0))(views, AXES)
    np.testing.assert_allclose(value, 0.9 * (1 + 4), rtol=1e-5)  # deviation 0, mean 2
    assert finite(gradient)


def test_visreg_compares_with_quantiles():
    # Three points of deviation 1 at -q, 0, q; the quantiles of 1/4, 1/2, 3/4 are -0.67449, 0, 0.67449.
    column = jnp.array([-1.0, 0, 1]) * np.sqrt(1.5)
    views = jnp.stack([column, column[::-1]], axis=1)[:, None]
    value = losses.visreg(views, jnp.eye(2), lambda_=1.0, eps=1e-12)
    np.testing.assert_allclose(value, 2 / 3 * (np.sqrt(1.5) - 0.6744898) ** 2, rtol=1e-5)


def test_visreg_scales_move_by_their_own_term_only():
    views, directions = 0.5 * normal(0, 32, 1, 3), losses.random_directions(jax.random.key(0), 3, 5)
    shape = functools.partial(losses.visreg, lambda_=1.0, scale=0.0, center=0.0, eps=1e-12)
    gradient = jax.grad(shape)(views, directions)
    # With the deviation held fixed, the shape term sees projections shrink when embeddings do.
    value = lambda factor: shape(factor * views, directions)
    np.testing.assert_allclose(value(0.9), value(1.0), rtol=1e-5)
    assert abs(jnp.sum(gradient * views)) > 1e-3


def test_visreg_of_identical_views_has_no_distance():
    views = jnp.repeat(normal(0, 6, 1, 3), 4, axis=1)
    np.testing.assert_allclose(losses.visreg(views, AXES, lambda_=0.0), 0, atol=1e-10)


@pytest.mark.parametrize("loss", [losses.lejepa, losses.visreg])
def test_what_does_not_fit_is_named(loss):
    views = jnp.ones((4, 2, 3))
    with pytest.raises(ValueError, match=r"directions must be \(3, 5\)"):
        loss(views, jnp.ones((4, 5)))
    with pytest.raises(ValueError, match=r"views must be \[N, V, D\]"):
        loss(views[:, 0], AXES)
    with pytest.raises(ValueError, match="global_views 3 is not between 1 and 2"):
        loss(views, AXES, global_views=3)
    with pytest.raises(ValueError, match="lambda_ 2 is not between"):
        loss(views, AXES, lambda_=2)


@pytest.mark.parametrize("name", ["scale", "shape", "center"])
def test_visregs_weights_are_not_negative(name):
    with pytest.raises(ValueError, match=f"{name} -1.0 is not between"):
        losses.visreg(jnp.ones((4, 2, 3)), AXES, **{name: -1.0})


def test_sigreg_takes_two_or_three_axes():
    for shape in ((3,), (4, 2, 2, 3)):
        with pytest.raises(ValueError, match=r"z must be \[N, D\] or \[N, V, D\]"):
            losses.sigreg(jnp.ones(shape), AXES)


def test_settings_out_of_range():
    with pytest.raises(ValueError, match="at least 2 points"):
        losses.sigreg(jnp.ones((4, 3)), AXES, points=1)
    with pytest.raises(ValueError, match="t_max 0 is not positive"):
        losses.sigreg(jnp.ones((4, 3)), AXES, t_max=0)
    with pytest.raises(ValueError, match="at least 2 rows"):
        losses.visreg(jnp.ones((1, 2, 3)), AXES)


def test_directions_are_float32_where_float64_is_on():
    with jax.enable_x64(True):
        assert losses.random_directions(jax.random.key(0), 3, 5).dtype == jnp.float32
