"""SimCLR compares the two views of one picture, and trains any encoder."""

import jax
import numpy as np
import pytest

from ssl_jax import losses
from ssl_jax.experiment import build
from ssl_jax.train import mesh as meshes
from tests import tiny


def experiment_of(data_dir, **leaves):
    return build(tiny.config("simclr", **leaves), data_dir=data_dir, mesh=meshes.make_mesh(jax.devices()[:1]))


def test_loss_is_nt_xent_between_the_views_of_each_picture(data_dir):
    experiment = experiment_of(data_dir)
    method, key = experiment.module(experiment.initial_state()), jax.random.key(0)
    views = method.views(experiment.batch_at(0), key)
    project = lambda images: method.projector(method.backbone(images))
    plain = losses.nt_xent(project(views["image"][:, 0]), project(views["image"][:, 1]), temperature=method.temperature)
    np.testing.assert_allclose(method.loss(views, key, train=False)[0], plain, rtol=1e-5)


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
