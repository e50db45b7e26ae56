"""T5's encoder and decoder."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.models import EncoderDecoder, attending
from ssl_jax.models.encoder_decoder import distance_buckets

SMALL = dict(vocab_size=50, width=16, depth=2, heads=2, mlp_dim=32, buckets=8, max_distance=12)
TOKENS = jnp.asarray(np.random.default_rng(0).integers(0, 50, (3, 12)))
MASK = jnp.asarray(np.arange(12)[None, :] < np.array([[12], [7], [2]]))
OUTPUT = TOKENS[:, ::-1][:, :8]


@cache
def built(settings):
    return nnx.jit(lambda: EncoderDecoder(**SMALL | dict(settings), rngs=nnx.Rngs(0)))()


def build(**settings):
    return nnx.clone(built(tuple(settings.items())))


encode = nnx.jit(lambda model, tokens, mask: model(tokens, None, mask))
decode = nnx.jit(lambda model, tokens, encoded, mask: model.logits(model.decode(tokens, encoded, mask)))


def test_padding_changes_nothing():
    model = build()
    encoded = encode(model, TOKENS, MASK)
    changed = encode(model, jnp.where(MASK, TOKENS, 0), MASK)
    np.testing.assert_array_equal(encoded[MASK], changed[MASK])
    np.testing.assert_array_equal(decode(model, OUTPUT, encoded, MASK), decode(model, OUTPUT, changed, MASK))
    shorter = encode(model, TOKENS[:, :7], MASK[:, :7])
    np.testing.assert_allclose(shorter[1], encoded[1, :7], atol=1e-5)


def test_packed_documents_have_the_states_they_have_alone():
    """Places enter as distances, so nothing starts again."""
    parts = jnp.asarray([[1] * 5 + [2] * 4 + [0] * 3])
    states = encode(build(), TOKENS[:1], attending.within_parts(parts))
    for part in (slice(0, 5), slice(5, 9)):
        alone = TOKENS[:1, part]
        np.testing.assert_allclose(states[:, part], encode(build(), alone, jnp.ones_like(alone, bool)), atol=1e-5)


def test_the_decoder_does_not_look_ahead_and_reads_what_was_encoded():
    model = build()
    encoded = encode(model, TOKENS, MASK)
    logits = decode(model, OUTPUT, encoded, MASK)
    later = decode(model, OUTPUT.at[:, 5:].set(3), encoded, MASK)
    assert logits.shape == (3, 8, 50) and logits.dtype == jnp.float32
    np.testing.assert_array_equal(logits[:, :5], later[:, :5])
    assert jnp.abs(logits - later)[:, 5].max() > 1e-4
    assert jnp.abs(logits - decode(model, OUTPUT, encoded + 1, MASK)).max() > 1e-4


def test_order_matters():
    same = jnp.asarray([[5, 5, 5, 9]])
    states = encode(build(), same, jnp.ones_like(same, bool))
    assert jnp.abs(states[0, 0] - states[0, 1]).max() > 1e-4


@pytest.mark.parametrize("settings", [{"scan": True}, {"remat": True}, {"scan": True, "remat": "elementwise"}])
def test_scan_and_remat_change_nothing(settings):
    def value_and_gradient(**settings):
        graph, state = nnx.split(build(**settings))

        def loss(state):
            model = nnx.merge(graph, state)
            encoded = model(TOKENS, None, MASK, train=True, key=jax.random.key(3))
            return (model.logits(model.decode(OUTPUT, encoded, MASK, train=True, key=jax.random.key(4))) ** 2).sum()

        value, gradient = jax.jit(jax.value_and_grad(loss))(state)
        return value, gradient["tokens"]["embedding"][...]

    (value, gradient), (other, other_gradient) = value_and_gradient(), value_and_gradient(**settings)
    np.testing.assert_allclose(value, other, rtol=1e-5)
    np.testing.assert_allclose(gradient, other_gradient, atol=1e-4 * jnp.abs(gradient).max())


def test_states_are_those_after_each_block():
    model = build(scan=True)
    states = nnx.jit(lambda model: model.states(TOKENS, None, MASK))(model)
    assert states.shape == (2, 3, 12, 16)
    np.testing.assert_allclose(model.encoder.norm(states[-1]), encode(model, TOKENS, MASK), atol=1e-5)


def test_computation_dtype():
    model = build(dtype="bfloat16", gated=True)
    encoded = encode(model, TOKENS, MASK)
    assert encoded.dtype == jnp.bfloat16 and decode(model, OUTPUT, encoded, MASK).dtype == jnp.float32
    assert {leaf.dtype.name for leaf in jax.tree.leaves(nnx.state(model))} == {"float32"}


def test_initial_deviations_are_those_of_the_released_code():
    model = build(width=64, heads=4, mlp_dim=256, vocab_size=500)
    block = model.encoder.stack.blocks[0]
    for array, deviation in (
        (model.token_embedding, 1),
        (block.attention.query.kernel, (64 * 16) ** -0.5),
        (block.attention.key.kernel, 64**-0.5),
        (block.attention.out.kernel, 64**-0.5),
        (block.mlp.hidden.kernel, 64**-0.5),
        (block.mlp.out.kernel, 256**-0.5),
    ):
        np.testing.assert_allclose(np.std(array[...]), deviation, rtol=0.05)


def test_buckets_by_hand():
    """Of 8 for both sides, 4 each: distances 0 and 1 alone, then 2 to 4 and all beyond, up to 12 on a log scale."""
    far = np.arange(0, 14)
    of = lambda distances: distance_buckets(distances, buckets=8, max_distance=12, directed=False).tolist()
    assert of(-far) == [0, 1, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3]
    assert of(far) == [0] + [4 + kind for kind in of(-far)[1:]]
    assert distance_buckets(far, buckets=8, max_distance=12, directed=True).tolist() == [0] * 14


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"heads": 3}, "width 16 is not divisible by heads 3"),
        ({"buckets": 6}, "buckets 6 is not 4, 8"),
        ({"max_distance": 4}, "max_distance 4 is not above half of buckets 8"),
        ({"decoder_depth": 0}, "depth 0 is below 1"),
        ({"head_width": 0}, "head_width 0 is below 1"),
        ({"dropout": -0.1}, "dropout -0.1 is not in"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        EncoderDecoder(**SMALL | settings, rngs=nnx.Rngs(0))
