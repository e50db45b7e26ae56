"""MoCo v2: a queue of keys and an encoder of keys that follows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax import losses
from ssl_jax.errors import UserError
from tests import probe
from tests.probe import KEY


def made(data_dir, **method):
    module, views = probe.made("moco_v2", data_dir, **(dict(statistics_groups=1) | method))
    return module, views["image"]


def unit(rows):
    return rows / jnp.linalg.norm(rows, axis=1, keepdims=True)


def cross_entropy(queries, keys, queue, temperature=0.2):
    """The official code's logits: the own key first, then the queue."""
    logits = jnp.concatenate([jnp.sum(unit(queries) * keys, 1, keepdims=True), unit(queries) @ queue.T], axis=1)
    return -jax.nn.log_softmax(logits / temperature)[:, 0].mean()


def test_loss_compares_each_query_with_its_key_and_the_queue(data_dir):
    method, images = made(data_dir)
    queries = method.projector(method.backbone(images[:, 0]))
    keys = unit(method.target_projector(method.target_backbone(images[:, 1])))
    expected = cross_entropy(queries, keys, method.queue[...])
    np.testing.assert_allclose(probe.loss(method, {"image": images}, train=False), expected, rtol=1e-5)


def test_symmetric_loss_adds_the_other_direction_and_both_keys_enter(data_dir):
    method, images = made(data_dir, symmetric=True)
    queue, (first, second) = method.queue[...], (images[:, 0], images[:, 1])
    encode = lambda x: method.projector(method.backbone(x))
    target = lambda x: unit(method.target_projector(method.target_backbone(x)))
    expected = cross_entropy(encode(first), target(second), queue) + cross_entropy(encode(second), target(first), queue)
    np.testing.assert_allclose(probe.loss(method, {"image": images}, train=False), expected, rtol=1e-5)
    np.testing.assert_array_equal(method.queue[...], queue)
    probe.loss(method, {"image": images})
    assert len(queue) == 128 and len(images) == 32
    np.testing.assert_array_equal(method.queue[:64], queue[64:])


def test_keys_enter_the_queue_after_the_loss_oldest_first(data_dir):
    method, images = made(data_dir)
    before = method.queue[...]
    online = target = probe.twin(method)
    queries = online.projector(online.backbone(images[:, 0], train=True))
    keys = unit(target.target_projector(target.target_backbone(images[:, 1], train=True)))
    loss = probe.loss(method, {"image": images})
    np.testing.assert_allclose(loss, cross_entropy(queries, keys, before), rtol=1e-5)
    np.testing.assert_array_equal(method.queue[:96], before[32:])
    np.testing.assert_allclose(method.queue[96:], keys, atol=1e-5)


@pytest.mark.parametrize("settings", [dict(), dict(symmetric=True, statistics_groups=4)])
def test_gradient_reaches_all_of_the_online_encoder_and_nothing_else(settings, data_dir):
    method, images = made(data_dir, **settings)
    probe.check_gradients(method, {"image": images})


def test_target_moves_by_hand(data_dir):
    method, _ = made(data_dir, momentum=0.75)
    old, online = method.target_projector.linears[0].kernel[...], method.projector.linears[0].kernel[...]
    method.follow(jnp.int32(7))
    np.testing.assert_allclose(method.target_projector.linears[0].kernel[...], 0.75 * old + 0.25 * online, rtol=1e-5)


def test_shuffled_keys_are_normalised_in_other_company_than_their_queries(data_dir):
    """Shuffling BN: without it, the statistics of a group would tell which queries and keys belong together."""
    method, images = made(data_dir, statistics_groups=4)
    target = probe.twin(method)
    shuffle_key = jax.random.split(jax.random.split(KEY)[0], 3)[2]
    order = np.asarray(jax.random.permutation(shuffle_key, 32))
    groups = [target.target_backbone(images[rows, 1], train=True) for rows in order.reshape(4, 8)]
    shuffled = unit(target.target_projector(jnp.concatenate(groups)))
    expected = np.zeros_like(shuffled)
    expected[order] = shuffled  # each key is of its own image again
    probe.loss(method, {"image": images})
    np.testing.assert_allclose(method.queue[-32:], expected, atol=1e-5)
    assert np.abs(order // 8 - np.arange(32) // 8).mean() > 0.5


def test_queries_are_normalised_in_groups(data_dir):
    method, images = made(data_dir, statistics_groups=4)
    before, online = method.queue[...], probe.twin(method)
    parts = [online.backbone(part, train=True) for part in jnp.split(images[:, 0], 4)]
    loss = probe.loss(method, {"image": images})
    expected = cross_entropy(online.projector(jnp.concatenate(parts)), method.queue[-32:], before)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_views_are_compared_at_the_temperature(data_dir):
    method, images = made(data_dir, temperature=0.7)
    z = method.projector(method.backbone(images[:, 0]))
    keys = unit(method.target_projector(method.target_backbone(images[:, 1])))
    expected = losses.moco(z, keys, method.queue[...], temperature=0.7)
    np.testing.assert_allclose(probe.loss(method, {"image": images}, train=False), expected, rtol=1e-6)


def test_head_is_as_wide_as_the_features_and_has_biases(data_dir):
    method, images = made(data_dir, projector_hidden=None)
    assert method.projector.linears[0].kernel.shape == (8, 8)
    assert all(linear.bias is not None for linear in method.projector.linears)
    assert len(method.projector.linears) == 2 and len(made(data_dir, projector_layers=1)[0].projector.linears) == 1
    assert not jax.tree.leaves(nnx.state(method.projector, nnx.BatchStat))
    assert method.project({"image": np.zeros((3, 8, 8, 1), np.uint8)}).shape == (3, 8)


@pytest.mark.parametrize(
    "setting, message",
    [
        (dict(queue_size=16), "config.method.queue_size 16 is below 32"),
        (dict(queue_size=32, symmetric=True), "config.method.queue_size 32 is below 64"),
        (dict(statistics_groups=5), "config.method.statistics_groups 5 does not divide the batch of 32"),
        (dict(temperature=0.0), "config.method.temperature 0.0 must be positive"),
        (dict(momentum=1.0), "config.method.momentum 1.0 is not in"),
    ],
)
def test_bad_settings(setting, message, data_dir):
    with pytest.raises(UserError, match=message):
        made(data_dir, **setting)
