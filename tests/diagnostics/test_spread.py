"""Effective rank and standard deviation on embeddings whose answer is known."""

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax import diagnostics


def test_rank_me_counts_equal_directions():
    basis = jnp.concatenate([jnp.eye(8)[:5]] * 4)
    np.testing.assert_allclose(diagnostics.rank_me(basis), 5, rtol=1e-4)


def test_rank_me_by_hand():
    embeddings = jnp.diag(jnp.array([3.0, 1.0]))
    np.testing.assert_allclose(
        diagnostics.rank_me(embeddings), np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25))), rtol=1e-5
    )


def test_rank_me_of_collapsed_embeddings_is_one():
    np.testing.assert_allclose(diagnostics.rank_me(jnp.ones((64, 16))), 1, atol=1e-3)
    np.testing.assert_allclose(diagnostics.rank_me(jnp.zeros((64, 16))), 1, atol=1e-3)


def test_embedding_std():
    spread = jax.random.normal(jax.random.key(0), (4096, 64))
    np.testing.assert_allclose(diagnostics.embedding_std(spread), 1 / 8, rtol=0.01)
    np.testing.assert_allclose(diagnostics.embedding_std(jnp.full((9, 4), 3.0)), 0, atol=1e-6)
    assert diagnostics.embedding_std(jnp.zeros((9, 4), jnp.bfloat16)).dtype == jnp.float32
