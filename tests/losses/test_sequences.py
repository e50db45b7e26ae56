"""CPC and APC: by hand, at their edges, padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import losses

N, S, T, K, M, D = 3, 5, 6, 3, 4, 2
ONES = jnp.ones((N, T))


def inputs(seed=0):
    keys = jax.random.split(jax.random.key(seed), 3)
    return (
        jax.random.normal(keys[0], (N, S, K, D)),
        jax.random.normal(keys[1], (N, T, D)),
        jax.random.randint(keys[2], (N, S, M), 0, T),
    )


def plain(predictions, encodings, negatives, weights):
    """The equation, one pair at a time, in float64."""
    predictions, encodings = np.asarray(predictions, np.float64), np.asarray(encodings, np.float64)
    terms = []
    for n in range(N):
        for t in range(S):
            for k in range(1, K + 1):
                if t + k >= T or not (weights[n, t] and weights[n, t + k]):
                    continue
                others = [encodings[n, j] for j in negatives[n, t] if weights[n, j]]
                scores = np.array([predictions[n, t, k - 1] @ z for z in [encodings[n, t + k], *others]])
                terms.append(np.log(np.exp(scores).sum()) - scores[0])
    return np.mean(terms)


def test_cpc_equals_the_equation():
    padded = ONES.at[0, 3:].set(0).at[2, 1:].set(0)
    for some in (ONES, padded, ONES.at[1, 2].set(0)):
        np.testing.assert_allclose(losses.cpc(*inputs(), some), plain(*inputs(), some), rtol=1e-6)


def test_cpc_of_equal_encodings_costs_the_log_of_the_number_of_candidates():
    predictions, _, negatives = inputs()
    np.testing.assert_allclose(losses.cpc(predictions, jnp.ones((N, T, D)), negatives, ONES), np.log(M + 1), rtol=1e-6)


def test_cpc_of_orthogonal_encodings():
    encodings = jnp.eye(4)[None]
    predictions = 2 * encodings[:, 1:3, None]  # of the first two frames, one step ahead
    negatives = jnp.array([[[0, 3], [0, 3]]])  # score 0; the true one 2
    loss = losses.cpc(predictions, encodings, negatives, jnp.ones((1, 4)))
    np.testing.assert_allclose(loss, np.log(1 + 2 * np.exp(-2)), rtol=1e-6)


def test_cpc_steps_count_from_one():
    encodings = jnp.eye(3)[None]
    predictions = 30 * encodings[:, None, 1:]  # from frame 0: frame 1 in one step, frame 2 in two
    wrong = predictions[:, :, ::-1]
    negatives = jnp.array([[[1, 2]]])
    # The true frame is drawn among the negatives, too, so twice in the sum.
    np.testing.assert_allclose(losses.cpc(predictions, encodings, negatives, jnp.ones((1, 3))), np.log(2), rtol=1e-6)
    np.testing.assert_allclose(losses.cpc(wrong, encodings, negatives, jnp.ones((1, 3))), 30, rtol=1e-6)


def test_cpc_across_the_batch_counts_places_through_all_sequences():
    predictions, encodings, negatives = inputs(1)
    flat = negatives + T * jnp.arange(N)[:, None, None]
    own = losses.cpc(predictions, encodings, negatives, ONES)
    np.testing.assert_allclose(losses.cpc(predictions, encodings, flat, ONES, across_batch=True), own, rtol=1e-6)
    others = losses.cpc(predictions, encodings, (flat + T) % (N * T), ONES, across_batch=True)
    moved = jnp.roll(encodings, -1, axis=0)
    ahead = jnp.arange(S)[:, None] + jnp.arange(1, K + 1)[None]
    positives = jnp.sum(predictions * encodings[:, jnp.minimum(ahead, T - 1)], -1)
    scores = jnp.einsum(
        "nskd,nsmd->nskm", predictions, jnp.take_along_axis(moved, negatives.reshape(N, -1, 1), 1).reshape(N, S, M, D)
    )
    terms = jnp.logaddexp(positives, jax.nn.logsumexp(scores, -1)) - positives
    np.testing.assert_allclose(others, terms[:, ahead < T].mean(), rtol=1e-5)
    assert not np.allclose(others, own)


@pytest.mark.parametrize("across_batch", [False, True])
def test_cpc_padding_does_not_matter(across_batch):
    predictions, encodings, negatives = inputs(2)
    weights = ONES.at[0, 3:].set(0).at[1].set(0)
    function = jax.jit(
        jax.value_and_grad(lambda p, z: losses.cpc(p, z, negatives, weights, across_batch=across_batch), (0, 1))
    )
    value, gradients = function(predictions, encodings)
    broken = jnp.where(weights[..., None] > 0, encodings, jnp.nan)
    paired = jnp.stack([weights[:, :S] * jnp.pad(weights, ((0, 0), (0, K)))[:, k : k + S] for k in range(1, K + 1)], 2)
    changed, changed_gradients = function(jnp.where(paired[..., None] > 0, predictions, jnp.nan), broken)
    assert changed == value > 0
    for g, e in zip(changed_gradients, gradients):
        np.testing.assert_array_equal(g, e)
    np.testing.assert_array_equal(gradients[1][weights == 0], 0)


def test_cpc_without_negatives_or_frames_is_zero():
    predictions, encodings, negatives = inputs(3)
    for index, weights in ((negatives, 0 * ONES), (jnp.full_like(negatives, -1), ONES), (negatives + T, ONES)):
        value, gradient = jax.value_and_grad(losses.cpc)(predictions, encodings, index, weights)
        assert value == 0
        np.testing.assert_array_equal(gradient, 0)


def test_cpc_of_large_scores_is_finite():
    predictions, encodings, negatives = inputs(4)
    value, gradient = jax.value_and_grad(losses.cpc)(1e4 * predictions, 1e4 * encodings, negatives, ONES)
    assert np.isfinite(value) and np.all(np.isfinite(gradient))


def test_cpc_misfits_are_named():
    predictions, encodings, negatives = inputs()
    with pytest.raises(ValueError, match=r"encodings must be \(3, 6, 2\)"):
        losses.cpc(predictions, encodings[:2], negatives, ONES)
    with pytest.raises(ValueError, match="weights must be"):
        losses.cpc(predictions, encodings, negatives, ONES[:, :5])
    with pytest.raises(ValueError, match="negatives must be .* with M at least 1"):
        losses.cpc(predictions, encodings, negatives[:, :, :0], ONES)
    with pytest.raises(ValueError, match="negatives must be integers"):
        losses.cpc(predictions, encodings, negatives * 1.0, ONES)
    with pytest.raises(ValueError, match="5 predictions of 3 steps do not fit 4"):
        losses.cpc(predictions, encodings[:, :4], negatives, ONES[:, :4])
    with pytest.raises(ValueError, match="N, S, K, D"):
        losses.cpc(predictions[0], encodings, negatives, ONES)


def test_apc_by_hand():
    frames = jnp.array([[[0.0, 1.0], [2.0, 3.0], [5.0, 5.0]]])
    predictions = jnp.array([[[2.0, 4.0], [0.0, 0.0], [9.0, 9.0]]])
    ones = jnp.ones((1, 3))
    np.testing.assert_allclose(losses.apc(predictions, frames, ones, shift=1), (0.5 + 5) / 2)
    np.testing.assert_allclose(losses.apc(predictions, frames, ones, shift=2), (3 + 1) / 2)
    np.testing.assert_allclose(losses.apc(predictions, frames, ones.at[0, 2].set(0), shift=1), 0.5)


def test_apc_of_the_future_itself_is_zero():
    frames = inputs()[1]
    value, gradient = jax.value_and_grad(losses.apc)(jnp.roll(frames, -2, axis=1), frames, ONES, shift=2)
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


def test_apc_padding_does_not_matter():
    predictions, frames = jax.random.normal(jax.random.key(5), (2, N, T, D))
    weights = ONES.at[0, 4:].set(0).at[1].set(0)
    function = jax.value_and_grad(lambda p, x: losses.apc(p, x, weights, shift=2), (0, 1))
    value, gradients = function(predictions, frames)
    ahead = jnp.pad(weights, ((0, 0), (0, 2)))[:, 2:] * weights
    changed, changed_gradients = function(
        jnp.where(ahead[..., None] > 0, predictions, jnp.nan), jnp.where(weights[..., None] > 0, frames, jnp.nan)
    )
    assert changed == value > 0
    for g, e in zip(changed_gradients, gradients):
        np.testing.assert_array_equal(g, e)
    assert losses.apc(predictions, frames, 0 * weights, shift=2) == 0


@pytest.mark.parametrize("shift", [0, -1, T])
def test_apc_impossible_shift(shift):
    with pytest.raises(ValueError, match=f"shift {shift} is not between 1 and 5"):
        losses.apc(jnp.ones((N, T, D)), jnp.ones((N, T, D)), ONES, shift=shift)


def test_apc_misfits_are_named():
    with pytest.raises(ValueError, match="predictions and frames"):
        losses.apc(jnp.ones((N, T, D)), jnp.ones((N, T, 3)), ONES, shift=1)
    with pytest.raises(ValueError, match="weights must be"):
        losses.apc(jnp.ones((N, T, D)), jnp.ones((N, T, D)), jnp.ones((N, 2)), shift=1)
