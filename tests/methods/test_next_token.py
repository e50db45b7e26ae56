"""Next token: nothing ahead is seen, everything real is guessed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.methods import METHODS
from tests import small_text

KIND = dict(segments=0, causal=True, norm_first=True)


def build(view="tokens", encoder=KIND, **settings):
    return METHODS["next_token"](small_text.encoder(**encoder), small_text.view(view), rngs=nnx.Rngs(1), **settings)


def test_loss_is_the_mean_over_all_real_tokens_but_the_first():
    method, batch = build(), small_text.batch()
    views = method.views(batch, jax.random.key(0))
    loss, metrics = method.loss(views, jax.random.key(1))
    logits = np.asarray(method.next_logits(views))
    chances = np.asarray(jax.nn.log_softmax(logits))
    rows = [(row, place) for row, length in enumerate((12, 12, 8)) for place in range(1, length)]
    guessed = [chances[row, place - 1, batch["tokens"][row, place]] for row, place in rows]
    np.testing.assert_allclose(loss, -np.mean(guessed), rtol=1e-5)
    right = [logits[row, place - 1].argmax() == batch["tokens"][row, place] for row, place in rows]
    np.testing.assert_allclose(metrics["next_token_accuracy"], np.mean(right), rtol=1e-6)


def test_a_guess_does_not_see_what_is_guessed_nor_what_is_behind_it():
    method, batch = build(), small_text.batch(1, padded=0)
    other = {**batch, "tokens": np.where(np.arange(12)[None] >= 6, 7, batch["tokens"])}
    first, second = (method.next_logits(method.views(b, jax.random.key(0))) for b in (batch, other))
    np.testing.assert_array_equal(first[:, :6], second[:, :6])  # the last of these is for place 6
    assert jnp.abs(first - second)[:, 6:].max() > 1e-3


@pytest.mark.parametrize("separate", [True, False])
def test_what_is_before_in_another_document_is_seen_only_where_asked_for(separate):
    method, batch = build(separate_documents=separate), small_text.batch(1, padded=0)
    batch["parts"] = np.repeat([[1, 2]], 6, axis=1)
    other = {**batch, "tokens": np.where(np.arange(12)[None] == 2, 7, batch["tokens"])}
    views = [method.views(b, jax.random.key(0)) for b in (batch, other)]
    first, second = map(method.next_logits, views)
    moved = np.abs(first - second)[:, 5:].max(-1) * views[0]["weights"][:, 5:]  # from the other document's first token
    assert (moved.max() > 1e-6) == (not separate)
    np.testing.assert_array_equal(views[0]["weights"][0], [1] * 5 + [not separate] + [1] * 5)


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(encoder=dict(KIND, causal=False)), "config.model.causal to True"),
        (dict(encoder=dict(KIND, embedding_width=8)), "config.model.embedding_width 8 must be config.model.width 16"),
        (dict(view="bert"), "config.views.name to 'tokens'"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        build(**settings)
