"""Word vectors by hand, at their edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import losses

skip_gram = jax.jit(losses.skip_gram)
with_gradients = jax.jit(jax.value_and_grad(losses.skip_gram, (0, 1, 2)))


def vectors(seed=0, n=4, k=3, d=5):
    keys = jax.random.split(jax.random.key(seed), 3)
    return tuple(jax.random.normal(key, shape) for key, shape in zip(keys, ((n, d), (n, d), (n, k, d))))


def plain(centers, contexts, negatives):
    """Equation 4 of the paper, one pair at a time, in float64."""
    sigmoid = lambda x: 1 / (1 + np.exp(-x))
    pairs = []
    for u, v, drawn in zip(*(np.asarray(x, np.float64) for x in (centers, contexts, negatives))):
        pairs.append(-np.log(sigmoid(u @ v)) - sum(np.log(sigmoid(-u @ w)) for w in drawn))
    return np.mean(pairs)


def test_equals_the_equation():
    loss = skip_gram(*vectors())
    assert loss.dtype == jnp.float32 and loss.shape == ()
    np.testing.assert_allclose(loss, plain(*vectors()), rtol=1e-6)


@pytest.mark.parametrize("k", [1, 5])
def test_orthogonal_or_zero_vectors_cost_log_2_for_each_word(k):
    zero = jnp.zeros((3, 4)), jnp.zeros((3, 4)), jnp.zeros((3, k, 4))
    np.testing.assert_allclose(skip_gram(*zero), (1 + k) * np.log(2), rtol=1e-6)
    orthogonal = jnp.eye(4)[:1], jnp.eye(4)[1:2], jnp.tile(jnp.eye(4)[2], (1, k, 1))
    np.testing.assert_allclose(skip_gram(*orthogonal), (1 + k) * np.log(2), rtol=1e-6)


def test_one_pair_by_hand():
    # u . v = log 3: sigmoid 3/4. u . w = log 3 (sigmoid of its negative 1/4) and -log 3 (3/4).
    u, v = jnp.array([[1.0, 0]]), jnp.array([[np.log(3), 7]])
    drawn = jnp.array([[[np.log(3), -1], [-np.log(3), 2]]])
    np.testing.assert_allclose(skip_gram(u, v, drawn), -np.log(3 / 4 * 1 / 4 * 3 / 4), rtol=1e-6)
    skipped = skip_gram(u, v, drawn, negative_weights=jnp.array([[0, 1]]))
    np.testing.assert_allclose(skipped, -np.log(3 / 4 * 3 / 4), rtol=1e-6)


def test_a_step_of_word2vec():
    # The code adds (label - sigmoid) * u to an output vector, and (label - sigmoid) * v summed over words to u.
    (u, v, drawn), sigmoid = vectors(1, n=1), lambda x: 1 / (1 + np.exp(-x))
    _, (du, dv, ddrawn) = with_gradients(u, v, drawn)
    near, far = 1 - sigmoid(u[0] @ v[0]), -sigmoid(drawn[0] @ u[0])
    np.testing.assert_allclose(-dv[0], near * u[0], rtol=1e-5)
    np.testing.assert_allclose(-ddrawn[0], far[:, None] * u[0][None], rtol=1e-5)
    np.testing.assert_allclose(-du[0], near * v[0] + far @ drawn[0], rtol=1e-5, atol=1e-6)


def test_pairs_are_averaged_and_negatives_are_summed():
    u, v, drawn = vectors(2)
    singly = [skip_gram(u[i : i + 1], v[i : i + 1], drawn[i : i + 1]) for i in range(4)]
    np.testing.assert_allclose(skip_gram(u, v, drawn), np.mean(singly), rtol=1e-6)
    weights = jnp.array([1, 0, 0, 3])
    np.testing.assert_allclose(
        skip_gram(u, v, drawn, weights=weights), (singly[0] + 3 * singly[3]) / 4, rtol=1e-6
    )  # fmt: skip
    twice = skip_gram(u, v, jnp.concatenate([drawn, drawn], 1)) - skip_gram(u, v, drawn)
    alone = skip_gram(u, v, drawn) - skip_gram(u, v, drawn[:, :0])
    np.testing.assert_allclose(twice, alone, rtol=1e-5)


def test_what_has_no_weight_does_not_matter_even_as_nan():
    u, v, drawn = vectors(3)
    weights, negative_weights = jnp.array([1, 0, 1, 1]), jnp.ones((4, 3)).at[0, 1].set(0).at[2].set(0)
    settings = dict(weights=weights, negative_weights=negative_weights)
    exact = with_gradients(u, v, drawn, **settings)
    nans = u.at[1].set(jnp.nan), v.at[1].set(jnp.inf), drawn.at[1].set(jnp.nan).at[0, 1].set(jnp.nan)
    settings["negative_weights"] = negative_weights.at[1].set(jnp.nan)
    for ours, expected in zip(jax.tree.leaves(with_gradients(*nans, **settings)), jax.tree.leaves(exact)):
        np.testing.assert_array_equal(ours, expected)
    np.testing.assert_array_equal(exact[1][0][1], 0)
    np.testing.assert_array_equal(exact[1][2][negative_weights == 0], 0)


def test_nothing_that_counts_is_zero():
    value, gradients = with_gradients(*vectors(4), weights=jnp.zeros(4, bool))
    assert value == 0
    for gradient in gradients:
        np.testing.assert_array_equal(gradient, 0)


def test_large_vectors_in_half_precision():
    u = jnp.full((2, 3), 1e4, jnp.float16)
    value, gradients = with_gradients(u, -u, jnp.tile(u[:, None], (1, 2, 1)))
    np.testing.assert_allclose(value, 3 * 3 * float(u[0, 0]) ** 2, rtol=1e-6)
    assert value.dtype == jnp.float32 and all(np.all(np.isfinite(g)) for g in gradients)


def test_noise_by_hand():
    noise = jax.jit(losses.unigram_noise, static_argnames="power")
    counts = jnp.array([16, 0, 1, 81])  # to the 3/4: 8, 0, 1, 27
    found = noise(counts)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, np.array([8, 0, 1, 27]) / 36, rtol=1e-6)
    np.testing.assert_allclose(noise(counts, power=1), np.array([16, 0, 1, 81]) / 98, rtol=1e-6)
    np.testing.assert_allclose(noise(counts, power=0), np.array([1, 0, 1, 1]) / 3, rtol=1e-6)
    np.testing.assert_array_equal(noise(jnp.zeros(3, int)), 0)


def test_keep_probability_by_hand():
    # Shares 0.25, 0, 0.01 and 0.74 of 100 words, t = 0.01: t / f is 0.04, -, 1 and 1 / 74.
    found = jax.jit(lambda counts: losses.keep_probability(counts, threshold=0.01))(jnp.array([25, 0, 1, 74]))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, [0.2 + 0.04, 1, 1, 74**-0.5 + 1 / 74], rtol=1e-6)
    np.testing.assert_array_equal(losses.keep_probability(jnp.zeros(3, int)), 1)


def test_words_are_kept_whole_up_to_2_6_times_the_threshold():
    counts = lambda share: jnp.array([share, 1 - share])
    assert losses.keep_probability(counts(0.0026))[0] == 1
    assert losses.keep_probability(counts(0.0027))[0] < 1


def test_misfits_are_named():
    u, v, drawn = vectors()
    with pytest.raises(ValueError, match="centers and contexts"):
        losses.skip_gram(u, v[:, :3], drawn)
    for wrong in (drawn[:3], drawn[:, :, :2], drawn[:, 0]):
        with pytest.raises(ValueError, match=r"negatives must be \(4, K, 5\)"):
            losses.skip_gram(u, v, wrong)
    with pytest.raises(ValueError, match="weights must be"):
        losses.skip_gram(u, v, drawn, weights=jnp.ones(3))
    with pytest.raises(ValueError, match="negative_weights must be"):
        losses.skip_gram(u, v, drawn, negative_weights=jnp.ones(4))
    for helper in (losses.unigram_noise, losses.keep_probability):
        with pytest.raises(ValueError, match=r"counts must be \[V\]"):
            helper(jnp.ones((2, 3)))
    with pytest.raises(ValueError, match="threshold 0 is not positive"):
        losses.keep_probability(jnp.ones(3), threshold=0)
