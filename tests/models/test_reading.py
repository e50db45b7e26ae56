"""What the methods of text share."""

import jax.numpy as jnp
import numpy as np

from ssl_jax import losses
from ssl_jax.models import reading
from tests import small_text


def test_a_row_without_parts_is_one_document():
    batch = small_text.batch(2, padded=3)
    found = reading.laid_out(batch, small_text.PAD)
    np.testing.assert_array_equal(found["parts"], [[1] * 12, [1] * 9 + [0] * 3])
    assert found["segments"] is batch["segments"]
    parts = np.array([[1, 1, 2, 2]])
    assert reading.laid_out({"tokens": parts, "segments": parts, "parts": parts}, 0)["parts"] is parts


def test_documents_of_one_row_are_read_as_if_alone():
    encoder, batch = small_text.encoder(), small_text.batch(1, padded=0)
    parts = np.array([[1, 1, 1, 1, 1, 2, 2, 2, 2, 0, 0, 0]])
    views = {**batch, "parts": parts}
    packed = reading.read(encoder, views, apart=True)
    for number, places in ((1, slice(0, 5)), (2, slice(5, 9))):
        alone = {name: batch[name][:, places] for name in ("tokens", "segments")}
        own = reading.read(encoder, alone | {"parts": parts[:, places] > 0})
        np.testing.assert_allclose(packed[:, places], own, rtol=1e-5, atol=1e-5, err_msg=str(number))
    together = reading.read(encoder, views)
    assert np.abs(together - packed)[:, :9].max() > 0.1, "a test that rows attended to as a whole fail"


def test_states_at_positions():
    states = jnp.arange(2 * 4 * 3.0).reshape(2, 4, 3)
    found = reading.at_positions(states, jnp.array([[3, 0], [1, 1]]))
    np.testing.assert_array_equal(found, [[[9, 10, 11], [0, 1, 2]], [[15, 16, 17]] * 2])


def test_loss_and_accuracy_count_what_has_a_weight():
    logits = jnp.log(jnp.array([[[0.5, 0.25, 0.25], [0.2, 0.2, 0.6], [0.1, 0.8, 0.1]]]))
    views = {"targets": jnp.array([[0, 0, 9]]), "weights": jnp.array([[1.0, 1.0, 0.0]])}
    loss, metrics = reading.guessed(logits, views)
    np.testing.assert_allclose(loss, -(np.log(0.5) + np.log(0.2)) / 2, rtol=1e-6)
    assert metrics["masked_lm_loss"] == loss == losses.masked_lm(logits, views["targets"], views["weights"])
    assert metrics["masked_accuracy"] == 0.5
    assert reading.accuracy(logits, views["targets"], jnp.zeros((1, 3))) == 0


def test_mean_of_real_tokens():
    states = jnp.arange(12.0).reshape(2, 3, 2)
    real = jnp.array([[True, True, False], [False, False, False]])
    np.testing.assert_array_equal(reading.mean_of_tokens(states, real), [[1, 2], [0, 0]])
