"""What is measured of hidden units, worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.models import hearing

UNITS = jnp.array([[0, 0, 1, 2, 2], [3, 3, 3, 0, 1]])
MASK = jnp.array([[0.0, 1, 1, 0, 1], [1, 0, 1, 1, 0]])
#                      0  1     2   3     3  0          hidden units


def test_units_are_guessed_by_the_network_by_copying_and_by_the_commonest():
    guesses = jnp.array([[9, 0, 1, 9, 1], [0, 9, 3, 1, 9]])
    logits = jax.nn.one_hot(guesses, 10)
    found = jax.jit(hearing.unit_metrics)(logits, UNITS, MASK, there=MASK >= 0, counted=MASK)
    assert found["masked_unit_accuracy"] == 3 / 6  # 0, 1 and the third 3
    # copied: 0 of 0, 0 of 1, 2 of 2; the first frame has none before it; 3 of 3, 3 of 0
    assert found["masked_unit_accuracy_copied"] == 3 / 6
    # nearest: 0 of 0, 2 of 1, 2 of 2; 3 of 3, 3 of 3, 1 of 0
    assert found["masked_unit_accuracy_nearest"] == pytest.approx(4 / 6)
    assert found["masked_unit_accuracy_commonest"] == pytest.approx(2 / 6)  # 3 twice, 0 twice
    shares = np.array([2, 1, 1, 2]) / 6
    assert found["unit_perplexity"] == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-5)


def test_what_is_padding_is_nobodys_nearest_frame():
    there = (MASK >= 0).at[0, 3].set(False)
    found = hearing.unit_metrics(jnp.zeros((2, 5, 10)), UNITS, MASK, there=there, counted=MASK)
    assert found["masked_unit_accuracy_nearest"] == pytest.approx(3 / 6)  # the last 2 has a 0 nearest


def test_nothing_hidden_is_nothing_guessed():
    found = hearing.unit_metrics(jnp.zeros((2, 5, 10)), UNITS, 0 * MASK, there=MASK >= 0, counted=MASK)
    for name in ("", "_copied", "_nearest", "_commonest"):
        assert found[f"masked_unit_accuracy{name}"] == 0
