"""Queues begin as random directions."""

import numpy as np
from flax import nnx

from ssl_jax.models import queues


def test_first_rows_are_random_directions():
    rows = np.asarray(queues.random_queue(512, 16, rngs=nnx.Rngs(0))[...])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-6)
    others = rows @ rows.T - np.eye(512)
    assert abs(others.mean()) < 0.01 and 0.2 < others.std() < 0.3  # 1 / sqrt(16)
