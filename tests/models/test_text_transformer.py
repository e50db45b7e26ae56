"""The text transformer and BERT's heads."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.models import MLMHead, NextSentenceHead, Pooler, TextTransformer

SMALL = dict(vocab_size=50, max_length=12, width=16, depth=2, heads=2, mlp_dim=32)
TOKENS = jnp.asarray(np.random.default_rng(0).integers(0, 50, (3, 12)))
SEGMENTS = jnp.zeros_like(TOKENS)
MASK = jnp.asarray(np.arange(12)[None, :] < np.array([[12], [7], [2]]))


@cache
def built(settings):
    return nnx.jit(lambda: TextTransformer(**SMALL | dict(settings), rngs=nnx.Rngs(0)))()


def build(**settings):
    return nnx.clone(built(tuple(settings.items())))


@partial(nnx.jit, static_argnums=5)
def run(model, tokens=TOKENS, segments=SEGMENTS, mask=MASK, key=None, train=False):
    return model(tokens, segments, mask, train=train, key=key)


def test_padding_changes_nothing_for_the_real_tokens():
    model = build()
    other = jnp.where(MASK, TOKENS, 0)
    first, second = run(model), run(model, other)
    assert first.shape == (3, 12, 16)
    np.testing.assert_allclose(jnp.where(MASK[:, :, None], first - second, 0), 0, atol=1e-6)
    shorter = run(model, TOKENS[:, :7], SEGMENTS[:, :7], MASK[:, :7])
    np.testing.assert_allclose(shorter[1], first[1, :7], atol=1e-5)


def test_segments_and_positions_matter():
    model = build()
    assert (run(model) != run(model, TOKENS, SEGMENTS + 1)).any()
    same = run(model, jnp.full((3, 12), 5))
    assert jnp.abs(same[0, 0] - same[0, 1]).max() > 1e-3


def test_training_with_dropout_needs_a_key():
    with pytest.raises(ValueError, match="needs the argument key"):
        run(build(), TOKENS, SEGMENTS, MASK, None, True)
    run(build(dropout=0.0), TOKENS, SEGMENTS, MASK, None, True)


def test_logits_are_tied_to_the_embedding():
    model, head = build(), MLMHead(16, 50, rngs=nnx.Rngs(1))
    hidden = run(model)[:, :4]
    logits = head(hidden, model.token_embedding)
    assert logits.shape == (3, 4, 50) and logits.dtype == jnp.float32
    features = head.norm(jax.nn.gelu(head.dense(hidden), approximate=False))
    np.testing.assert_allclose(logits, features @ model.token_embedding.T, atol=1e-5)
    graph, state = nnx.split(model)
    gradient = jax.grad(lambda state: head(hidden, nnx.merge(graph, state).token_embedding).sum())(state)
    assert jnp.abs(gradient["tokens"]["embedding"][...]).min() > 0


def test_pooler_and_next_sentence():
    hidden = run(build(dtype="bfloat16"))
    pooled = Pooler(16, rngs=nnx.Rngs(0))(hidden)
    logits = NextSentenceHead(16, dtype="bfloat16", rngs=nnx.Rngs(0))(pooled)
    assert hidden.dtype == jnp.bfloat16 and pooled.shape == (3, 16)
    assert logits.shape == (3, 2) and logits.dtype == jnp.float32


def test_initial_deviation_is_that_of_bert():
    """Truncated at two deviations, a normal of deviation 0.02 keeps 0.88 of it."""
    embedding = build(vocab_size=2000).token_embedding
    assert abs(float(embedding.std()) - 0.0176) < 3e-4 and jnp.abs(embedding).max() <= 0.04


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"heads": 3}, "width 16 is not divisible by heads 3"),
        ({"vocab_size": 0}, "vocab_size 0 is below 1"),
        ({"dropout": 1.0}, "dropout 1.0 is not in"),
        ({"mlp_dim": 0}, "mlp_dim 0 is below 1"),
        ({"depth": 0}, "depth 0 is below 1"),
        ({"dtype": "half"}, "dtype 'half' is not one of"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        TextTransformer(**{**SMALL, **settings}, rngs=nnx.Rngs(0))


def test_too_long_a_sequence_is_refused():
    with pytest.raises(ValueError, match="tokens are 13 long, more than max_length 12"):
        run(build(), *[jnp.zeros((1, 13), int)] * 2, jnp.ones((1, 13), bool))


def test_initial_deviation():
    settings = SMALL | dict(width=64, vocab_size=500, initializer_range=0.1)
    model = TextTransformer(**settings, rngs=nnx.Rngs(0))
    matrices = (
        model.tokens.embedding,
        model.stack.blocks[0].mlp.hidden.kernel,
        model.stack.blocks[1].attention.qkv.kernel,
    )
    for matrix in matrices:  # cut off at two deviations, which leaves 0.88 of one
        np.testing.assert_allclose(np.std(matrix[...]), 0.088, rtol=0.1)
    with pytest.raises(ValueError, match="initializer_range 0 must be positive"):
        TextTransformer(**settings | dict(initializer_range=0), rngs=nnx.Rngs(0))
