"""ELECTRA: what is drawn, what is told apart, and what the two networks share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics
from flax import nnx
from scipy import stats

from ssl_jax import losses
from ssl_jax.methods import METHODS, electra
from ssl_jax.models import reading
from tests import small_text


def build(**settings):
    encoder = small_text.encoder(heads=4, segments=1)
    return METHODS["electra"](encoder, small_text.view(), rngs=nnx.Rngs(1), **{"generator_fraction": 0.5, **settings})


@pytest.fixture(scope="module")
def drawn():
    method = build()
    return method, method.views(small_text.batch(), jax.random.key(0))


def test_hidden_places_are_filled_and_no_others():
    views = {
        "original": jnp.array([[9, 8, 7, 6]]),
        "positions": jnp.array([[1, 3, 0]]),
        "weights": jnp.array([[1, 1, 0]]),
    }
    sure = 1e9 * jax.nn.one_hot(jnp.array([[2, 6, 5]]), 10)
    np.testing.assert_array_equal(electra.filled(jax.random.key(0), views, sure), [[9, 2, 7, 6]])


def test_draws_follow_the_generators_probabilities():
    chances = np.array([0.5, 0.3, 0.15, 0.05])
    logits = jnp.log(jnp.asarray(chances))[None, None] + 3.0
    views = {"original": jnp.zeros((1, 2), jnp.int32), "positions": jnp.ones((1, 1), int), "weights": jnp.ones((1, 1))}
    keys = jax.random.split(jax.random.key(0), 5000)
    found = np.asarray(jax.vmap(lambda key: electra.filled(key, views, logits)[0, 1])(keys))
    assert stats.chisquare(np.bincount(found, minlength=4), 5000 * chances).pvalue > 1e-4


def test_loss_and_metrics_by_hand(drawn):
    method, views = drawn
    key = jax.random.key(3)
    loss, metrics = method.loss(views, key)
    generator_key, draw_key, _ = jax.random.split(key, 3)
    logits = method.logits_at(views)
    tokens = np.asarray(electra.filled(draw_key, views, logits))
    original, real = np.asarray(views["original"]), np.asarray(views["original"]) != small_text.PAD
    found = np.asarray(method.replaced_head(reading.read(method.backbone, {**views, "tokens": tokens})))
    wrong = np.where(tokens != original, np.logaddexp(0, -found), np.logaddexp(0, found))[real].mean()
    np.testing.assert_allclose(metrics["replaced_loss"], wrong, rtol=1e-5)
    mlm = losses.masked_lm(logits, views["targets"], views["weights"])
    np.testing.assert_allclose(loss, mlm + 50 * wrong, rtol=1e-5)
    assert (tokens != original).sum() > 2, "some are replaced"
    replaced = tokens != original
    np.testing.assert_allclose(metrics["replaced_found"], (found > 0)[replaced].mean(), rtol=1e-6)
    np.testing.assert_allclose(metrics["replaced_accuracy"], ((found > 0) == replaced)[real].mean(), rtol=1e-6)
    held_out = method.loss(views, key, train=False)[1]
    area = sklearn.metrics.roc_auc_score(replaced[real], found[real])
    np.testing.assert_allclose(held_out["replaced_auc"], area, rtol=1e-5)
    assert held_out.keys() - metrics.keys() == {"replaced_auc"}, "a sort that no train step pays for"


@pytest.mark.parametrize("distinct", (3, 1000))
def test_the_area_under_the_curve_is_scikit_learns(distinct):
    draw = np.random.default_rng(distinct)
    scores, positive = draw.integers(distinct, size=(40, 50)).astype(np.float32), draw.random((40, 50)) < 0.1
    counted = draw.random((40, 50)) < 0.7
    found = electra.area_under_curve(scores, positive & counted, ~positive & counted)
    np.testing.assert_allclose(found, sklearn.metrics.roc_auc_score(positive[counted], scores[counted]), rtol=1e-6)
    one = jnp.array([False, True, False, False])
    by_hand = electra.area_under_curve(jnp.array([3.0, 1.0, 1.0, 0.0]), one, ~one)
    assert by_hand == 0.5, "below one, level with one, above one"
    assert electra.area_under_curve(scores, positive & ~positive, counted) == 0.5


def test_the_discriminator_does_not_teach_the_generator_but_through_the_embeddings(drawn):
    method, views = drawn
    graphdef, params = nnx.split(method, nnx.Param)

    def loss(params, which):
        value, metrics = nnx.merge(graphdef, params).loss(views, jax.random.key(3))
        return metrics[which]

    gradient = jax.jit(jax.grad(loss), static_argnums=1)
    largest = lambda state: max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(state))
    of_replaced, of_hidden = gradient(params, "replaced_loss"), gradient(params, "masked_lm_loss")
    assert largest(of_replaced["generator"]) == largest(of_replaced["mlm_head"]) == 0
    assert largest(of_hidden["replaced_head"]) == largest(of_hidden["backbone"]["stack"]) == 0
    assert largest(of_replaced["backbone"]["tokens"]) > 0 and largest(of_hidden["backbone"]["tokens"]) > 0


def test_embeddings_are_one_and_the_generator_is_small(drawn):
    method, _ = drawn
    generator, backbone = method.generator, method.backbone
    for name in ("tokens", "positions", "segments", "norm"):
        assert getattr(generator, name) is getattr(backbone, name)
    assert "tokens" not in nnx.state(method)["generator"], "they are stored once"
    assert (generator.features, generator.heads, generator.mlp_dim, generator.depth) == (8, 2, 12, 2)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"generator_fraction": 0.0}, "generator_fraction 0.0 is not above 0"),
        ({"generator_fraction": 0.7}, "a width of 11 and 3 heads"),
        ({"discriminator_weight": 0.0}, "discriminator_weight 0.0 must be above 0"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        build(**settings)
