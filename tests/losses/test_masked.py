"""Losses of what was hidden: by hand, at their edges."""

import functools

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


@pytest.mark.parametrize("loss", [losses.next_sentence, losses.sentence_order])
def test_pairs_of_sentences_by_hand(loss):
    logits = jnp.log(jnp.array([[0.75, 0.25], [0.5, 0.5]]))
    np.testing.assert_allclose(loss(logits, jnp.array([1, 0])), (np.log(4) + np.log(2)) / 2, rtol=1e-6)
    np.testing.assert_allclose(loss(logits[:1], jnp.array([0])), np.log(4 / 3), rtol=1e-6)


PATCHES = {
    "masked_patches": losses.masked_patches,
    "masked_patches of plain pixels": functools.partial(losses.masked_patches, normalize_targets=False),
    "simmim": losses.simmim,
    "mask_feat": losses.mask_feat,
}
TOKENS = {
    "beit": losses.beit,
    "masked_lm": losses.masked_lm,
    "span_corruption": losses.span_corruption,
    "span_corruption smoothed, z-loss": functools.partial(losses.span_corruption, z_loss=0.1, label_smoothing=0.2),
}
MASKED = (*PATCHES, "beit")
WEIGHTS = jnp.array([[1, 0, 1], [0, 0, 1]])


def inputs(name, seed=0):
    """Two arrays for a loss, [2, 3, ...]."""
    a, b = jax.random.normal(jax.random.key(seed), (2, 2, 3, 4))
    if name in PATCHES:
        return a, b
    return (a[..., 0], b[..., 0] > 0) if name == "replaced_tokens" else (a, jnp.array([[0, 1, 2], [3, 1, 0]]))


@functools.cache
def with_gradient(name):
    loss = {**PATCHES, **TOKENS, "replaced_tokens": losses.replaced_tokens}[name]
    return jax.jit(jax.value_and_grad(loss, (0, 1) if name in PATCHES else 0))


every = pytest.mark.parametrize("name", [*PATCHES, *TOKENS, "replaced_tokens"])


@every
def test_places_without_weight_do_not_matter_even_as_nan(name):
    first, second = inputs(name)
    kept = lambda x: (WEIGHTS > 0).reshape(2, 3, *(1,) * (x.ndim - 2))
    wrong = lambda x, value: jnp.where(kept(x), x, value)
    value, gradients = with_gradient(name)(first, second, WEIGHTS)
    for nan in (jnp.nan, jnp.inf, -jnp.inf):
        other = wrong(second, nan) if name in PATCHES else wrong(second.astype(int), -100)
        found, found_gradients = with_gradient(name)(wrong(first, nan), other, WEIGHTS)
        assert found == value
        for ours, exact in zip(jax.tree.leaves(found_gradients), jax.tree.leaves(gradients)):
            np.testing.assert_array_equal(ours, exact)
            np.testing.assert_array_equal(jnp.where(kept(ours), 0, ours), 0)


@every
@pytest.mark.parametrize("dtype", [float, int, bool])
def test_no_place_with_weight_is_zero(name, dtype):
    value, gradients = with_gradient(name)(*inputs(name), jnp.zeros((2, 3), dtype))
    assert value == 0
    for gradient in jax.tree.leaves(gradients):
        np.testing.assert_array_equal(gradient, 0)


@every
def test_places_are_averaged_over_the_batch_and_not_over_examples_first(name):
    loss = with_gradient(name)
    a, b = inputs(name)
    single = lambda i, j: loss(a[i : i + 1, j : j + 1], b[i : i + 1, j : j + 1], jnp.ones((1, 1)))[0]
    all_of_them = [[single(i, j) for j in range(3)] for i in range(2)]
    np.testing.assert_allclose(loss(a, b, jnp.ones((2, 3), bool))[0], np.mean(all_of_them), rtol=1e-6)
    weights = np.array([[1, 0, 2], [0, 0, 0.5]])
    counted = weights > 0 if name in MASKED else weights  # a mask only says where, weights how much
    np.testing.assert_allclose(loss(a, b, jnp.asarray(weights))[0], np.average(all_of_them, weights=counted), rtol=1e-6)


@every
def test_large_numbers_in_half_precision(name):
    first, second = inputs(name)
    big = jnp.where(first > 0, 6e4, -6e4).astype(jnp.float16)
    value, gradients = with_gradient(name)(big, second, jnp.ones((2, 3)))
    assert value.dtype == jnp.float32 and np.isfinite(value)
    assert all(np.all(np.isfinite(g)) for g in jax.tree.leaves(gradients))


def test_simmim_by_hand():
    targets = jnp.array([[[0.0, 2.0], [5.0, 5.0]], [[1.0, 1.0], [4.0, -4.0]]])
    mask = jnp.array([[1.0, 0.0], [1.0, 1.0]])
    loss = losses.simmim(jnp.zeros_like(targets), targets, mask)
    assert loss.dtype == jnp.float32
    np.testing.assert_allclose(loss, (1 + 1 + 4) / 3)


def test_simmim_at_its_kink_has_no_gradient():
    value, gradient = jax.value_and_grad(losses.simmim)(jnp.ones((1, 2, 3)), jnp.ones((1, 2, 3)), jnp.ones((1, 2)))
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


def test_mask_feat_by_hand():
    targets = jnp.array([[[0.0, 2.0], [5.0, 5.0]], [[1.0, 1.0], [4.0, -4.0]]])
    mask = jnp.array([[1.0, 0.0], [1.0, 1.0]])
    np.testing.assert_allclose(losses.mask_feat(jnp.zeros_like(targets), targets, mask), (2 + 1 + 16) / 3, rtol=1e-6)


def test_beit_by_hand():
    logits = jnp.log(jnp.array([[[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]]))
    tokens = jnp.array([[1, 2]])
    mask = jnp.array([[True, False]])
    np.testing.assert_allclose(losses.beit(logits, tokens, jnp.ones((1, 2))), np.log(4 / 0.8) / 2, rtol=1e-6)
    np.testing.assert_allclose(losses.beit(logits, tokens, mask), np.log(4), rtol=1e-6)


def test_windows_by_hand():
    # The window of 3 around the first pixel holds 0 and 3: mean 1.5, unbiased variance 4.5. Around the second, 0, 3
    # and 6: mean 3, variance 9. Around the third, 3, 6 and 6: mean 5, variance 3.
    images = jnp.array([0.0, 3, 6, 6])[None, None, :, None]
    expected = [-1.5 / 4.5**0.5, 0, 1 / 3**0.5, 0]
    found = jax.jit(losses.normalize_windows, static_argnames="window")(images, window=3)
    np.testing.assert_allclose(found[0, 0, :, 0], expected, rtol=1e-5, atol=1e-6)
    assert found.dtype == jnp.float32
    whole = losses.normalize_windows(images.reshape(1, 2, 2, 1), window=47)  # all see all: mean 3.75, variance 8.25
    np.testing.assert_allclose(whole[0, :, :, 0], (images.reshape(2, 2) - 3.75) / 8.25**0.5, rtol=1e-5)


def test_windows_of_a_constant_are_zero_with_finite_gradients():
    def loss(images):
        return jnp.sum(jnp.square(losses.normalize_windows(images, window=3)))

    value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.full((2, 5, 5, 3), 0.7))
    np.testing.assert_allclose(value, 0, atol=1e-6)
    assert np.all(np.isfinite(gradient))


def test_replaced_tokens_by_hand():
    # Probabilities of "replaced" 1/2, 3/4 and 7/8; the second is, the third is not. The fourth is padding.
    logits = jnp.log(jnp.array([[1.0, 3, 7, 9]]))
    replaced, weights = jnp.array([[1, 1, 0, 0]]), jnp.array([[1, 1, 1, 0]])
    expected = np.log([2, 4 / 3, 8]).mean()
    np.testing.assert_allclose(losses.replaced_tokens(logits, replaced, weights), expected, rtol=1e-6)
    np.testing.assert_allclose(losses.replaced_tokens(-logits, 1 - replaced, weights), expected, rtol=1e-6)


def test_replaced_tokens_that_are_certain():
    logits, replaced = jnp.array([[50.0, -50.0]]), jnp.array([[True, False]])
    np.testing.assert_allclose(losses.replaced_tokens(logits, replaced, jnp.ones((1, 2))), np.exp(-50), rtol=1e-5)
    np.testing.assert_allclose(losses.replaced_tokens(logits, ~replaced, jnp.ones((1, 2))), 50, rtol=1e-6)


def test_span_corruption_by_hand():
    logits = jnp.log(jnp.array([[[4.0, 2.0, 2.0], [0.1, 0.1, 0.8]]]))  # Z is 8 and 1
    targets, weights = jnp.array([[1, 2]]), jnp.ones((1, 2))
    plain = (np.log(4) - np.log(0.8)) / 2
    np.testing.assert_allclose(losses.span_corruption(logits, targets, weights), plain, rtol=1e-6)
    np.testing.assert_allclose(
        losses.span_corruption(logits, targets, weights, z_loss=0.1), plain + 0.1 * np.log(8) ** 2 / 2, rtol=1e-6
    )
    # Targets 0.2, 0.6, 0.2 against 1/2, 1/4, 1/4.
    kept = losses.span_corruption(logits, targets, jnp.array([[1, 0]]), label_smoothing=0.4)
    q, p = np.array([0.2, 0.6, 0.2]), np.array([0.5, 0.25, 0.25])
    np.testing.assert_allclose(kept, np.sum(q * np.log(q / p)), rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.1, 0.5, 1.0])
def test_the_least_smoothed_loss_is_zero(smoothing):
    q = np.full(5, smoothing / 4)
    q[3] = 1 - smoothing
    logits = jnp.log(jnp.maximum(jnp.asarray(q, jnp.float32), 1e-30))[None, None]
    loss = losses.span_corruption(logits, jnp.array([[3]]), jnp.ones((1, 1)), label_smoothing=smoothing)
    np.testing.assert_allclose(loss, 0, atol=1e-6)


@pytest.mark.parametrize("name", ["beit", "masked_lm", "span_corruption"])
def test_words_left_out_of_the_vocabulary(name):
    logits = jnp.array([[[0.0, 0.0, -jnp.inf]]])
    value, gradient = with_gradient(name)(logits, jnp.array([[0]]), jnp.ones((1, 1)))
    np.testing.assert_allclose(value, np.log(2), rtol=1e-6)
    np.testing.assert_allclose(gradient[0, 0], [-0.5, 0.5, 0], atol=1e-6)


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
    with pytest.raises(ValueError, match="mask must be"):
        losses.simmim(jnp.ones((2, 3, 4)), jnp.ones((2, 3, 4)), jnp.ones((2, 4)))
    with pytest.raises(ValueError, match="predictions and targets"):
        losses.mask_feat(jnp.ones((2, 3, 4)), jnp.ones((2, 1, 4)), jnp.ones((2, 3)))
    with pytest.raises(ValueError, match=r"logits must be \[B, N, V\]"):
        losses.beit(jnp.ones((6, 7)), jnp.zeros(6, int), jnp.ones(6))
    with pytest.raises(ValueError, match="tokens must be"):
        losses.beit(jnp.ones((2, 3, 7)), jnp.zeros((2, 7), int), jnp.ones((2, 3)))
    with pytest.raises(ValueError, match=r"logits must be \[B, S\]"):
        losses.replaced_tokens(jnp.ones((2, 3, 1)), jnp.zeros((2, 3), int), jnp.ones((2, 3)))
    with pytest.raises(ValueError, match="replaced must be"):
        losses.replaced_tokens(jnp.ones((2, 3)), jnp.zeros(2, int), jnp.ones((2, 3)))
    with pytest.raises(ValueError, match=r"logits must be \[B, S, V\]"):
        losses.span_corruption(jnp.ones((2, 3)), jnp.zeros((2, 3), int), jnp.ones((2, 3)))
    with pytest.raises(ValueError, match="targets must be"):
        losses.span_corruption(jnp.ones((2, 3, 7)), jnp.zeros((2, 7), int), jnp.ones((2, 3)))
    with pytest.raises(ValueError, match=r"logits must be \[B, 2\]"):
        losses.sentence_order(jnp.ones((2, 2)), jnp.zeros(3, int))


@pytest.mark.parametrize("settings", [{"z_loss": -1e-4}, {"label_smoothing": -0.1}, {"label_smoothing": 1.1}])
def test_impossible_settings(settings):
    with pytest.raises(ValueError, match="is not between"):
        losses.span_corruption(jnp.ones((2, 3, 7)), jnp.zeros((2, 3), int), jnp.ones((2, 3)), **settings)


def test_impossible_windows():
    for window in (0, 1, 46):
        with pytest.raises(ValueError, match="window .* is not an odd number"):
            losses.normalize_windows(jnp.ones((1, 8, 8, 3)), window=window)
    with pytest.raises(ValueError, match="single pixel"):
        losses.normalize_windows(jnp.ones((3, 1, 1, 3)))
    with pytest.raises(ValueError, match="images must be"):
        losses.normalize_windows(jnp.ones((8, 8, 3)))
