"""What is watched where states are predicted."""

import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.models.pooling import target_metrics

TRUTHS = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
MASK = np.array([[1, 0, 1, 1, 0], [0, 1, 1, 0, 0]], np.float32)


def skill(predictions, truths=TRUTHS, mask=MASK):
    return float(target_metrics(jnp.asarray(predictions), jnp.asarray(truths), jnp.asarray(mask))["target_skill"])


def test_skill_is_what_is_saved_of_the_error_of_the_mean():
    counted = TRUTHS[MASK > 0]
    mean, noise = np.broadcast_to(counted.mean(0), TRUTHS.shape), np.full_like(TRUTHS, 0.5)
    assert skill(TRUTHS) == pytest.approx(1, abs=1e-6)
    assert skill(mean) == pytest.approx(0, abs=1e-6)
    expected = 1 - 0.25 * counted.size / ((counted - counted.mean(0)) ** 2).sum()
    assert skill(TRUTHS + noise) == pytest.approx(expected, rel=1e-5)
    beyond = np.where(MASK[:, :, None] > 0, 0, 100)
    assert skill(TRUTHS + beyond) == pytest.approx(1, abs=1e-6), "other places do not count"


@pytest.mark.parametrize("value", [0.0, 0.1, 0.7, 1.2345])
def test_there_is_no_skill_where_all_is_alike_or_nothing_is_hidden(value):
    assert skill(np.zeros_like(TRUTHS), np.full_like(TRUTHS, value)) == 0
    assert skill(TRUTHS, mask=np.zeros_like(MASK)) == 0
