"""Regression of a target network's output: by hand, at the edges, and where no gradient flows."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ssl_jax import losses


def value_and_gradients(loss, *arrays, **settings):
    return jax.jit(jax.value_and_grad(functools.partial(loss, **settings), tuple(range(len(arrays)))))(*arrays)


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


@pytest.mark.parametrize(
    "z, distance", [([0.0, 2.0], 0.0), ([0.0, -2.0], 4.0), ([3.0, 0.0], 2.0), ([1.0, 1.0], 2 - 2**0.5)]
)
@pytest.mark.parametrize("n", [1, 3])
def test_byol_and_simsiam_by_hand(z, distance, n):
    p, z = jnp.tile(jnp.array([[0.0, 5.0]]), (n, 1)), jnp.tile(jnp.array([z]), (n, 1))
    np.testing.assert_allclose(losses.byol(p, z), distance, atol=1e-6)
    np.testing.assert_allclose(losses.simsiam(p, z), distance / 2 - 1, atol=1e-6)


def test_byol_and_simsiam_average_over_the_batch():
    p, z = jnp.array([[0.0, 1.0], [0.0, 1.0]]), jnp.array([[0.0, 1.0], [1.0, 0.0]])
    np.testing.assert_allclose(losses.byol(p, z), (0 + 2) / 2)
    np.testing.assert_allclose(losses.simsiam(p, z), -(1 + 0) / 2)


def test_byol_is_exactly_zero_for_equal_views():
    p = normal(0, 4, 7)
    assert losses.byol(p, p) == 0


def test_zero_rows_are_at_distance_one_and_similarity_zero():
    zero, unit = jnp.zeros((2, 3)), jnp.eye(3)[:2]
    assert losses.byol(zero, unit) == losses.byol(unit, zero) == 1
    assert losses.simsiam(zero, unit) == losses.simsiam(unit, zero) == 0
    assert losses.byol(zero, zero) == losses.simsiam(zero, zero) == 0


@pytest.mark.parametrize("loss", [losses.byol, losses.simsiam])
def test_only_the_predictions_have_a_gradient(loss):
    _, (dp, dz) = value_and_gradients(loss, normal(0, 4, 7), normal(1, 4, 7))
    assert np.abs(dp).max() > 0
    np.testing.assert_array_equal(dz, 0)


def test_simsiam_without_its_stop_gradient_is_the_cosine():
    p, z = normal(0, 6, 4), normal(1, 6, 4)
    cosine = lambda p, z: -jnp.mean(optax.cosine_similarity(p, z))
    whole, parts = value_and_gradients(losses.simsiam, p, z, stop_gradient=False)
    expected, gradients = jax.value_and_grad(cosine, (0, 1))(p, z)
    np.testing.assert_allclose(whole, expected, rtol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7), parts, gradients)


@pytest.mark.parametrize("loss", [losses.byol, losses.simsiam])
def test_views_that_do_not_fit(loss):
    with pytest.raises(ValueError, match=r"predictions and targets must both be \[N, D\], not \(3, 4\) and \(3, 5\)"):
        loss(jnp.ones((3, 4)), jnp.ones((3, 5)))


def test_data2vec_by_hand():
    """beta 2: 1 and 2 are in the square part (1/4, 1), 3 and -4 on the line (3 - 1, 4 - 1)."""
    differences = jnp.array([[[1.0, 2.0], [3.0, -4.0], [9.0, 9.0]]])
    mask, zeros = jnp.array([[1, 1, 0]]), jnp.zeros((1, 3, 2))
    np.testing.assert_allclose(losses.data2vec(differences, zeros, mask), (0.25 + 1 + 2 + 3) / 4)
    np.testing.assert_allclose(losses.data2vec(differences, zeros, mask, beta=0), (1 + 4 + 9 + 16) / 4)
    np.testing.assert_allclose(losses.data2vec(differences, zeros, mask, beta=1), (0.5 + 1.5 + 2.5 + 3.5) / 4)


def test_data2vec_weighs_positions_alike_not_examples():
    mask = jnp.array([[1, 1, 1], [1, 0, 0]])
    predictions = jnp.array([1.0, 3.0])[:, None, None] * jnp.ones((2, 3, 4))
    loss = losses.data2vec(predictions, jnp.zeros((2, 3, 4)), mask, beta=0)
    np.testing.assert_allclose(loss, (3 * 1 + 1 * 9) / 4)


@pytest.mark.parametrize("loss", [losses.data2vec, losses.i_jepa])
@pytest.mark.parametrize("beta", [0, 0.5])
def test_places_outside_of_the_mask_do_not_matter(loss, beta):
    p, z, mask = normal(0, 2, 3, 4), normal(1, 2, 3, 4), jnp.array([[1, 0, 1], [0, 0, 1]])
    hidden = mask[..., None] == 1
    loss = jax.jit(jax.value_and_grad(functools.partial(loss, beta=beta)))
    exact, found = loss(p, z, mask), loss(jnp.where(hidden, p, jnp.nan), jnp.where(hidden, z, jnp.inf), mask)
    assert found[0] == exact[0]
    np.testing.assert_array_equal(found[1], exact[1])


@pytest.mark.parametrize("loss", [losses.data2vec, losses.i_jepa, losses.v_jepa])
@pytest.mark.parametrize("none", [np.zeros((2, 3)), np.zeros((2, 3), bool)])
def test_nothing_hidden_is_zero(loss, none):
    value, gradient = jax.value_and_grad(loss)(normal(0, 2, 3, 4), normal(1, 2, 3, 4), jnp.asarray(none))
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


def test_no_gradient_reaches_the_teachers_layers():
    loss = lambda p, a, b: losses.data2vec(p, losses.average_layers([a, b]), jnp.ones((2, 3)))
    _, (dp, *dlayers) = value_and_gradients(loss, *(normal(i, 2, 3, 4) for i in range(3)))
    assert np.abs(dp).max() > 0
    np.testing.assert_array_equal(dlayers, 0)


def test_average_layers_by_hand():
    first, last = jnp.full((1, 2, 2), 7.0), jnp.array([[[0.0, 4.0], [2.0, 2.0]]])
    plain = functools.partial(losses.average_layers, normalize="none")
    np.testing.assert_array_equal(plain([first, last]), (first + last) / 2)
    np.testing.assert_array_equal(plain([first, last], top=1), last)
    # The first position has deviation 2, the second none; over time, both values have deviation 1.
    layer = losses.average_layers([first, last], top=1)
    np.testing.assert_allclose(layer, [[[-1, 1], [0, 0]]], atol=1e-5)
    instance = losses.average_layers([last], normalize="instance")
    np.testing.assert_allclose(instance, [[[-1, 1], [1, -1]]], atol=1e-4)
    again = losses.average_layers([first, last], normalize="none", normalize_average=True)
    np.testing.assert_allclose(again, [[[-1, 1], [0, 0]]], atol=1e-4)


@pytest.mark.parametrize("normalize", ["layer", "instance"])
def test_average_layers_of_constant_layers_is_zero_with_finite_gradients(normalize):
    make = lambda x: jnp.sum(losses.average_layers([x], normalize=normalize, normalize_average=True))
    value, gradient = jax.value_and_grad(make)(jnp.full((2, 3, 4), 5.0))
    assert value == 0 and np.all(np.isfinite(gradient))


def test_average_layers_computes_in_float32():
    layer = normal(0, 2, 3, 4).astype(jnp.bfloat16)
    found = losses.average_layers([layer, layer])
    assert found.dtype == jnp.float32
    np.testing.assert_array_equal(found, losses.average_layers([layer.astype(jnp.float32)] * 2))


def test_i_jepa_by_hand():
    """Normalised, the target is (-1, 1); the differences are 1 and 2."""
    targets = jnp.array([[[10.0, 30.0]]])
    predictions = jnp.array([[[0.0, 3.0]]])
    np.testing.assert_allclose(losses.i_jepa(predictions, targets), (0.5 + 1.5) / 2, rtol=1e-6)
    np.testing.assert_allclose(losses.i_jepa(predictions, targets, beta=0), (1 + 4) / 2, rtol=1e-6)
    raw = losses.i_jepa(predictions, targets, normalize_targets=False)
    np.testing.assert_allclose(raw, (9.5 + 26.5) / 2, rtol=1e-6)


def test_i_jepa_without_a_mask_counts_everything():
    p, z = normal(0, 2, 3, 4), normal(1, 2, 3, 4)
    assert losses.i_jepa(p, z) == losses.i_jepa(p, z, jnp.ones((2, 3), bool))


def test_v_jepa_by_hand():
    """Normalised, the target is (-1, 1); the differences are 1 and 2."""
    targets, predictions = jnp.array([[[10.0, 30.0]]]), jnp.array([[[0.0, 3.0]]])
    np.testing.assert_allclose(losses.v_jepa(predictions, targets), (1 + 2) / 2, rtol=1e-6)
    np.testing.assert_allclose(losses.v_jepa(predictions, targets, normalize_targets=False), (10 + 27) / 2, rtol=1e-6)
    p, z, mask = normal(0, 2, 3, 4), normal(1, 2, 3, 4), jnp.array([[1, 0, 1], [0, 0, 1]])
    apart = np.abs(p - z).mean(-1)
    expected = (apart[0, 0] + apart[0, 2] + apart[1, 2]) / 3
    np.testing.assert_allclose(losses.v_jepa(p, z, mask, normalize_targets=False), expected, rtol=1e-6)


def test_misfits_are_named():
    ones, mask = jnp.ones((2, 3, 4)), jnp.ones((2, 3))
    for loss in (losses.data2vec, losses.i_jepa, losses.v_jepa):
        with pytest.raises(ValueError, match="mask must be"):
            loss(ones, ones, jnp.ones((2, 4)))
        with pytest.raises(ValueError, match="predictions and targets must both be"):
            loss(ones, jnp.ones((2, 3, 5)), mask)
    for loss in (losses.data2vec, losses.i_jepa):
        with pytest.raises(ValueError, match="beta -1"):
            loss(ones, ones, mask, beta=-1)
    for top in (0, 3):
        with pytest.raises(ValueError, match=f"last {top} of 2 layers"):
            losses.average_layers([ones, ones], top=top)
    with pytest.raises(ValueError, match="of 0 layers"):
        losses.average_layers([])
    with pytest.raises(ValueError, match="layer 0 and layer 1 must both be"):
        losses.average_layers([ones, jnp.ones((2, 4, 4))])
    with pytest.raises(ValueError, match="normalize 'batch' is not one of layer, instance, none"):
        losses.average_layers([ones], normalize="batch")


def test_average_layers_over_time_leaves_padding_out():
    layers = [jax.random.normal(jax.random.key(seed), (2, 6, 3)) for seed in range(2)]
    weights = jnp.arange(6)[None] < jnp.array([[6], [4]])
    found = losses.average_layers(layers, normalize="instance", weights=weights)
    np.testing.assert_allclose(
        found[:1], losses.average_layers([x[:1] for x in layers], normalize="instance"), atol=1e-6
    )
    short = losses.average_layers([x[1:, :4] for x in layers], normalize="instance")
    np.testing.assert_allclose(found[1:, :4], short, atol=1e-6)
    with pytest.raises(ValueError, match="weights"):
        losses.average_layers(layers, normalize="instance", weights=weights[:, :5])
