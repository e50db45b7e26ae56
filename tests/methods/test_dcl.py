"""DCL: what is trained and embedded; `tests/fidelity/test_methods_contrastive.py` has its steps."""

import numpy as np
import pytest

from ssl_jax.errors import UserError
from tests import probe


def test_every_parameter_has_a_gradient(data_dir):
    probe.check_gradients(*probe.made("dcl", data_dir, sigma=0.5))


@pytest.mark.parametrize("name, value", [("temperature", 0.0), ("sigma", 0.0), ("projector_layers", 0)])
def test_bad_settings(name, value, data_dir):
    with pytest.raises(UserError, match=f"config.method.{name} {value} "):
        probe.made("dcl", data_dir, **{name: value})


def test_features_come_before_the_projector(data_dir):
    method, _ = probe.made("dcl", data_dir, projector_out=5)
    images = {"image": np.zeros((3, 8, 8, 1), np.uint8)}
    assert method.embed(images).shape == (3, 8) and method.project(images).shape == (3, 5)
