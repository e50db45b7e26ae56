"""RotNet's copies, labels and loss."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.methods import METHODS
from tests import probe


@pytest.fixture(scope="module")
def made(data_dir):
    return probe.made("rotation", data_dir)


def test_a_batch_holds_all_four_copies_of_each_view(made):
    _, views = made
    images, turns = (np.asarray(views[name]) for name in ("image", "turns"))
    assert images.shape == (16, 4, 8, 8, 1) and (turns == np.arange(4)).all()
    for copies in images:
        for turn in range(4):
            np.testing.assert_array_equal(copies[turn], np.rot90(copies[0], turn))


def test_loss_and_accuracy_are_of_what_the_classifier_says(made):
    method, views = made
    method.classifier.kernel[...], method.classifier.bias[...] = (
        jnp.zeros((method.backbone.features, 4)),
        jnp.array([0.0, 2.0, 0.0, 0.0]),
    )
    loss, metrics = method.loss(views, probe.KEY)
    logits = np.array([0.0, 2.0, 0.0, 0.0])
    np.testing.assert_allclose(loss, np.log(np.exp(logits).sum()) - logits.mean(), rtol=1e-5)
    assert metrics["rotation_accuracy"] == 0.25  # all are said to be turned once


def test_every_parameter_learns(data_dir):
    probe.check_gradients(*probe.made("rotation", data_dir))


def test_views_must_be_square():
    class View:
        shape = (8, 6, 1)

    class Same:
        features = 3

    with pytest.raises(ValueError, match=r"they must be square, not \(8, 6\)"):
        METHODS["rotation"](Same(), View, rngs=nnx.Rngs(0))
