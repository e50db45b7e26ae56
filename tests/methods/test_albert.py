"""ALBERT: hidden words, and the order of two segments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.methods import METHODS
from tests import small_text

VIEW = small_text.view(described=small_text.spec(order=()), whole_words=True, max_ngram=3)


def build(view=VIEW, **settings):
    encoder = small_text.encoder(embedding_width=8, share_layers=True)
    return METHODS["albert"](encoder, view, rngs=nnx.Rngs(1), **settings)


def batch():
    segments = np.repeat([[0, 1]], 6, axis=1).repeat(3, axis=0)
    return small_text.batch() | {"segments": segments.astype(np.int32), "order": np.array([0, 1, 1], np.int32)}


@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_loss_is_the_sum_of_both_tasks(weight):
    method = build(sentence_order_weight=weight)
    views = method.views(batch(), jax.random.key(0))
    loss, metrics = method.loss(views, jax.random.key(1))
    np.testing.assert_allclose(loss, metrics["masked_lm_loss"] + weight * metrics["sentence_order_loss"], rtol=1e-6)
    swapped = {**views, "order": 1 - views["order"]}
    other = method.loss(swapped, jax.random.key(1))[1]
    np.testing.assert_allclose(metrics["sentence_order_accuracy"] + other["sentence_order_accuracy"], 1)


def test_order_learns_from_segments_and_all_weights_get_gradients():
    method = build()
    views = method.views(batch(), jax.random.key(0))
    graphdef, params = nnx.split(method, nnx.Param)
    gradients = jax.jit(jax.grad(lambda params: nnx.merge(graphdef, params).loss(views, jax.random.key(1))[0]))(params)
    for path, gradient in nnx.to_flat_state(gradients):
        assert jnp.abs(gradient[...]).max() > 0, path


def test_wrong_settings():
    with pytest.raises(ValueError, match="sentence_order_weight 0.0 must be above 0"):
        build(sentence_order_weight=0.0)
    for spec in (small_text.spec(), small_text.spec(next=())):
        with pytest.raises(ValueError, match="config.data.second_segment to 'swapped'"):
            build(small_text.view(described=spec))
