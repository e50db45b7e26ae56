"""How evenly codes are used, and the random quantizer: by hand, at their edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import losses

N, T, G, V = 2, 4, 2, 8
ONES = jnp.ones((N, T))


def one_hot(*codes):
    """One codebook of V codes, a sequence of these codes."""
    return jax.nn.one_hot(jnp.array([codes]), V)[:, :, None]


def test_perplexity_is_the_number_of_codes_used_equally_often():
    perplexity = lambda *codes: losses.codebook_perplexity(one_hot(*codes), jnp.ones((1, len(codes))))
    np.testing.assert_allclose(perplexity(3, 3, 3), [1], rtol=1e-6)
    np.testing.assert_allclose(perplexity(0, 5, 0, 5), [2], rtol=1e-6)
    np.testing.assert_allclose(perplexity(*range(V)), [V], rtol=1e-6)
    np.testing.assert_allclose(perplexity(0, 0, 1), [3 / 4 ** (1 / 3)], rtol=1e-6)  # entropy log(3) - 2/3 log(2)


def test_diversity_by_hand():
    even = jnp.full((N, T, G, V), 1 / V)
    np.testing.assert_allclose(losses.codebook_diversity(even, ONES), 0, atol=1e-6)
    collapsed = jnp.zeros_like(even).at[..., 0].set(1)
    np.testing.assert_allclose(losses.codebook_diversity(collapsed, ONES), 1 - 1 / V, rtol=1e-6)
    mixed = even.at[:, :, 0].set(collapsed[:, :, 0])  # perplexities 1 and 8
    np.testing.assert_allclose(losses.codebook_diversity(mixed, ONES), (16 - 9) / 16, rtol=1e-6)
    np.testing.assert_allclose(losses.codebook_perplexity(mixed, ONES), [1, 8], rtol=1e-6)


def test_certain_but_different_places_are_diverse():
    codes = jax.nn.one_hot(jnp.arange(N * T).reshape(N, T), V)
    probabilities = jnp.stack([codes, codes], axis=2)
    np.testing.assert_allclose(losses.codebook_diversity(probabilities, ONES), 0, atol=1e-6)


def test_places_without_weight_do_not_matter():
    probabilities = jax.nn.softmax(jax.random.normal(jax.random.key(0), (N, T, G, V)))
    weights = ONES.at[0, 2:].set(0).at[1, 0].set(0)
    function = jax.value_and_grad(losses.codebook_diversity)
    value, gradient = function(probabilities, weights)
    changed = function(jnp.where(weights[..., None, None] > 0, probabilities, jnp.nan), weights)
    assert changed[0] == value > 0
    np.testing.assert_array_equal(changed[1], gradient)
    np.testing.assert_array_equal(gradient[weights == 0], 0)


def test_places_are_weighed():
    # Codes 0, 1 and 2 with weights 1/2, 3/2 and 0: probabilities 1/4 and 3/4.
    weights = jnp.array([[0.5, 1.5, 0.0]])
    expected = 4 ** (1 / 4) * (4 / 3) ** (3 / 4)
    np.testing.assert_allclose(losses.codebook_perplexity(one_hot(0, 1, 2), weights), [expected], rtol=1e-6)


def test_unused_codes_and_no_places_are_finite():
    for probabilities, weights in (
        (jnp.zeros((N, T, G, V)).at[..., 1].set(1), ONES),
        (jnp.ones((N, T, G, V)), 0 * ONES),
    ):
        value, gradient = jax.value_and_grad(losses.codebook_diversity)(probabilities, weights)
        assert np.isfinite(value) and np.all(np.isfinite(gradient))
    assert value == 0
    np.testing.assert_array_equal(losses.codebook_perplexity(probabilities, weights), 1)


def test_random_projection_quantizer_by_hand():
    projection = jnp.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])  # drops the third feature
    codebook = jnp.array([[5.0, 0.0], [0.1, 0.1], [0.0, -2.0]])  # directions count, not lengths
    frames = jnp.array([[[0.1, 0.0, 9.0], [3.0, 2.0, 0.0]], [[0.0, -7.0, 1.0], [0.2, 0.01, 0.0]]])
    codes = losses.random_projection_quantizer(frames, projection, codebook)
    assert codes.dtype == jnp.int32
    np.testing.assert_array_equal(codes, [[0, 1], [2, 0]])


def test_random_projection_quantizer_has_no_gradient():
    projection, codebook = losses.init_random_projection_quantizer(jax.random.key(0), 6, codes=5, code_dim=3)
    logits = jnp.zeros((2, 4, 5))
    loss = lambda x: losses.best_rq(logits + x.sum(), losses.random_projection_quantizer(x, projection, codebook), ONES)
    np.testing.assert_allclose(jax.grad(loss)(jnp.ones((2, 4, 6))), 0, atol=1e-6)


def test_initial_projection_and_codebook():
    projection, codebook = losses.init_random_projection_quantizer(jax.random.key(1), 320)
    assert projection.shape == (320, 16) and codebook.shape == (8192, 16)
    limit = np.sqrt(6 / (320 + 16))
    assert np.abs(projection).max() <= limit
    np.testing.assert_allclose(projection.std(), limit / np.sqrt(3), rtol=0.03)
    np.testing.assert_allclose([codebook.mean(), codebook.std()], [0, 1], atol=0.02)
    again, _ = losses.init_random_projection_quantizer(jax.random.key(1), 320)
    np.testing.assert_array_equal(again, projection)


def test_initial_arrays_are_float32_where_float64_is_on():
    with jax.enable_x64(True):
        for array in losses.init_random_projection_quantizer(jax.random.key(0), 6, codes=5, code_dim=3):
            assert array.dtype == jnp.float32


def test_normalised_frames_use_many_codes():
    projection, codebook = losses.init_random_projection_quantizer(jax.random.key(2), 80, codes=64)
    frames = jax.random.normal(jax.random.key(3), (8, 500, 80))
    used = lambda x: losses.codebook_perplexity(
        jax.nn.one_hot(losses.random_projection_quantizer(x, projection, codebook), 64)[:, :, None], jnp.ones((8, 500))
    )[0]
    assert used(frames) > 48 and used(frames + 10) < 8


def test_misfits_are_named():
    with pytest.raises(ValueError, match=r"probabilities must be \[N, T, G, V\]"):
        losses.codebook_diversity(jnp.ones((2, 4, 8)), ONES)
    with pytest.raises(ValueError, match="weights must be"):
        losses.codebook_perplexity(jnp.ones((2, 4, 2, 8)), ONES[:, :3])
    with pytest.raises(ValueError, match="projection"):
        losses.random_projection_quantizer(jnp.ones((2, 4, 6)), jnp.ones((6, 3)), jnp.ones((8, 4)))
    with pytest.raises(ValueError, match="frames must be"):
        losses.random_projection_quantizer(jnp.ones((2, 4, 6)), jnp.ones((5, 3)), jnp.ones((8, 3)))
    with pytest.raises(ValueError, match="codes 0 is not positive"):
        losses.init_random_projection_quantizer(jax.random.key(0), 6, codes=0)
