"""SimCSE: what tells its two passes apart, what a sentence's embedding is, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax import losses
from ssl_jax.errors import UserError
from ssl_jax.experiment import build
from ssl_jax.methods.simcse import SimCSE
from tests import small_text, tiny


def _method(dropout: float = 0.3, **settings) -> SimCSE:
    return SimCSE(small_text.encoder(dropout=dropout), small_text.view("tokens"), **settings, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_the_loss_is_that_of_two_passes(pooling):
    method, batch = _method(pooling=pooling), small_text.batch(6)
    key = jax.random.key(1)
    loss, metrics = method.loss(method.views(batch, key), key)
    twice = {name: jnp.concatenate([array, array]) for name, array in batch.items()}
    real = twice["tokens"] != small_text.PAD
    states = method.backbone(twice["tokens"], twice["segments"], real, train=True, key=key)
    if pooling == "cls":
        layer = method.head.dense
        z = jnp.tanh(states[:, 0] @ layer.kernel[...] + layer.bias[...][None])
    else:
        z = (states * real[:, :, None]).sum(1) / real.sum(1)[:, None]
    z = np.asarray(z, np.float64)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    scores = z[:6] @ z[6:].T / 0.05
    each = np.log(np.exp(scores).sum(1)) - np.diag(scores)
    np.testing.assert_allclose(loss, each.mean(), rtol=1e-4)
    np.testing.assert_allclose(metrics["pair_accuracy"], np.mean(scores.argmax(1) == np.arange(6)), rtol=1e-6)
    assert not np.allclose(z[:6], z[6:], atol=1e-3)  # the passes differ


def test_held_out_sentences_are_dropped_from_as_well():
    method, batch = _method(), small_text.batch(6)
    key = jax.random.key(1)
    views = method.views(batch, key)
    assert method.loss(views, key, train=False)[0] == method.loss(views, key, train=True)[0]
    assert method.loss(views, jax.random.key(2), train=False)[0] != method.loss(views, key, train=False)[0]


def test_a_sentence_is_embedded_without_the_layer_and_without_dropout():
    method, batch = _method(), small_text.batch()
    states = method.backbone(batch["tokens"], batch["segments"], batch["tokens"] != small_text.PAD)
    np.testing.assert_allclose(method.embed(batch), states[:, 0], rtol=1e-6)
    np.testing.assert_allclose(method.project(batch), method.head(states), rtol=1e-6)
    assert method.embed(batch).dtype == jnp.float32


def test_padding_changes_nothing():
    method = _method(pooling="mean")
    batch = small_text.batch(3, padded=4)
    other = {name: array.copy() for name, array in batch.items()}
    longer = {name: np.pad(array[:, :8], ((0, 0), (0, 4))) for name, array in batch.items() if name != "label"}
    short = {name: array[-1:, :8] for name, array in other.items() if name != "label"}
    np.testing.assert_allclose(method.embed(longer)[-1:], method.embed(short), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "leaves, message",
    [
        (dict(method=dict(temperature=0.0)), "config.method.temperature 0.0"),
        (dict(method=dict(pooling="max")), "config.method.pooling"),
        (
            dict(model=dict(dropout=0.0)),
            "config.method: simcse tells two passes apart by dropout: set config.model.dropout",
        ),
        (dict(views=dict(name="bert")), "set config.views.name to 'tokens'"),
        (dict(data=dict(layout="pairs"), evaluate=dict(tasks=(), during=())), "config.data.layout to 'sentences'"),
        (dict(batch_size=1), "config.batch_size is 1; simcse compares the examples of a batch: at least 2"),
    ],
)
def test_what_is_refused(leaves, message, data_dir):
    with pytest.raises(UserError, match=message):
        build(tiny.config("simcse", **leaves), data_dir=data_dir)


def test_neighbours_need_single_sentences(data_dir):
    leaves = dict(tasks=("neighbouring_sentences",))
    with pytest.raises(UserError, match="config.evaluate.tasks: 'neighbouring_sentences' needs single sentences: set"):
        build(tiny.config("bert", evaluate=leaves), data_dir=data_dir)


def test_the_loss_of_the_same_passes_is_small():
    """Without noise, each sentence is its own twin: `losses.sim_cse` of z with itself."""
    z = jnp.eye(4)
    np.testing.assert_allclose(losses.sim_cse(z, z), np.log(1 + 3 * np.exp(-20.0)), atol=1e-6)
