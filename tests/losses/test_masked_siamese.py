"""Masked Siamese networks: by hand, their priors, and at small temperatures."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import losses

LOG3 = np.log(3.0)
LOG_COST = 0.9 * np.log(4 / 3) + 0.1 * np.log(4)


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def one_example(**settings):
    """One example on the first of two orthogonal prototypes: predictions (3/4, 1/4), sharpened targets (9, 1) / 10."""
    anchor = jnp.array([[[2.0, 0.0]]])
    return functools.partial(
        losses.msn, anchor, anchor[:, 0], 7 * jnp.eye(2), temperature=1 / LOG3, target_sharpening=0.5, **settings
    )


def test_msn_by_hand():
    entropy = 0.75 * np.log(4 / 3) + 0.25 * np.log(4)
    np.testing.assert_allclose(one_example(sinkhorn_iterations=0, me_max_weight=0)(), LOG_COST, rtol=1e-6)
    loss = one_example(sinkhorn_iterations=0, me_max_weight=2.0)()
    np.testing.assert_allclose(loss, LOG_COST + 2 * (np.log(2) - entropy), rtol=1e-5)


def test_balanced_targets_of_a_single_example_use_all_prototypes_alike():
    expected = 0.5 * np.log(4 / 3) + 0.5 * np.log(4)
    np.testing.assert_allclose(one_example(me_max_weight=0)(), expected, rtol=1e-6)


@pytest.mark.parametrize("loss", [losses.msn, functools.partial(losses.pmsn, power_law_exponent=0)])
def test_collapsed_embeddings_cost_the_log_of_the_number_of_prototypes(loss):
    """All prototypes are alike, so every prediction is uniform, and so is their mean."""
    np.testing.assert_allclose(loss(jnp.ones((4, 2, 3)), jnp.ones((4, 3)), jnp.ones((5, 3))), np.log(5), rtol=1e-6)


def test_the_mean_prediction_is_over_all_examples_and_views():
    """Each anchor is on one of two prototypes, which the batch uses alike: the second term vanishes."""
    anchors, settings = jnp.eye(2)[None], dict(sinkhorn_iterations=0)
    loss = lambda weight: losses.msn(anchors, anchors[:, 0], jnp.eye(2), me_max_weight=weight, **settings)
    np.testing.assert_allclose(loss(1.0), loss(0.0), rtol=1e-6)
    across = lambda weight: losses.msn(jnp.eye(2)[:, None], jnp.eye(2), jnp.eye(2), me_max_weight=weight, **settings)
    np.testing.assert_allclose(across(1.0), across(0.0), rtol=1e-4, atol=1e-6)


def test_pmsn_by_hand():
    """The prior (1, 3) / 4 against the mean prediction (3, 1) / 4: either divergence is log(3) / 2."""
    anchor = jnp.array([[[2.0, 0.0]]])
    for prior_first in (False, True):
        loss = losses.pmsn(
            anchor, anchor[:, 0], jnp.eye(2), prior=jnp.array([10.0, 30.0]), prior_first=prior_first,
            temperature=1 / LOG3, target_sharpening=0.5, sinkhorn_iterations=0, prior_weight=2.0,
        )  # fmt: skip
        np.testing.assert_allclose(loss, LOG_COST + 2 * LOG3 / 2, rtol=1e-6)


def test_the_divergence_has_two_ways_round():
    """The prior (1, 1) / 2 against the mean prediction (3, 1) / 4."""
    anchor = jnp.array([[[2.0, 0.0]]])
    loss = functools.partial(
        losses.pmsn, anchor, anchor[:, 0], jnp.eye(2), prior=jnp.ones(2), temperature=1 / LOG3, target_sharpening=0.5,
        sinkhorn_iterations=0,
    )  # fmt: skip
    np.testing.assert_allclose(loss(), LOG_COST + 0.75 * np.log(1.5) + 0.25 * np.log(0.5), rtol=1e-6)
    np.testing.assert_allclose(loss(prior_first=True), LOG_COST + 0.5 * np.log(2 / 3) + 0.5 * np.log(2), rtol=1e-6)


def test_pmsn_with_a_uniform_prior_is_msn():
    arrays = normal(0, 4, 2, 6), normal(1, 4, 6), normal(2, 5, 6)
    exact = losses.msn(*arrays)
    np.testing.assert_allclose(losses.pmsn(*arrays, power_law_exponent=0), exact, rtol=1e-6)
    np.testing.assert_allclose(losses.pmsn(*arrays, prior=jnp.full(5, 7.0)), exact, rtol=1e-6)


def test_the_prior_is_a_power_law_by_default():
    arrays = normal(0, 4, 2, 6), normal(1, 4, 6), normal(2, 5, 6)
    law = jnp.array([1.0, 2, 3, 4, 5]) ** -0.7
    np.testing.assert_allclose(losses.pmsn(*arrays, power_law_exponent=0.7), losses.pmsn(*arrays, prior=law), rtol=1e-6)


@pytest.mark.parametrize(
    "loss", [losses.msn, losses.pmsn, functools.partial(losses.pmsn, prior_first=True)], ids=["msn", "pmsn", "first"]
)
@pytest.mark.parametrize("iterations", [0, 3])
def test_vanishing_probabilities_stay_finite(loss, iterations):
    """At temperature 1e-3 most prototypes have a mean probability of exactly 0 in float32."""
    loss = functools.partial(loss, temperature=1e-3, target_sharpening=0.1, sinkhorn_iterations=iterations)
    anchors = jnp.tile(normal(0, 1, 1, 6), (4, 2, 1))
    value, gradients = jax.jit(jax.value_and_grad(loss, (0, 2)))(anchors, normal(1, 4, 6), normal(2, 5, 6))
    assert np.isfinite(value) and all(np.all(np.isfinite(g)) for g in gradients)


def test_prototypes_have_their_gradient_through_the_predictions_only():
    """Of the cross entropy in p = (3/4, 1/4) with q = (9, 1) / 10, the second logit's gradient is p_2 - q_2; the first
    prototype points along the anchor, so has none."""
    anchor = jnp.array([[[2.0, 0.0]]])
    loss = functools.partial(
        losses.msn, temperature=1 / LOG3, target_sharpening=0.5, sinkhorn_iterations=0, me_max_weight=0
    )
    targets, prototypes = jax.jit(jax.grad(loss, (1, 2)))(anchor, anchor[:, 0], 7 * jnp.eye(2))
    np.testing.assert_array_equal(targets, 0)
    np.testing.assert_allclose(prototypes, [[0, 0], [(1 / 4 - 1 / 10) * LOG3 / 7, 0]], atol=1e-7)


@pytest.mark.parametrize("loss, weight", [(losses.msn, "me_max_weight"), (losses.pmsn, "prior_weight")])
def test_impossible_settings_are_named(loss, weight):
    anchors, targets, prototypes = jnp.ones((3, 2, 4)), jnp.ones((3, 4)), jnp.ones((5, 4))
    for wrong, match in (
        ({weight: -1.0}, f"{weight} -1.0"),
        (dict(temperature=0), "temperature 0 is not positive"),
        (dict(target_sharpening=0), "target_sharpening 0 is not positive"),
        (dict(sinkhorn_iterations=-1), "sinkhorn_iterations -1"),
    ):
        with pytest.raises(ValueError, match=match):
            loss(anchors, targets, prototypes, **wrong)
    for misfit in (jnp.ones((3, 5)), jnp.ones((2, 4)), jnp.ones((3, 2, 4))):
        with pytest.raises(ValueError, match=r"anchors and targets must be \[N, V, D\] and \[N, D\]"):
            loss(anchors, misfit, prototypes)
    with pytest.raises(ValueError, match="anchors and targets must be"):
        loss(targets, targets, prototypes)
    with pytest.raises(ValueError, match=r"prototypes must be \(5, 4\)"):
        loss(anchors, targets, jnp.ones((5, 3)))


def test_impossible_priors_are_named():
    arrays = jnp.ones((3, 2, 4)), jnp.ones((3, 4)), jnp.ones((5, 4))
    with pytest.raises(ValueError, match=r"prior must be \(5,\)"):
        losses.pmsn(*arrays, prior=jnp.ones(4))
    with pytest.raises(ValueError, match="power_law_exponent -1"):
        losses.pmsn(*arrays, power_law_exponent=-1)
