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


class Mean:
    """In the place of a backbone: the mean of the pixels, which is noted, and its square."""

    def __call__(self, images, *, train, key):
        self.seen = images.mean((1, 2, 3))
        return jnp.stack([self.seen, self.seen**2] * 4, axis=1)


@pytest.mark.parametrize("mix", [dict(mixup=0.8), dict(cutmix=1.0), dict(mixup=0.8, cutmix=1.0)])
@pytest.mark.parametrize("smoothing", [0.0, 0.25])
def test_labels_are_mixed_as_pixels_are(mix, smoothing, data_dir):
    """Rows are of one gray each, so that the mean of a mixed row tells the share of its own label, and so the loss."""
    method, views = probe.made("supervised", data_dir, label_smoothing=smoothing, **mix)
    method.backbone = Mean()
    labels, grays = np.asarray(views["label"]), np.arange(32.0)
    images = jnp.broadcast_to(jnp.asarray(grays, jnp.float32).reshape(-1, 1, 1, 1), views["image"].shape)
    loss, metrics = method.loss({"image": images, "label": views["label"]}, KEY)
    seen, before = np.asarray(method.backbone.seen), np.roll(grays, 1)
    share = (seen - before) / (grays - before)
    assert 0.2 < share.mean() < 0.8 and share.min() > -1e-5 and share.max() < 1 + 1e-5
    log_p = np.asarray(jax.nn.log_softmax(method.classifier(jnp.stack([seen, seen**2] * 4, axis=1))))
    own, other = (log_p[np.arange(32), of] for of in (labels, np.roll(labels, 1)))
    expected = -(1 - smoothing) * (share * own + (1 - share) * other).mean() - smoothing * log_p.mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    right = log_p.argmax(1) == np.where(share > 0.5, labels, np.roll(labels, 1))
    np.testing.assert_allclose(metrics["accuracy"], right.mean(), rtol=1e-6)


def test_evaluation_is_not_mixed(data_dir):
    plain, views = probe.made("supervised", data_dir)
    mixing, _ = probe.made("supervised", data_dir, mixup=1.0, cutmix=1.0)
    np.testing.assert_array_equal(probe.loss(mixing, views, train=False), probe.loss(plain, views, train=False))
    np.testing.assert_array_equal(mixing.embed(views), plain.embed(views))
    assert abs(probe.loss(mixing, views) - probe.loss(plain, views)) > 1e-3


def test_it_knows_the_number_of_classes_and_sees_one_view(data_dir):
    method, views = probe.made("supervised", data_dir)
    assert views["image"].shape == (32, 8, 8, 1) and views["label"].shape == (32,)
    assert method.classifier.kernel.shape == (8, 10)
    images = {"image": np.zeros((3, 8, 8, 1), np.uint8)}
    assert method.embed(images).shape == (3, 8)


def test_every_parameter_has_a_gradient(data_dir):
    probe.check_gradients(*probe.made("supervised", data_dir, mixup=0.8, cutmix=1.0))


def test_bad_settings(data_dir):
    with pytest.raises(UserError, match="config.method.label_smoothing 1.0 is not in"):
        probe.made("supervised", data_dir, label_smoothing=1.0)
    with pytest.raises(UserError, match="config.method.cutmix -0.5 is below 0"):
        probe.made("supervised", data_dir, cutmix=-0.5)
    with pytest.raises(UserError, match="num_classes"):
        probe.made("supervised", data_dir, num_classes=3)


@pytest.mark.parametrize("name", ["supervised", "sup_con"])
def test_data_without_labels_is_a_clear_error(name, data_dir):
    with pytest.raises(UserError, match=f"config.method.name: {name} learns from labels, and 'digits' comes without; "):
        build(tiny.config(name, data=dict(label_key=None)), data_dir=data_dir)
