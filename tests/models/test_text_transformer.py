"""The text transformer and BERT's heads."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.models import MLMHead, NextSentenceHead, Pooler, ReplacedTokenHead, TextTransformer, attending

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


PARTS = jnp.asarray([[1] * 5 + [2] * 3 + [3] * 2 + [0] * 2])
KINDS = {"bert": {}, "gpt": dict(causal=True, norm_first=True, segments=0), "albert": dict(share_layers=True)}
IN_PARTS = [slice(0, 5), slice(5, 8), slice(8, 10)]


@partial(nnx.jit, static_argnums=3)
def packed(model, tokens, parts, states=False):
    places = dict(positions=attending.positions_within(parts))
    call = model.states if states else model
    return call(tokens, jnp.zeros_like(tokens), attending.within_parts(parts), **places)


@pytest.mark.parametrize("kind", KINDS)
def test_packed_documents_have_the_states_they_have_alone(kind):
    model, tokens = build(**KINDS[kind]), TOKENS[:1]
    states = packed(model, tokens, PARTS)
    for part in IN_PARTS:
        alone = tokens[:, part]
        expected = run(model, alone, jnp.zeros_like(alone), jnp.ones_like(alone, bool))
        np.testing.assert_allclose(states[:, part], expected, atol=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_attended_to_changes_nothing(kind):
    """Other documents of the row and padding, in states and gradients; and where a token sees no others, these too."""
    model = build(**KINDS[kind])
    ours = IN_PARTS[1]
    changed = jnp.where(PARTS == 2, TOKENS[:1], (TOKENS[:1] + 7) % 50)
    first, second = packed(model, TOKENS[:1], PARTS, True), packed(model, changed, PARTS, True)
    np.testing.assert_array_equal(first[:, :, ours], second[:, :, ours])
    assert (first != second).any()

    def total(embedding, tokens):
        other = nnx.clone(model)
        other.tokens.embedding[...] = embedding
        return (packed(other, tokens, PARTS)[:, ours] ** 2).sum()

    gradients = jax.jit(jax.grad(total))(model.token_embedding, jnp.arange(12)[None])
    seen = jnp.abs(gradients).max(axis=1) > 0
    assert jnp.flatnonzero(seen).tolist() == list(range(12))[ours]


def test_a_causal_model_does_not_look_ahead():
    model = build(causal=True)
    states = run(model, TOKENS, SEGMENTS, jnp.ones_like(MASK))
    later = run(model, TOKENS.at[:, 6:].set(3), SEGMENTS, jnp.ones_like(MASK))
    np.testing.assert_array_equal(states[:, :6], later[:, :6])
    assert (states[:, 6] != later[:, 6]).any()
    both = run(build(), TOKENS.at[:, 6:].set(3), SEGMENTS, jnp.ones_like(MASK))
    assert jnp.abs(both - run(build(), TOKENS, SEGMENTS, jnp.ones_like(MASK)))[:, :6].max() > 1e-3


def test_positions_are_those_that_are_given():
    model = build()
    shifted = model(TOKENS[:, :4], SEGMENTS[:, :4], MASK[:, :4], positions=jnp.arange(4)[None] + 2)
    assert jnp.abs(shifted - run(model, TOKENS[:, :4], SEGMENTS[:, :4], MASK[:, :4])).max() > 1e-3
    same = model(TOKENS[:, :4], SEGMENTS[:, :4], MASK[:, :4], positions=jnp.arange(4)[None])
    np.testing.assert_allclose(same, run(model, TOKENS[:, :4], SEGMENTS[:, :4], MASK[:, :4]), atol=1e-6)


@pytest.mark.parametrize("settings", [{}, {"scan": True}, {"accumulate": 3}, {"share_layers": True, "scan": True}])
def test_states_are_those_after_each_block(settings):
    model = build(depth=3, **settings)
    states = nnx.jit(lambda model: model.states(TOKENS, SEGMENTS, MASK))(model)
    assert states.shape == (3, 3, 12, 16)
    np.testing.assert_allclose(states[-1], run(model), atol=1e-6)
    assert jnp.abs(states[0] - states[1]).max() > 1e-2


@pytest.mark.parametrize("norm_first", [False, True])
def test_branches_are_what_the_blocks_add(norm_first):
    """Last block: its output is its input, after attention, and the branch; normalised in BERT's form."""
    model = build(norm_first=norm_first, depth=1)
    of = lambda what: nnx.jit(lambda model: model.states(TOKENS, SEGMENTS, MASK, of=what))(model)[0]
    output, branch = of("blocks"), of("branches")
    model.stack.blocks[0].mlp.out.kernel[...] *= 0
    model.stack.blocks[0].mlp.out.bias[...] *= 0
    before = of("blocks")
    if norm_first:
        np.testing.assert_allclose(output, before + branch, atol=1e-6)
        return
    block = model.stack.blocks[0]
    bare = nnx.clone(block)
    bare.norm2 = lambda x: x  # what goes into the last normalisation, instead of what comes out
    x = model.embed_tokens(TOKENS, SEGMENTS, MASK)[0]
    np.testing.assert_allclose(output, block.norm2(bare(x, MASK) + branch), atol=1e-5)


def test_narrow_embeddings_are_widened():
    model = build(embedding_width=4, share_layers=True)
    head = MLMHead(16, 50, embedding_width=4, rngs=nnx.Rngs(1))
    assert model.token_embedding.shape == (50, 4) and model.positions.embedding.shape == (12, 4)
    assert head(run(model), model.token_embedding).shape == (3, 12, 50)
    assert model.projection.kernel.shape == (4, 16) and build().projection is None


def test_shared_layers_are_one():
    count = lambda model: sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model.stack)))
    shared, apart = build(share_layers=True, depth=4), build(depth=4)
    assert 4 * count(shared) == count(apart)
    for block in apart.stack.blocks:
        nnx.update(block, nnx.state(shared.stack.blocks[0]))
    for name in ("tokens", "positions", "segments", "norm"):
        nnx.update(getattr(apart, name), nnx.state(getattr(shared, name)))
    np.testing.assert_allclose(run(shared), run(apart), atol=1e-6)


def test_without_segments_they_are_not_looked_at():
    model = build(segments=0)
    np.testing.assert_array_equal(run(model), run(model, TOKENS, SEGMENTS + 1))


def test_branches_of_a_model_that_normalises_first_start_smaller():
    model = build(norm_first=True, width=64, mlp_dim=128, initializer_range=0.1, depth=2)
    block = model.stack.blocks[0]
    for matrix, deviation in ((block.mlp.hidden, 0.088), (block.mlp.out, 0.044), (block.attention.out, 0.044)):
        np.testing.assert_allclose(np.std(matrix.kernel[...]), deviation, rtol=0.05)


def test_discriminator_judges_each_token():
    logits = ReplacedTokenHead(16, dtype="bfloat16", rngs=nnx.Rngs(0))(run(build()))
    assert logits.shape == (3, 12) and logits.dtype == jnp.float32


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
        ({"segments": -1}, "segments -1 is below 0"),
        ({"embedding_width": 0}, "embedding_width 0 is below 1"),
        ({"epsilon": 0.0}, "epsilon 0.0 must be positive"),
        ({"gelu": "relu"}, "gelu 'relu' is not one of exact, tanh"),
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
