"""T5: what is written of what is read."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax import losses, masking
from ssl_jax.methods import METHODS
from ssl_jax.models import EncoderDecoder
from tests import small_text

SPEC = types.SimpleNamespace(**vars(small_text.spec()), sentinel_ids=(38, 39))


def build(**settings):
    sizes = dict(vocab_size=small_text.VOCABULARY, width=16, depth=2, heads=2, mlp_dim=24, dropout=0.0)
    backbone = EncoderDecoder(**sizes, buckets=8, max_distance=16, rngs=nnx.Rngs(0))
    return METHODS["t5"](backbone, masking.VIEWS["span_corruption"](SPEC), rngs=nnx.Rngs(1), **settings)


def test_loss_is_that_of_what_is_to_be_written():
    method, batch = build(z_loss=0.01), small_text.batch()
    views = method.views(batch, jax.random.key(0))
    loss, metrics = method.loss(views, jax.random.key(1))
    logits = method.logits(views)
    assert loss == losses.span_corruption(logits, views["targets"], views["weights"], z_loss=0.01)
    assert loss > losses.span_corruption(logits, views["targets"], views["weights"])
    words = views["weights"] * ~np.isin(views["targets"], (small_text.SEP, 38, 39))
    right = (np.asarray(logits).argmax(-1) == views["targets"]) * words
    np.testing.assert_allclose(metrics["span_accuracy"], right.sum() / words.sum(), rtol=1e-6)
    assert 0 < words.sum() < views["weights"].sum()


def test_n_grams_are_asked_for_hidden_words_with_the_word_before_each():
    method = build()
    text = np.arange(5, 5 + small_text.LENGTH)[None].astype(np.int32)  # each word is one more than the one before it
    text[0, 0], text[0, -1] = small_text.CLS, small_text.SEP
    for seed in range(5):
        asked = method.asked(method.views({"tokens": text}, jax.random.key(seed)))
        left = np.take_along_axis(np.asarray(asked["tokens"]), np.asarray(asked["positions"]) - 1, axis=1)
        real = np.asarray(asked["weights"]) > 0
        targets = np.asarray(asked["targets"])
        assert real.any() and not np.isin(targets[real], (small_text.SEP, 38, 39)).any()
        second = targets == 6  # behind [CLS]
        np.testing.assert_array_equal(left[real & ~second], targets[real & ~second] - 1)
        assert (left[real & second] == small_text.CLS).all()


def test_each_token_is_guessed_from_those_before_it():
    method, batch = build(), small_text.batch()
    views = method.views(batch, jax.random.key(0))
    logits = method.logits(views)
    changed = method.logits(views | {"targets": views["targets"].at[:, 2].set(7)})
    np.testing.assert_array_equal(logits[:, :3], changed[:, :3])
    assert jnp.abs(logits - changed)[:, 3].max() > 1e-5


def test_what_is_hidden_is_not_read():
    """Two texts that differ in the hidden span alone are read alike."""
    method, batch = build(), small_text.batch(1, padded=0)
    views = method.views(batch, jax.random.key(0))
    spans = set(np.asarray(views["targets"])[0].tolist()) - {small_text.SEP, 38, 39}
    other = np.where(np.isin(batch["tokens"], list(spans)), 6, batch["tokens"])
    again = method.views({"tokens": other}, jax.random.key(0))
    kept = ~np.isin(np.asarray(views["tokens"]), list(spans))
    np.testing.assert_array_equal(np.asarray(views["tokens"])[kept], np.asarray(again["tokens"])[kept])
    assert (np.asarray(views["targets"]) != np.asarray(again["targets"])).any()


def test_padding_changes_no_embedding():
    method, batch = build(), small_text.batch()
    short = {name: array[2:, :8] for name, array in batch.items() if name != "label"}
    np.testing.assert_allclose(method.embed(batch)[2:], method.embed(short), rtol=1e-5, atol=1e-6)
    layers = method.embed_layers(batch)
    assert layers.shape == (3, 2, 16) and jnp.isfinite(layers).all()


def test_other_networks_and_views_are_refused():
    view = masking.VIEWS["span_corruption"](SPEC)
    with pytest.raises(ValueError, match="set config.model.name to 'encoder_decoder'"):
        METHODS["t5"](small_text.encoder(), view, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="set config.views.name to 'span_corruption'"):
        METHODS["t5"](build().backbone, small_text.view(), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="z_loss -1 must be at least 0"):
        build(z_loss=-1)
