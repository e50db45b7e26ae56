"""data2vec of text: what is predicted of what, and how the teacher follows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.methods import METHODS
from ssl_jax.models import attending, reading
from ssl_jax.models.targets import TargetWeight
from tests import small_text


def build(view="token_spans", encoder=None, hiding=None, **settings):
    backbone = small_text.encoder(segments=1, depth=3, **(encoder or {}))
    defaults = dict(top=2, momentum=0.5, momentum_end=0.9, momentum_steps=4)
    return METHODS["data2vec_text"](
        backbone, small_text.view(view, **hiding or {}), rngs=nnx.Rngs(1), **defaults | settings
    )


@pytest.fixture(scope="module")
def drawn():
    method = build()
    return method, method.views(small_text.batch(), jax.random.key(2))


def test_targets_are_the_mean_of_the_teachers_normalised_mlps(drawn):
    method, views = drawn
    found, mask = method.targets(views), views["parts"] > 0
    x = method.backbone.embed_tokens(views["original"], views["segments"], mask)[0]
    branches = []
    for block in method.teacher.blocks:
        attended = block.norm1(x + block.attention(x, mask))
        branches.append(block.mlp(attended))
        x = block.norm2(attended + branches[-1])
    normalized = lambda y: (y - y.mean(-1, keepdims=True)) / jnp.sqrt(y.var(-1, keepdims=True) + 1e-5)
    expected = (normalized(branches[1]) + normalized(branches[2])) / 2
    np.testing.assert_allclose(np.asarray(found)[mask], np.asarray(expected)[mask], atol=1e-4)


def by_hand(method, views):
    """The loss, from predictions and targets, and the sum of the squared distances."""
    hidden = np.asarray(views["tokens"]) == small_text.MASK
    states = reading.read(method.backbone, views)
    predictions = method.prediction(jax.nn.gelu(method.hidden(states), approximate=False))
    distance = np.abs(np.asarray(predictions - method.targets(views)))[hidden]
    return np.where(distance <= 4, distance**2 / 8, distance - 2).mean(), (distance**2).sum()


def test_loss_is_at_the_hidden_tokens(drawn):
    method, views = drawn
    loss, metrics = method.loss(views, jax.random.key(0))
    hidden = np.asarray(views["tokens"]) == small_text.MASK
    assert hidden.sum() > 3 and (np.asarray(views["tokens"]) == views["original"])[~hidden].all()
    truths, (expected, squares) = np.asarray(method.targets(views))[hidden], by_hand(method, views)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(metrics["target_deviation"], truths.std(0).mean(), rtol=1e-4)
    around_mean = ((truths - truths.mean(0)) ** 2).sum()
    np.testing.assert_allclose(metrics["target_skill"], 1 - squares / around_mean, rtol=1e-4)


def test_no_gradient_goes_into_what_is_predicted(drawn):
    """The embedding of a token that is hidden wherever it stands moves nothing but the teacher's view of it."""
    method, views = drawn
    graphdef, params, rest = nnx.split(method, nnx.Param, ...)
    loss = lambda params: nnx.merge(graphdef, params, rest).loss(views, jax.random.key(0))[0]
    gradient = jax.jit(jax.grad(loss))(params)
    assert not nnx.to_flat_state(nnx.state(method.teacher, nnx.Param)), "no optimizer moves the teacher"
    embedding = np.abs(np.asarray(gradient["backbone"]["tokens"]["embedding"][...])).max(1) > 0
    seen = np.unique(np.asarray(views["tokens"]))
    assert set(np.flatnonzero(embedding)) <= set(seen.tolist())
    assert set(np.unique(np.asarray(views["original"])).tolist()) - set(seen.tolist()), "some are hidden everywhere"


def test_the_teacher_follows_the_blocks_along_a_line():
    method = build()
    old = jax.tree.leaves(nnx.state(method.teacher, TargetWeight))[0]
    method.backbone.stack.blocks[0].attention.out.bias[...] += 1.0
    before = np.asarray(method.teacher.blocks[0].attention.out.bias[...])
    for step, momentum in ((0, 0.5), (2, 0.7), (4, 0.9), (9, 0.9)):
        was = np.asarray(method.teacher.blocks[0].attention.out.bias[...])
        method.follow(jnp.int32(step))
        moved = np.asarray(method.teacher.blocks[0].attention.out.bias[...])
        np.testing.assert_allclose(moved, momentum * was + (1 - momentum) * (before + 1), rtol=1e-5)
    assert old.shape == jax.tree.leaves(nnx.state(method.teacher, TargetWeight))[0].shape


def test_the_teacher_never_drops():
    method = build(encoder=dict(dropout=0.5))
    views = method.views(small_text.batch(), jax.random.key(0))
    first = method.loss(views, jax.random.key(1))[0]
    assert first != method.loss(views, jax.random.key(2))[0], "the student drops"
    assert (
        method.loss(views, jax.random.key(1), train=False)[0] == method.loss(views, jax.random.key(2), train=False)[0]
    )
    assert method.teacher.blocks[0].dropout == method.teacher.blocks[0].attention.dropout == 0


def test_documents_of_a_row_do_not_see_each_other():
    method, batch = build(), small_text.batch(1, padded=0)
    batch["parts"] = np.repeat([[1, 2]], 6, axis=1)
    views = method.views(batch, jax.random.key(0))
    found = method.targets(views)[:, 6:]
    alone = {name: views[name][:, 6:] for name in ("original", "segments", "tokens")}
    np.testing.assert_allclose(found, method.targets(alone | {"parts": jnp.ones((1, 6), int)}), atol=1e-4)
    assert (attending.positions_within(views["parts"])[0, 6:] == jnp.arange(6)).all()


def test_bert_masks_count_where_the_mask_stands():
    """And not where a word was put in the place of another, or was left as it is."""
    method = build("bert", hiding=dict(mask_share=0.5, random_share=0.3, rate=0.6, max_predictions=7))
    views = method.views(small_text.batch(), jax.random.key(0))
    behind_mask = np.asarray(views["tokens"]) == small_text.MASK
    assert 3 < behind_mask.sum() < 0.6 * 7 * len(behind_mask)
    np.testing.assert_allclose(method.loss(views, jax.random.key(1))[0], by_hand(method, views)[0], rtol=1e-5)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"top": 4}, "top 4 is more than the 3 blocks"),
        ({"top": 0}, "top 0 is below 1"),
        ({"momentum_end": 0.4}, "momentum_end 0.4 is not between momentum 0.5 and 1"),
        ({"beta": -1.0}, "beta -1.0 is below 0"),
        ({"view": "tokens"}, "set config.views.name to 'token_spans'"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        build(**settings)


def test_second_segments_are_refused():
    view = small_text.view("token_spans", small_text.spec(next=()))
    with pytest.raises(ValueError, match="config.data.second_segment to 'none'"):
        METHODS["data2vec_text"](small_text.encoder(), view, top=1, rngs=nnx.Rngs(0))
