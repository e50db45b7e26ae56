"""wav2vec 2.0, HuBERT and BEST-RQ: by hand, at their edges, padding."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import losses

N, T, M, D, C = 3, 6, 4, 5, 7
ONES = jnp.ones((N, T))
SOME = ONES.at[0, 3:].set(0).at[1].set(0).at[2, ::2].set(0)


def pair(seed=0):
    keys = jax.random.split(jax.random.key(seed), 3)
    predictions, targets = (jax.random.normal(key, (N, T, D)) for key in keys[:2])
    return predictions, targets, jax.random.randint(keys[2], (N, T, M), 0, T)


def plain(predictions, targets, negatives, weights, temperature):
    """Equation 3, one place at a time, in float64; without the distractors that equal the target."""
    predictions, targets = np.asarray(predictions, np.float64), np.asarray(targets, np.float64)
    cosine = lambda a, b: a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    terms = []
    for n, t in np.argwhere(np.asarray(weights) > 0):
        others = [targets[n, j] for j in negatives[n, t] if weights[n, j] and np.any(targets[n, j] != targets[n, t])]
        scores = np.array([cosine(predictions[n, t], q) / temperature for q in [targets[n, t], *others]])
        terms.append(np.log(np.exp(scores).sum()) - scores[0])
    return np.mean(terms)


@pytest.mark.parametrize("weights", [ONES, SOME])
def test_wav2vec2_equals_the_equation(weights):
    for temperature in (0.1, 1.0):
        loss = losses.wav2vec2(*pair(), weights, temperature=temperature)
        np.testing.assert_allclose(loss, plain(*pair(), weights, temperature), rtol=1e-5)


def test_wav2vec2_leaves_out_distractors_that_equal_the_target():
    predictions, targets, negatives = pair(1)
    targets = targets[:, jnp.array([0, 1, 0, 1, 0, 5])]
    loss = losses.wav2vec2(predictions, targets, negatives, ONES)
    np.testing.assert_allclose(loss, plain(predictions, targets, negatives, ONES, 0.1), rtol=1e-5)
    value, gradient = jax.value_and_grad(losses.wav2vec2)(predictions, jnp.ones_like(targets), negatives, ONES)
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


def test_wav2vec2_of_orthogonal_targets():
    targets = jnp.eye(4)[None]
    negatives = (jnp.arange(4)[:, None] + jnp.array([1, 2])[None])[None] % 4
    loss = losses.wav2vec2(3 * targets, targets, negatives, jnp.ones((1, 4)), temperature=0.5)
    np.testing.assert_allclose(loss, np.log(1 + 2 * np.exp(-2)), rtol=1e-6)
    loss = losses.wav2vec2(jnp.ones((1, 4, 4)), targets, negatives, jnp.ones((1, 4)))
    np.testing.assert_allclose(loss, np.log(3), rtol=1e-6)


def test_wav2vec2_ignores_places_that_are_not_masked():
    predictions, targets, negatives = pair(2)
    function = jax.jit(jax.value_and_grad(lambda p, q: losses.wav2vec2(p, q, negatives, SOME), (0, 1)))
    value, gradients = function(predictions, targets)
    changed, changed_gradients = function(*(jnp.where(SOME[..., None] > 0, x, jnp.nan) for x in (predictions, targets)))
    assert changed == value > 0
    for g, e in zip(changed_gradients, gradients):
        np.testing.assert_array_equal(g, e)
        np.testing.assert_array_equal(g[SOME == 0], 0)


def test_wav2vec2_without_masked_places_or_distractors_is_zero():
    predictions, targets, negatives = pair(3)
    itself = jnp.broadcast_to(jnp.arange(T)[None, :, None], negatives.shape)
    for index, weights in ((negatives, 0 * ONES), (itself, ONES), (negatives - T, ONES), (negatives + T, ONES)):
        value, gradient = jax.value_and_grad(losses.wav2vec2)(predictions, targets, index, weights)
        assert value == 0
        np.testing.assert_array_equal(gradient, 0)


def test_wav2vec2_zero_vectors_and_small_temperature_are_finite():
    predictions, targets, negatives = pair(4)
    function = jax.value_and_grad(functools.partial(losses.wav2vec2, temperature=1e-3), (0, 1))
    found = function(predictions.at[0].set(0), targets.at[:, 0].set(0), negatives, ONES)
    assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(found))


def test_wav2vec2_misfits_are_named():
    predictions, targets, negatives = pair()
    with pytest.raises(ValueError, match="predictions and targets"):
        losses.wav2vec2(predictions, targets[:, :5], negatives, ONES)
    with pytest.raises(ValueError, match="weights must be"):
        losses.wav2vec2(predictions, targets, negatives, ONES[:, :5])
    with pytest.raises(ValueError, match="negatives must be"):
        losses.wav2vec2(predictions, targets, negatives[:, :5], ONES)
    with pytest.raises(ValueError, match="temperature 0 is not positive"):
        losses.wav2vec2(predictions, targets, negatives, ONES, temperature=0)


LOGITS = jnp.log(jnp.array([[[0.5, 0.25, 0.25], [0.1, 0.1, 0.8], [0.2, 0.2, 0.6]]]))
LABELS, MASK = jnp.array([[1, 2, 0]]), jnp.array([[1.0, 0.0, 1.0]])


def test_hubert_by_hand():
    at = np.log([4, 1 / 0.8, 5])  # masked, not, masked
    ones = jnp.ones((1, 3))
    hubert = functools.partial(losses.hubert, LOGITS, LABELS)
    np.testing.assert_allclose(hubert(MASK, ones), (at[0] + at[2]) / 2, rtol=1e-6)
    np.testing.assert_allclose(hubert(MASK > 0, ones, alpha=0), at[1], rtol=1e-6)
    np.testing.assert_allclose(hubert(MASK, ones, alpha=0.7), (0.7 * (at[0] + at[2]) + 0.3 * at[1]) / 3, rtol=1e-6)
    np.testing.assert_allclose(
        hubert(MASK, ones.at[0, 2].set(0), alpha=0.7), (0.7 * at[0] + 0.3 * at[1]) / 2, rtol=1e-6
    )


def test_hubert_of_equal_codewords_costs_the_log_of_their_number():
    logits = losses.codeword_logits(pair()[0], jnp.ones((C, D)))
    np.testing.assert_allclose(losses.hubert(logits, jnp.zeros((N, T), int), ONES, ONES), np.log(C), rtol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_hubert_ignores_what_does_not_count(alpha):
    logits = jax.random.normal(jax.random.key(0), (N, T, C))
    mask = ONES.at[:, ::2].set(0)
    weights = ONES.at[0, 4:].set(0)
    counted = weights * ((alpha > 0) * mask + (alpha < 1) * (1 - mask))
    labels = jnp.arange(N * T).reshape(N, T) % C
    function = jax.value_and_grad(losses.hubert)
    value, gradient = function(logits, labels, mask, weights, alpha=alpha)
    changed = function(
        jnp.where(counted[..., None] > 0, logits, jnp.nan),
        jnp.where(counted > 0, labels, -100),
        mask,
        weights,
        alpha=alpha,
    )
    assert changed[0] == value > 0
    np.testing.assert_array_equal(changed[1], gradient)
    assert function(logits, labels, mask, 0 * weights, alpha=alpha)[0] == 0


def test_hubert_with_integer_or_boolean_masks():
    expected = losses.hubert(LOGITS, LABELS, MASK, jnp.ones((1, 3)), alpha=0.5)
    for kind in (bool, int):
        found = losses.hubert(LOGITS, LABELS, MASK.astype(kind), jnp.ones((1, 3), kind), alpha=0.5)
        assert found == expected and found.dtype == jnp.float32


def test_codeword_logits_by_hand():
    features, codewords = jnp.array([[3.0, 0.0], [0.0, 0.0]]), jnp.array([[2.0, 2.0], [0.0, 5.0], [-1.0, 0.0]])
    expected = np.array([[10 / np.sqrt(2), 0, -10], [0, 0, 0]])
    np.testing.assert_allclose(losses.codeword_logits(features, codewords), expected, rtol=1e-6)
    np.testing.assert_allclose(losses.codeword_logits(features, codewords, temperature=1.0), expected / 10, rtol=1e-6)


def test_best_rq_by_hand():
    loss = losses.best_rq(LOGITS, LABELS.at[0, 1].set(99), MASK)
    np.testing.assert_allclose(loss, (np.log(4) + np.log(5)) / 2, rtol=1e-6)
    value, gradient = jax.value_and_grad(losses.best_rq)(LOGITS.at[0, 1].set(jnp.nan), LABELS, MASK)
    assert value == loss
    np.testing.assert_array_equal(gradient[0, 1], 0)
    assert losses.best_rq(LOGITS, LABELS, 0 * MASK) == 0


def test_misfits_are_named():
    with pytest.raises(ValueError, match="mask must be"):
        losses.hubert(LOGITS, LABELS, MASK[0], MASK)
    with pytest.raises(ValueError, match="labels must be"):
        losses.hubert(LOGITS, LABELS[:, :2], MASK, MASK)
    with pytest.raises(ValueError, match="alpha 1.5 is not between 0 and 1"):
        losses.hubert(LOGITS, LABELS, MASK, MASK, alpha=1.5)
    with pytest.raises(ValueError, match=r"logits must be \[N, T, C\]"):
        losses.hubert(LOGITS[0], LABELS, MASK, MASK)
    with pytest.raises(ValueError, match=r"logits must be \[N, T, V\]"):
        losses.best_rq(LOGITS[0], LABELS, MASK)
    with pytest.raises(ValueError, match="labels must be"):
        losses.best_rq(LOGITS, LABELS[0], MASK)
    with pytest.raises(ValueError, match="codewords must be"):
        losses.codeword_logits(LOGITS, jnp.ones((4, 2)))
