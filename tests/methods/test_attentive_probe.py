"""The attentive probe learns from labels what a network tells that stays as it is."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from flax import nnx

from ssl_jax.errors import UserError
from ssl_jax.models import targets
from tests import probe
from tests.probe import KEY


def made(data_dir, **method):
    return probe.made("attentive_probe", data_dir, **method)


@pytest.mark.parametrize("smoothing", [0.0, 0.25])
def test_loss_by_hand(smoothing, data_dir):
    """The query attends to the class token and all patches."""
    method, views = made(data_dir, label_smoothing=smoothing)
    states = method.backbone.encode(method.backbone.embed_patches(views["image"]))
    assert states.shape == (32, 17, 24)
    log_p = jax.nn.log_softmax(method.classifier(method.pool(states)))
    at_label = jnp.take_along_axis(log_p, views["label"][:, None], axis=1).mean()
    loss, metrics = method.loss(views, KEY)
    np.testing.assert_allclose(loss, -(1 - smoothing) * at_label - smoothing * log_p.mean(), rtol=1e-5)
    right = np.asarray(log_p).argmax(1) == np.asarray(views["label"])
    np.testing.assert_allclose(metrics["accuracy"], right.mean(), rtol=1e-6)
    np.testing.assert_array_equal(method.loss(views, KEY, train=False)[0], loss)


def test_the_network_is_not_trained(data_dir):
    method, views = made(data_dir)
    assert not jax.tree.leaves(nnx.state(method.backbone, nnx.Param))
    assert jax.tree.leaves(nnx.state(method.backbone, targets.TargetWeight))
    gradients = probe.gradients(method, views)
    moved = {path for path, gradient in gradients.items() if np.any(gradient)}
    assert moved and all(path.startswith(("pool.", "classifier.")) for path in moved)
    assert {path for path in gradients if path.startswith(("pool.", "classifier."))} == moved


def test_features_are_what_the_pooling_gives(data_dir):
    method, _ = made(data_dir)
    assert method.embed({"image": np.zeros((3, 8, 8, 1), np.uint8)}).shape == (3, 24)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(heads=5), "config.method: width 24 is not divisible by heads 5"),
        (dict(mlp_dim=0), "config.method.mlp_dim 0 is below 1"),
        (dict(label_smoothing=1.0), "config.method.label_smoothing 1.0 is not in"),
    ],
)
def test_bad_settings(settings, message, data_dir):
    with pytest.raises(UserError, match=message):
        made(data_dir, **settings)


def test_another_network_is_refused(data_dir):
    resnet = dict(name="resnet", stage_sizes=(1,), base_width=8, stem="small", channels=1)
    with pytest.raises(UserError, match="AttentiveProbe works on patches, so config.model must be a vit, not ResNet"):
        probe.made("attentive_probe", data_dir, dict(model=ml_collections.ConfigDict(resnet)))
