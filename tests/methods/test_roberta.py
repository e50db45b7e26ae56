"""RoBERTa: hidden tokens alone, in rows that may hold several documents."""

import jax
import numpy as np
import pytest
from flax import nnx

from ssl_jax import losses
from ssl_jax.methods import METHODS
from ssl_jax.models import reading
from tests import small_text


def build(**settings):
    return METHODS["roberta"](small_text.encoder(segments=1), small_text.view(), rngs=nnx.Rngs(1), **settings)


def test_loss_is_that_of_the_hidden_tokens():
    method, batch = build(), small_text.batch()
    views = method.views(batch, jax.random.key(0))
    assert (views["parts"] == (batch["tokens"] > 0)).all() and views["weights"].sum() == 2 + 2 + 1
    loss, metrics = method.loss(views, jax.random.key(1))
    logits = method.logits_at(views)
    assert loss == losses.masked_lm(logits, views["targets"], views["weights"])
    np.testing.assert_allclose(metrics["masked_lm_loss"], loss)
    assert set(metrics) == {"masked_lm_loss", "masked_accuracy"}


def test_masks_are_drawn_anew_at_every_step():
    method, batch = build(), small_text.batch()
    first, second = (method.views(batch, jax.random.key(seed)) for seed in (0, 1))
    assert (first["positions"] != second["positions"]).any()


@pytest.mark.parametrize("separate", [True, False])
def test_documents_of_a_row_see_each_other_only_where_asked_for(separate):
    method, batch = build(separate_documents=separate), small_text.batch(1, padded=0)
    batch["parts"] = np.repeat([[1, 2]], 6, axis=1)
    other = {**batch, "tokens": np.where(batch["parts"] == 2, 7, batch["tokens"])}
    states = [method._states({**reading.laid_out(b, 0), "tokens": b["tokens"]}) for b in (batch, other)]
    changed = np.abs(np.asarray(states[0] - states[1])).max(-1)[0] > 1e-6
    assert changed[6:].any() and changed[:6].any() == (not separate)


def test_padding_changes_no_embedding():
    method, batch = build(), small_text.batch()
    short = {name: array[2:, :8] for name, array in batch.items() if name != "label"}
    np.testing.assert_allclose(method.embed(batch)[2:], method.embed(short), rtol=1e-5, atol=1e-6)


def test_second_segments_are_refused():
    view = small_text.view(described=small_text.spec(next=()))
    with pytest.raises(ValueError, match="config.data.second_segment to 'none'"):
        METHODS["roberta"](small_text.encoder(), view, rngs=nnx.Rngs(0))
