"""SupCon: its heads, and what is trained; `tests/fidelity/test_methods_contrastive.py` has its steps."""

import numpy as np
import pytest

from ssl_jax.errors import UserError
from tests import probe


def test_every_parameter_has_a_gradient(data_dir):
    probe.check_gradients(*probe.made("sup_con", data_dir))


def test_heads_of_the_two_official_codes(data_dir):
    method, _ = probe.made("sup_con", data_dir, projector_hidden=None)
    assert [linear.kernel.shape for linear in method.projector.linears] == [(8, 8), (8, 8)]
    assert all(linear.bias is not None for linear in method.projector.linears)
    method, _ = probe.made("sup_con", data_dir, projector_layers=1, projector_bias=False)
    assert [linear.kernel.shape for linear in method.projector.linears] == [(8, 8)]
    assert method.projector.linears[0].bias is None and method.projector.norms[0] is None
    images = {"image": np.zeros((3, 8, 8, 1), np.uint8)}
    assert method.embed(images).shape == (3, 8) and method.project(images).shape == (3, 8)


@pytest.mark.parametrize("name", ["temperature", "base_temperature"])
def test_bad_settings(name, data_dir):
    with pytest.raises(UserError, match=f"config.method.{name} 0.0 must be positive"):
        probe.made("sup_con", data_dir, **{name: 0.0})
