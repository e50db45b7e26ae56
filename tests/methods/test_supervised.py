"""The supervised baseline learns the labels of the data, which must be there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.errors import UserError
from ssl_jax.experiment import build
from tests import probe, tiny
from tests.probe import KEY


@pytest.mark.parametrize("smoothing", [0.0, 0.25])
def test_loss_by_hand(smoothing, data_dir):
    method, views = probe.made("supervised", data_dir, label_smoothing=smoothing)
    log_p = jax.nn.log_softmax(method.classifier(method.backbone(views["image"])))
    at_label = jnp.take_along_axis(log_p, views["label"][:, None], axis=1).mean()
    expected = -(1 - smoothing) * at_label - smoothing * log_p.mean()
    loss, metrics = method.loss(views, KEY, train=False)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    right = np.asarray(log_p).argmax(1) == np.asarray(views["label"])
    np.testing.assert_allclose(metrics["accuracy"], right.mean(), rtol=1e-6)


def test_it_knows_the_number_of_classes_and_sees_one_view(data_dir):
    method, views = probe.made("supervised", data_dir)
    assert views["image"].shape == (32, 8, 8, 1) and views["label"].shape == (32,)
    assert method.classifier.kernel.shape == (8, 10)
    images = {"image": np.zeros((3, 8, 8, 1), np.uint8)}
    assert method.embed(images).shape == (3, 8)


def test_every_parameter_has_a_gradient(data_dir):
    probe.check_gradients(*probe.made("supervised", data_dir))


def test_bad_settings(data_dir):
    with pytest.raises(UserError, match="config.method.label_smoothing 1.0 is not in"):
        probe.made("supervised", data_dir, label_smoothing=1.0)
    with pytest.raises(UserError, match="num_classes"):
        probe.made("supervised", data_dir, num_classes=3)


@pytest.mark.parametrize("name", ["supervised", "sup_con"])
def test_data_without_labels_is_a_clear_error(name, data_dir):
    with pytest.raises(UserError, match=f"config.method.name: {name} learns from labels, and 'digits' comes without; "):
        build(tiny.config(name, data=dict(label_key=None)), data_dir=data_dir)
