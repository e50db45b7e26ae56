"""SwAV and DeepCluster-v2 by hand, and what does not matter to them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import losses

swav = jax.jit(losses.swav, static_argnames=("assigning_views", "iterations"))
deepcluster = jax.jit(losses.deepcluster_v2)


def scores(seed, *shape):
    return 0.3 * jax.random.normal(jax.random.key(seed), shape)


def test_swav_of_collapsed_projections_costs_the_log_of_the_number_of_prototypes():
    # All scores equal: assignments are uniform by balance, predictions by equality.
    np.testing.assert_allclose(swav(jnp.full((6, 3, 5), 0.8)), np.log(5), rtol=1e-6)


def test_swav_of_identical_projections_is_log_k_wherever_they_point():
    # One row repeated: balance makes every assignment uniform, so the loss is the mean of -log softmax.
    row = jnp.array([0.9, 0.1, -0.4])
    expected = -np.mean(jax.nn.log_softmax(row / 0.1))
    np.testing.assert_allclose(swav(jnp.broadcast_to(row, (4, 2, 3))), expected, rtol=1e-5)


def test_swav_of_examples_on_prototypes_of_their_own():
    # By symmetry the scaling changes nothing, and q = softmax(scores / epsilon).
    matched = jnp.broadcast_to(jnp.eye(4)[:, None], (4, 2, 4))
    a, b = np.exp(1 / 0.5), np.exp(1 / 0.25)
    q, p = np.array([b, 1, 1, 1]) / (b + 3), np.array([a, 1, 1, 1]) / (a + 3)
    np.testing.assert_allclose(swav(matched, temperature=0.5, epsilon=0.25), -np.sum(q * np.log(p)), rtol=1e-6)


def test_swav_is_the_mean_over_pairs_of_different_views():
    x = scores(0, 8, 4, 5)
    assigned = [np.asarray(losses.sinkhorn_knopp(x[:, g])) for g in range(2)]
    predicted = np.asarray(jax.nn.log_softmax(x / 0.1))
    pairs = [-np.mean(np.sum(assigned[g] * predicted[:, v], axis=1)) for g in range(2) for v in range(4) if v != g]
    np.testing.assert_allclose(swav(x), np.mean(pairs), rtol=1e-5)


def test_swav_asks_small_crops_nothing_back():
    # A third view that does not assign changes no assignment; the loss over it is exactly its own pairs.
    x = scores(1, 8, 3, 5)
    q = [losses.sinkhorn_knopp(x[:, g]) for g in range(2)]
    third = np.mean([-np.mean(np.sum(a * jax.nn.log_softmax(x[:, 2] / 0.1), axis=1)) for a in q])
    np.testing.assert_allclose(swav(x), (swav(x[:, :2]) + third) / 2, rtol=1e-5)


def test_swav_of_a_single_example():
    # Alone, an example is assigned to all prototypes equally.
    x = scores(2, 1, 2, 3)
    expected = -np.mean(jax.nn.log_softmax(x / 0.1))
    np.testing.assert_allclose(swav(x), expected, rtol=1e-6)


def test_swavs_queue_takes_part_in_the_balance_and_is_cut_off():
    x, queue = scores(3, 4, 2, 3), scores(4, 5, 2, 3)
    q = [losses.sinkhorn_knopp(jnp.concatenate([queue[:, g], x[:, g]]))[5:] for g in range(2)]
    log_p = jax.nn.log_softmax(x / 0.1)
    expected = -np.mean(np.sum(q[0] * log_p[:, 1] + q[1] * log_p[:, 0], axis=1)) / 2
    found, gradient = jax.jit(jax.value_and_grad(lambda s: losses.swav(x, queue_scores=s)))(queue)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert abs(found - swav(x)) > 1e-3
    np.testing.assert_array_equal(gradient, 0)


def test_swavs_assignments_have_no_gradient():
    # With two views and one that assigns, nothing flows into the view that assigns.
    gradient = jax.jit(jax.grad(functools.partial(losses.swav, assigning_views=1)))(scores(5, 6, 2, 4))
    np.testing.assert_array_equal(gradient[:, 0], 0)
    assert np.all(np.any(gradient[:, 1], axis=1))


@pytest.mark.parametrize("settings", [{"temperature": 1e-3}, {"epsilon": 1e-3}, {"temperature": 1e-3, "epsilon": 1e-3}])
def test_swav_at_small_temperatures_is_finite(settings):
    value, gradient = jax.jit(jax.value_and_grad(functools.partial(losses.swav, **settings)))(scores(6, 8, 3, 4))
    assert np.isfinite(value) and np.all(np.isfinite(gradient))


def test_swavs_temperature_can_be_learned():
    x = scores(7, 8, 2, 4)
    slope = jax.jit(jax.grad(lambda t: losses.swav(x, temperature=t)))(0.5)
    measured = (swav(x, temperature=0.51) - swav(x, temperature=0.49)) / 0.02
    np.testing.assert_allclose(slope, measured, rtol=1e-2)


def test_swavs_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match="at least 2 views"):
        losses.swav(jnp.ones((4, 1, 3)))
    with pytest.raises(ValueError, match="assigning_views 3 is not between 1 and the 2"):
        losses.swav(jnp.ones((4, 2, 3)), assigning_views=3)
    with pytest.raises(ValueError, match=r"queue_scores must be \(9, 2, 3\)"):
        losses.swav(jnp.ones((4, 2, 3)), queue_scores=jnp.ones((9, 1, 3)))
    for settings in ({"temperature": 0.0}, {"epsilon": 0.0}):
        with pytest.raises(ValueError, match="not positive"):
            losses.swav(jnp.ones((4, 2, 3)), **settings)
    with pytest.raises(ValueError, match="iterations -1 is not between 0"):
        losses.swav(jnp.ones((4, 2, 3)), iterations=-1)


def test_swav_without_balancing_costs_nothing_where_all_rows_have_one_prototype():
    """The collapse that balancing prevents; balanced, the same scores cost log K."""
    one = jnp.zeros((4, 2, 3)).at[..., 1].set(1.0)
    assert swav(one, iterations=0, temperature=0.05) < 1e-6
    np.testing.assert_allclose(swav(one, temperature=1.0), np.log(np.e + 2) - 1 / 3, rtol=1e-5)


def test_swav_without_balancing_by_hand():
    x = scores(8, 3, 2, 4)
    q, p = (np.asarray(jax.nn.softmax(x / t)) for t in (0.3, 0.2))
    expected = -np.mean(np.sum(q * np.log(p[:, ::-1]), axis=-1))
    np.testing.assert_allclose(swav(x, iterations=0, epsilon=0.3, temperature=0.2), expected, rtol=1e-5)


def test_deepcluster_by_hand():
    # One head, one view, temperature 1: -log 3/4 and -log 1/2; the third row has no cluster.
    head = jnp.log(jnp.array([[0.75, 0.25], [0.5, 0.5], [0.1, 0.9]]))[:, None]
    found = deepcluster([head], jnp.array([[0], [1], [-100]]), temperature=1.0)
    np.testing.assert_allclose(found, -(np.log(0.75) + np.log(0.5)) / 2, rtol=1e-6)


def test_deepcluster_averages_within_each_head_and_then_over_heads():
    # Uniform heads of 4 and 2 clusters, with unequal numbers of unassigned rows.
    heads = [jnp.zeros((3, 2, 4)), jnp.zeros((3, 2, 2))]
    assignments = jnp.array([[0, -1], [3, -1], [2, 1]])
    np.testing.assert_allclose(deepcluster(heads, assignments), (np.log(4) + np.log(2)) / 2, rtol=1e-6)


def test_deepclusters_heads_may_be_one_array():
    heads, assignments = scores(10, 2, 3, 2, 4), jnp.array([[0, -1], [3, 1], [2, 1]])
    np.testing.assert_allclose(deepcluster(heads, assignments), deepcluster(list(heads), assignments), rtol=1e-6)
    with pytest.raises(ValueError, match="one a head"):
        losses.deepcluster_v2(heads[:0], assignments[:, :0])


def test_deepcluster_without_any_assignment_is_zero():
    loss = lambda x: losses.deepcluster_v2([x], jnp.full((3, 1), -1))
    value, gradient = jax.jit(jax.value_and_grad(loss))(scores(8, 3, 2, 4))
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("filler", [np.nan, np.inf, -np.inf])
def test_deepclusters_unassigned_scores_do_not_matter(filler):
    x, assignments = scores(9, 4, 2, 3), jnp.array([[0], [-1], [2], [-100]])
    step = jax.jit(jax.value_and_grad(lambda x: losses.deepcluster_v2([x], assignments)))
    value, gradient = step(x)
    changed, changed_gradient = step(x.at[1].set(filler))
    assert value == changed
    np.testing.assert_array_equal(changed_gradient, gradient)
    np.testing.assert_array_equal(gradient[jnp.array([1, 3])], 0)


def test_deepcluster_at_a_small_temperature_is_finite():
    loss = lambda x: losses.deepcluster_v2([x], jnp.array([[0], [1]]), temperature=1e-3)
    value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.array([[[1.0, -1.0]], [[1.0, -1.0]]]))
    np.testing.assert_allclose(value, 1000, rtol=1e-6)  # right, and wrong by 2000
    assert np.all(np.isfinite(gradient))


def test_deepclusters_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match="one a head"):
        losses.deepcluster_v2([], jnp.zeros((3, 0), int))
    with pytest.raises(ValueError, match="one a head"):
        losses.deepcluster_v2([jnp.ones((3, 2, 4)), jnp.ones((3, 1, 4))], jnp.zeros((3, 2), int))
    with pytest.raises(ValueError, match=r"assignments must be \(3, 1\)"):
        losses.deepcluster_v2([jnp.ones((3, 2, 4))], jnp.zeros((1, 3), int))
    with pytest.raises(ValueError, match="not positive"):
        losses.deepcluster_v2([jnp.ones((3, 2, 4))], jnp.zeros((3, 1), int), temperature=0.0)
