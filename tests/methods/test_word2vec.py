"""word2vec: its loss pair by pair, the words it draws, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax import losses
from ssl_jax.errors import UserError
from ssl_jax.experiment import build, check
from ssl_jax.methods.word2vec import Noise
from ssl_jax.train import mesh as meshes
from tests import tiny


@pytest.fixture(scope="module")
def experiment(data_dir):
    return build(tiny.config("word2vec"), data_dir=data_dir, mesh=meshes.make_mesh(jax.devices()[:1]))


@pytest.fixture
def method(experiment):
    method = experiment.module(experiment.initial_state())
    method.output[...] = jax.random.normal(jax.random.key(1), method.output.shape)
    return method


def test_the_loss_is_that_of_each_pair(experiment, method):
    key = jax.random.key(2)
    views = method.views(experiment.batch_at(0), jax.random.key(3))
    loss, metrics = method.loss(views, key)
    centers, contexts, weights = (np.asarray(views[name]).ravel() for name in ("centers", "contexts", "weights"))
    drawn = np.asarray(method.noise(key, (len(centers), 3)))
    inputs, outputs = np.asarray(method.backbone.vectors, np.float64), np.asarray(method.output[...], np.float64)
    log_sigmoid = lambda x: -np.log1p(np.exp(-x))
    total, told, asked, often = 0.0, 0, 0, 0.0
    for center, context, words in zip(*(array[weights > 0] for array in (centers, contexts, drawn))):
        near = inputs[center] @ outputs[context]
        far = [inputs[center] @ outputs[word] for word in words if word != context]
        total -= log_sigmoid(near) + sum(log_sigmoid(-dot) for dot in far)
        told, asked = told + sum(near > dot for dot in far), asked + len(far)
        leads = [method.view.counts[context] - method.view.counts[word] for word in words if word != context]
        often += sum(0.5 if lead == 0 else lead > 0 for lead in leads)
    np.testing.assert_allclose(loss, total / weights.sum(), rtol=1e-5)
    np.testing.assert_allclose(metrics["context_accuracy"], told / asked, rtol=1e-6)
    np.testing.assert_allclose(metrics["context_accuracy_frequency"], often / asked, rtol=1e-6)
    assert weights.sum() > 300 and asked < 3 * weights.sum()  # some drawn words were the right ones


def test_frequent_words_are_thinned_out_and_special_tokens_are_none(experiment, method):
    counts = method.view.counts
    assert not counts[:5].any() and counts[5:].all()
    tokens, seen = np.zeros(512), np.zeros(512)
    for step in range(20):
        batch = experiment.batch_at(step)
        views = method.views(batch, jax.random.key(step))
        tokens += np.bincount(batch["tokens"].ravel(), minlength=512)
        seen += np.bincount(np.asarray(views["centers"])[np.asarray(views["weights"]) > 0], minlength=512)
    assert not seen[:5].any()
    keep = np.asarray(losses.keep_probability(jnp.asarray(counts)))
    assert seen[5] / tokens[5] < 0.3 * seen[100:].sum() / tokens[100:].sum()
    assert keep[5] < 0.2


def test_noise_is_the_unigram_distribution_to_its_power():
    counts = np.array([0, 0, 1000, 500, 0, 100, 1, 0])
    drawn = np.asarray(Noise(counts, 0.75)(jax.random.key(0), (400_000,)))
    share = np.bincount(drawn, minlength=8) / len(drawn)
    expected = np.asarray(losses.unigram_noise(jnp.asarray(counts)))
    assert (abs(share - expected) <= 4.5 * np.sqrt(expected * (1 - expected) / len(drawn))).all()


def test_rare_words_of_a_large_vocabulary_are_drawn_as_often_as_each_other():
    """A chance of 5e-7 is less than the step of a float32 near 1."""
    counts = np.ones(2_000_000, np.int64)
    drawn = np.asarray(Noise(counts, 1.0)(jax.random.key(0), (500_000,)))
    halves = [np.mean(drawn[drawn >= 1_000_000] % 2), np.mean(drawn[drawn < 1_000_000] % 2)]
    np.testing.assert_allclose(halves, 0.5, atol=4.5 * 0.5 / np.sqrt(250_000))


def test_a_text_is_the_mean_of_its_words(experiment, method):
    tokens = np.array([[2, 7, 9, 3, 0, 0], [2, 3, 0, 0, 0, 0], [2, 1, 8, 3, 0, 0]], np.int32)
    found = np.asarray(method.embed({"tokens": jnp.asarray(tokens)}))
    vectors = np.asarray(method.word_vectors())
    expected = np.stack([(vectors[7] + vectors[9]) / 2, 0 * vectors[0], vectors[8]])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_output_vectors_start_at_zero(experiment):
    method = experiment.module(experiment.initial_state())
    loss, metrics = method.loss(method.views(experiment.batch_at(0), jax.random.key(0)), jax.random.key(1))
    assert metrics["context_accuracy"] == 0.5
    assert not method.output[...].any()
    assert 3.5 * np.log(2) < loss < 4 * np.log(2)  # a pair and three drawn words, less those that do not count
    assert abs(np.asarray(method.word_vectors())).max() <= 0.5 / 16


@pytest.mark.parametrize(
    "leaves, message",
    [
        (dict(method=dict(negatives=0)), "config.method.negatives 0 must be at least 1"),
        (dict(method=dict(noise_power=1.5)), "config.method.noise_power 1.5 is not between 0 and 1"),
        (dict(method=dict(threshold=0.0)), "config.method.threshold 0.0 must be positive"),
        (dict(views=dict(window=0)), "config.views.window 0 must be at least 1"),
        (dict(views=dict(max_pairs=1000)), "config.views.max_pairs 1000 is not between 1 and 192"),
        (dict(data=dict(vocabulary="wordpiece")), "set .*config.data.vocabulary to 'words'"),
        (dict(model=dict(vocab_size=100)), "config.model.vocab_size is 100, but config.data and config.views give 512"),
        (dict(model=dict(width=0)), "config.model.width 0"),
    ],
)
def test_what_is_refused(leaves, message, data_dir):
    with pytest.raises(UserError, match=message):
        build(tiny.config("word2vec", **leaves), data_dir=data_dir)


def test_other_methods_are_told_that_these_are_words(data_dir):
    bert, word2vec = tiny.config("bert"), tiny.config("word2vec")
    with pytest.raises(UserError, match="word2vec learns from 'words', and config.data.modality is 'text'"):
        build(bert | {"method": word2vec["method"]}, data_dir=data_dir)
    with pytest.raises(UserError, match="a WordVectors reads words, and config.views give text"):
        build(bert | {"model": word2vec["model"]}, data_dir=data_dir)
    with pytest.raises(
        UserError,
        match="bert learns from 'text', and .* of which config.views give 'words'",
    ):
        build(word2vec | {"method": bert["method"]}, data_dir=data_dir)


def test_its_gradient_is_word2vecs(method, experiment):
    """One pair: the step of word2vec.c, g = label - sigmoid(f) for each output word, both tables from before it."""
    views = {"centers": jnp.array([[7]]), "contexts": jnp.array([[9]]), "weights": jnp.ones((1, 1))}
    key = jax.random.key(5)
    gradient = nnx.grad(lambda method: method.loss(views, key)[0])(method)
    inputs, outputs = np.asarray(method.backbone.vectors), np.asarray(method.output[...])
    into, out = np.zeros_like(inputs), np.zeros_like(outputs)
    drawn = [int(word) for word in np.asarray(method.noise(key, (1, 3)))[0]]
    for word, label in [(9, 1.0), *((word, 0.0) for word in drawn if word != 9)]:
        g = label - 1 / (1 + np.exp(-inputs[7] @ outputs[word]))
        into[7] += g * outputs[word]
        out[word] += g * inputs[7]
    np.testing.assert_allclose(gradient["backbone"]["words"]["embedding"][...], -into, atol=1e-6)
    np.testing.assert_allclose(gradient["output"][...], -out, atol=1e-6)
    check(tiny.config("word2vec"))
