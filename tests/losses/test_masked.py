"""Losses of what was hidden: by hand, at their edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import losses


def test_masked_patches_by_hand():
    targets = jnp.array([[[0.0, 2.0], [5.0, 5.0]], [[1.0, 1.0], [4.0, 4.0]]])
    mask = jnp.array([[1.0, 0.0], [1.0, 1.0]])
    loss = losses.masked_patches(jnp.zeros_like(targets), targets, mask, normalize_targets=False)
    assert loss.dtype == jnp.float32
    np.testing.assert_allclose(loss, (2 + 1 + 16) / 3)


def test_masked_patches_normalises_by_the_unbiased_deviation():
    targets = jnp.array([[[0.0, 2.0]]])  # mean 1, unbiased variance 2
    loss = losses.masked_patches(jnp.zeros_like(targets), targets, jnp.ones((1, 1)))
    np.testing.assert_allclose(loss, 1 / (2 + 1e-6), rtol=1e-6)


def test_constant_patches_are_finite():
    ones = jnp.ones((2, 3, 4))
    value, gradient = jax.value_and_grad(losses.masked_patches)(ones, ones, jnp.ones((2, 3)))
    np.testing.assert_allclose(value, 1)
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("mask", [np.zeros((2, 3)), np.zeros((2, 3), bool)])
def test_nothing_hidden_is_zero(mask):
    ones = jnp.ones((2, 3, 4))
    value, gradient = jax.value_and_grad(losses.masked_patches)(ones, ones, jnp.asarray(mask))
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


def test_visible_patches_do_not_matter():
    key = jax.random.key(0)
    predictions, targets = jax.random.normal(key, (2, 2, 3, 4))
    mask = jnp.array([[1, 0, 1], [0, 0, 1]])
    changed = jnp.where(mask[..., None] == 1, predictions, jnp.nan)
    exact = jax.value_and_grad(losses.masked_patches)(predictions, targets, mask)
    loss, gradient = jax.value_and_grad(losses.masked_patches)(changed, targets, mask)
    assert loss == exact[0]
    np.testing.assert_array_equal(gradient, exact[1])


def test_masked_lm_by_hand():
    logits = jnp.log(jnp.array([[[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]]))
    targets = jnp.array([[1, 2]])
    np.testing.assert_allclose(
        losses.masked_lm(logits, targets, jnp.ones((1, 2))), (np.log(4) - np.log(0.8)) / 2, rtol=1e-6
    )
    np.testing.assert_allclose(losses.masked_lm(logits, targets, jnp.array([[1.0, 0.0]])), np.log(4), rtol=1e-6)


def test_masked_lm_ignores_targets_without_weight():
    logits = jax.random.normal(jax.random.key(0), (2, 3, 7))
    targets, weights = jnp.array([[1, -100, 99], [6, 2, -1]]), jnp.array([[1.0, 0, 0], [1, 1, 0]])
    value, gradient = jax.value_and_grad(losses.masked_lm)(logits, targets, weights)
    assert value == losses.masked_lm(logits, jnp.where(weights > 0, targets, 3), weights)
    np.testing.assert_array_equal(gradient[weights == 0], 0)


def test_masked_lm_ignores_logits_without_weight():
    logits = jnp.zeros((1, 2, 3)).at[0, 1].set(jnp.array([jnp.nan, jnp.inf, -jnp.inf]))
    value, gradient = jax.value_and_grad(losses.masked_lm)(logits, jnp.array([[1, 1]]), jnp.array([[1.0, 0.0]]))
    np.testing.assert_allclose(value, np.log(3), rtol=1e-6)
    np.testing.assert_array_equal(gradient[0, 1], 0)


def test_masked_lm_without_predictions_is_zero():
    none = jnp.zeros((2, 3))
    value, gradient = jax.value_and_grad(losses.masked_lm)(jnp.ones((2, 3, 7)), none.astype(int), none)
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


def test_large_logits_in_half_precision():
    logits = jnp.array([[[3e4, -3e4, 0.0]]], jnp.float16)
    value, gradient = jax.value_and_grad(losses.masked_lm)(logits, jnp.array([[1]]), jnp.ones((1, 1)))
    assert value.dtype == jnp.float32 and np.isfinite(value) and np.all(np.isfinite(gradient))


def test_next_sentence_by_hand():
    logits = jnp.log(jnp.array([[0.75, 0.25], [0.5, 0.5]]))
    np.testing.assert_allclose(losses.next_sentence(logits, jnp.array([1, 0])), (np.log(4) + np.log(2)) / 2, rtol=1e-6)


def test_misfits_are_named():
    with pytest.raises(ValueError, match="mask must be"):
        losses.masked_patches(jnp.ones((2, 3, 4)), jnp.ones((2, 3, 4)), jnp.ones((2, 4)))
    with pytest.raises(ValueError, match="predictions and targets"):
        losses.masked_patches(jnp.ones((2, 3, 4)), jnp.ones((2, 3, 5)), jnp.ones((2, 3)))
    with pytest.raises(ValueError, match="1 value"):
        losses.masked_patches(jnp.ones((2, 3, 1)), jnp.ones((2, 3, 1)), jnp.ones((2, 3)))
    with pytest.raises(ValueError, match="weights must be"):
        losses.masked_lm(jnp.ones((2, 3, 7)), jnp.zeros((2, 3), int), jnp.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"logits must be \[B, 2\]"):
        losses.next_sentence(jnp.ones((2, 3)), jnp.zeros(2, int))
