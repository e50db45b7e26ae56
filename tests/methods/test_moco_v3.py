"""MoCo v3: heads, what is trained; `tests/fidelity/test_methods_contrastive.py` has its steps."""

import jax
import numpy as np
import pytest

from ssl_jax.errors import UserError
from tests import probe, tiny
from tests.stepping import Stepper


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
