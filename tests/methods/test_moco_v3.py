"""MoCo v3: predictions of one view among the keys of the other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.errors import UserError
from tests import probe, tiny
from tests.probe import KEY
from tests.stepping import Stepper


def unit(rows):
    return rows / jnp.linalg.norm(rows, axis=1, keepdims=True)


def contrast(queries, keys, temperature):
    """`contrastive_loss` of the official code, on one device."""
    logits = unit(queries) @ unit(keys).T / temperature
    return -jnp.diagonal(jax.nn.log_softmax(logits)).mean() * 2 * temperature


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_loss_by_hand(temperature, data_dir):
    method, views = probe.made("moco_v3", data_dir, temperature=temperature)
    first, second = (views["image"][:, view] for view in range(2))
    other = probe.twin(method)
    query = lambda x: other.predictor(other.projector(other.backbone(x, train=True), train=True), train=True)
    key = lambda x: other.target_projector(other.target_backbone(x, train=True), train=True)
    expected = contrast(query(first), key(second), temperature) + contrast(query(second), key(first), temperature)
    np.testing.assert_allclose(method.loss(views, KEY)[0], expected, rtol=1e-5)


def test_gradient_reaches_all_of_the_online_network_and_nothing_else(data_dir):
    probe.check_gradients(*probe.made("moco_v3", data_dir))


def test_heads_are_those_of_the_official_code(data_dir):
    vit, _ = probe.made("moco_v3", data_dir)
    resnet, _ = probe.made("moco_v3", data_dir, projector_layers=2, predictor_batch_norm=False)
    for method, layers, last in ((vit, 3, True), (resnet, 2, False)):
        assert len(method.projector.linears) == layers and len(method.predictor.linears) == 2
        for head in (method.projector, method.predictor):
            assert all(linear.bias is None for linear in head.linears)
            assert all(norm.scale is not None and norm.bias is not None for norm in head.norms[:-1])
        assert method.projector.norms[-1].scale is None and method.projector.norms[-1].bias is None
        assert (method.predictor.norms[-1] is not None) == last
    assert vit.predictor.norms[-1].scale is None and vit.predictor.norms[-1].bias is None
    assert vit.project({"image": np.zeros((3, 8, 8, 1), np.uint8)}).shape == (3, 8)


def test_target_moves_by_hand(data_dir):
    """The official code, in step t of T: m = 1 - 0.5 (1 + cos(pi t / T)) (1 - 0.99); step 24 is followed by step 25."""
    method, _ = probe.made("moco_v3", data_dir)
    kernel = lambda head: np.asarray(head.linears[0].kernel[...])
    expected = 0.995 * kernel(method.target_projector) + 0.005 * kernel(method.projector)
    method.follow(jnp.int32(24))
    np.testing.assert_allclose(kernel(method.target_projector), expected, rtol=1e-5)
    method.follow(jnp.int32(49))  # the last of 50 steps: momentum 1
    np.testing.assert_allclose(kernel(method.target_projector), expected, rtol=1e-5)


def test_patch_projection_stays_as_it_is_drawn(data_dir):
    stepper = Stepper(tiny.config("moco_v3"), jax.devices()[:1], data_dir)
    before = stepper.experiment.initial_state()
    after, *_ = stepper.run(before, 0, 2)
    old = jax.tree_util.tree_leaves_with_path(before.params)
    for (path, a), b in zip(old, jax.tree.leaves(after.params), strict=True):
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        assert np.array_equal(a, b) == name.startswith("backbone.patch_embedding"), name


@pytest.mark.parametrize(
    "setting, message",
    [
        (dict(temperature=0.0), "config.method.temperature 0.0 must be positive"),
        (dict(momentum=1.0), "config.method.momentum 1.0 is not in"),
        (dict(projector_layers=0), "config.method.projector_layers 0 is below 1"),
    ],
)
def test_bad_settings(setting, message, data_dir):
    with pytest.raises(UserError, match=message):
        probe.made("moco_v3", data_dir, **setting)
