"""Hidden spans of tokens."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import masking
from tests import small_text
from tests.masking.shares import expected_share, near

SETTINGS = dict(special_ids=(0, 2, 3, 4), pad_id=0, mask_id=4)


def many(draws, tokens, **settings):
    hide = jax.vmap(lambda key: masking.token_spans(key, tokens, **SETTINGS | settings))
    return np.asarray(jax.jit(hide)(jax.random.split(jax.random.key(0), draws)))


def test_what_is_not_hidden_stays_and_special_tokens_do():
    tokens = jnp.array([2, *range(10, 28), 3, 0, 0, 0, 0])
    found = many(300, tokens, rate=0.6)
    hidden = found == 4
    assert (found[~hidden] == np.broadcast_to(tokens, found.shape)[~hidden]).all()
    assert not hidden[:, [0, 19, 20, 21, 22, 23]].any() and hidden[:, 1:19].any(axis=0).all()


def test_spans_are_whole_where_they_do_not_meet_a_special_token():
    tokens = jnp.arange(40) + 10
    rows = many(500, tokens, rate=0.1)  # one start exactly
    for row in rows == 4:
        (places,) = np.nonzero(row)
        np.testing.assert_array_equal(np.diff(places), [1, 1, 1])


def test_share_of_hidden_tokens():
    """0.0875 of 512 start a span of four."""
    shares = (many(400, jnp.arange(512) + 10) == 4).mean(1)
    assert near(shares, expected_share(512, 0.35 / 4, 4))
    assert not near(shares, expected_share(512, 0.36 / 4, 4))


@pytest.mark.parametrize(
    "settings, message",
    [({"rate": 0.0}, "rate 0.0 is not in"), ({"span": 13}, "span 13 is not between 1 and the sequence length 12")],
)
def test_the_view_refuses_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        small_text.view("token_spans", **settings)


def test_the_view_hides_with_the_vocabularys_token():
    view, batch = small_text.view("token_spans"), small_text.batch()
    hidden = np.asarray(jax.vmap(lambda row: view.train(jax.random.key(1), row)["tokens"])(batch["tokens"]))
    assert (hidden == small_text.MASK).any()
    assert ((hidden == batch["tokens"]) | (hidden == small_text.MASK)).all()
    described = small_text.spec()
    described.mask_id = None
    with pytest.raises(ValueError, match="name 'token_spans' puts a token in place of others"):
        small_text.view("token_spans", described)
