"""MSN with crops of two sizes; what is dropped, what is trained, what is refused.

`tests/fidelity/test_methods_masked.py` has its steps, and how the target follows.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax import losses
from ssl_jax.errors import UserError
from ssl_jax.experiment import build
from ssl_jax.models import targets
from tests import probe, tiny


@nnx.jit
def by_hand(method, views):
    patches = method.backbone.embed_patches(views["image"][:, 1])
    seen = jnp.stack([patches[row, kept] for row, kept in enumerate(views["visible"])])
    large = method.projector(method.backbone.encode(seen)[:, 0], train=True)
    crops = jnp.concatenate([views["local"][:, 0], views["local"][:, 1]])
    focal = jnp.split(method.projector(method.backbone(crops), train=True), 2)
    whole = method.target_projector(method.target_backbone(views["image"][:, 0]), train=True)
    return losses.msn(jnp.stack([large, *focal], axis=1), whole, method.prototypes[...])


def test_loss_by_hand(data_dir):
    """The anchor keeps 8 of 16 patches; focal crops are whole, and a pass of their own."""
    method, views = probe.made("msn", data_dir)
    assert views["visible"].shape == (32, 8) and views["local"].shape == (32, 2, 4, 4, 1)
    expected = by_hand(nnx.clone(method), views)
    np.testing.assert_allclose(probe.loss(method, views), expected, rtol=1e-5)


def test_every_parameter_has_a_gradient_and_no_target_weight(data_dir):
    method, views = probe.made("msn", data_dir)
    assert jax.tree.leaves(nnx.state(method, targets.TargetWeight))
    probe.check_gradients(method, views)


def test_without_a_mask_all_patches_are_seen(data_dir):
    _, views = probe.made("msn", data_dir, mask_ratio=0.0)
    np.testing.assert_array_equal(np.sort(views["visible"]), np.broadcast_to(np.arange(16), (32, 16)))


@pytest.mark.parametrize(
    ("leaves", "message"),
    [
        (dict(model=dict(tiny.config("simclr")["model"])), "must be a vit, not ResNet"),
        (dict(method=dict(mask_ratio=-0.1)), "mask_ratio -0.1 is negative"),
        (dict(method=dict(mask_ratio=0.95)), "mask_ratio 0.95 .* leaves none of 16"),
        (dict(method=dict(prototypes=0)), "prototypes 0"),
        (dict(method=dict(temperature=0.0)), "temperature 0.0"),
        (dict(method=dict(me_max_weight=-1.0)), "me_max_weight -1.0"),
    ],
)
def test_what_cannot_be_is_refused(leaves, message, data_dir):
    config = tiny.config("msn")
    for part, values in leaves.items():
        config[part] = values if part == "model" else config[part] | values
    with pytest.raises(UserError, match=message):
        build(config, data_dir=data_dir)
