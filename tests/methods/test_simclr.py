"""SimCLR compares the two views of one picture, and trains any encoder."""

import jax
import numpy as np
import pytest

from ssl_jax.errors import UserError
from ssl_jax.experiment import build
from ssl_jax.train import mesh as meshes
from tests import probe, tiny


def experiment_of(data_dir, **leaves):
    return build(tiny.config("simclr", **leaves), data_dir=data_dir, mesh=meshes.make_mesh(jax.devices()[:1]))


def test_both_views_are_of_one_picture_and_differ(data_dir):
    still = dict(degrees=0.0, translate=0.0, scale=(1.0, 1.0), shear=0.0)
    experiment = experiment_of(data_dir, views=dict(noise=0.01, **still))
    batch, method = experiment.batch_at(0), experiment.module(experiment.initial_state())
    views = method.views(batch, jax.random.key(0))["image"]
    np.testing.assert_allclose(views, np.stack([batch["image"] / 255] * 2, axis=1), atol=0.1)
    assert np.abs(views[:, 0] - views[:, 1]).mean() > 1e-3


@pytest.mark.parametrize("rate", ["dropout", "drop_path"])
def test_encoder_may_drop(rate, data_dir):
    model = dict(name="vit", size="Ti", image_size=8, patch_size=4, channels=1, width=24, depth=2, heads=3, mlp_dim=48)
    config = tiny.config("simclr") | {"model": model | {rate: 0.5}}
    experiment = build(config, data_dir=data_dir, mesh=meshes.make_mesh(jax.devices()[:1]))
    method = experiment.module(experiment.initial_state())
    views = method.views(experiment.batch_at(0), jax.random.key(0))
    first, second = (method.loss(views, jax.random.key(seed))[0] for seed in (1, 2))
    assert first != second and np.isfinite(first)


@pytest.mark.parametrize("layers, width", list(enumerate((8, 16, 16, 8))))
def test_features_may_pass_through_the_first_layers_of_the_projector(layers, width, data_dir):
    """SimCLR v2; the official code's `ft_proj_selector` indexes the same list of hidden states."""
    images = {"image": np.random.default_rng(0).integers(0, 255, (5, 8, 8, 1), np.uint8)}
    method, _ = probe.made("simclr", data_dir, projector_layers=3, embed_layers=layers)
    hidden = method.backbone(jax.vmap(method.view.evaluate)(images))
    for index in range(layers):
        hidden = method.projector.norms[index](method.projector.linears[index](hidden), relu=index < 2)
    assert hidden.shape == (5, width)
    np.testing.assert_allclose(method.embed(images), hidden, rtol=1e-5, atol=1e-5)
    if layers == 3:
        np.testing.assert_array_equal(method.project(images), method.embed(images))


def test_bad_settings(data_dir):
    with pytest.raises(UserError, match="config.method.embed_layers 3 is not between 0 and projector_layers 2"):
        probe.made("simclr", data_dir, embed_layers=3)
    with pytest.raises(UserError, match="config.method.temperature 0.0 must be positive"):
        probe.made("simclr", data_dir, temperature=0.0)
