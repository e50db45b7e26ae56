"""CAPI: what is seen and predicted, what is trained by which loss, how the teacher follows."""

import re

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from flax import nnx

from ssl_jax import losses
from ssl_jax.errors import UserError
from tests import probe, tiny

RESNET = dict(name="resnet", stage_sizes=(1,), base_width=8, stem="small", channels=1)


def test_a_block_is_seen_and_some_of_the_rest_predicted(data_dir):
    _, views = probe.made("capi", data_dir)
    visible, predicted = np.asarray(views["visible"]), np.asarray(views["predicted"])
    assert visible.shape == (32, 8) and predicted.shape == (32, 4)
    for row in range(32):
        assert not {*visible[row]} & {*predicted[row]} and len({*visible[row], *predicted[row]}) == 12
    assert len(np.unique(visible, axis=0)) > 3 and (np.diff(visible) > 0).all()


def test_the_papers_counts(data_dir):
    """166 of 256 patches are hidden, 8 of these predicted, as `collate_data_and_cast` of the authors' code rounds."""
    model = dict(image_size=64, patch_size=4)
    views = dict(out_size=64)
    method, views = probe.made(
        "capi", data_dir, parts=dict(model=model, views=views, batch_size=8), mask_ratio=0.65, predicted_share=0.05
    )
    assert views["visible"].shape == (8, 256 - 166) and views["predicted"].shape == (8, 8)


def test_every_parameter_is_trained_and_the_teacher_is_not(data_dir):
    probe.check_gradients(*probe.made("capi", data_dir))


@pytest.mark.parametrize("name", ["prediction_loss", "clustering_loss"])
def test_the_clustering_learns_by_its_own_loss_alone(name, data_dir):
    method, views = probe.made("capi", data_dir)
    of_loss = lambda method: method.loss(views, probe.KEY)[1][name]
    for path, gradient in probe.gradients_of(of_loss, method).items():
        own = path.startswith("clustering.")
        others = path.startswith(("backbone.", "predictor.", "head."))
        assert bool(jnp.abs(gradient).max() > 0) == (own if name == "clustering_loss" else others), path


def test_the_losses_and_what_is_watched(data_dir):
    method, views = probe.made("capi", data_dir)
    loss, metrics = nnx.jit(lambda method: method.loss(views, probe.KEY))(method)
    np.testing.assert_allclose(loss, metrics["prediction_loss"] + metrics["clustering_loss"], rtol=1e-6)
    scores = method.clustering(method.target_backbone.tokens(views["image"])[1])
    q = losses.positionwise_sinkhorn(scores)
    p = jax.nn.log_softmax(scores / 0.12)
    np.testing.assert_allclose(metrics["clustering_loss"], -(q * p).sum(-1).mean(), rtol=1e-4)
    wanted = np.take_along_axis(np.asarray(q), np.asarray(views["predicted"])[:, :, None], axis=1)
    entropy = lambda q: -np.sum(q * np.log(np.maximum(q, 1e-30)), axis=-1)
    np.testing.assert_allclose(metrics["target_entropy"], entropy(wanted).mean(), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(metrics["cluster_perplexity"], np.exp(entropy(wanted.mean((0, 1)))), rtol=1e-3)
    assert 0 <= metrics["cluster_accuracy"] <= 1


@pytest.mark.parametrize("step, momentum", [(0, 1.0), (1, 0.995), (2, 0.99), (26, 0.995), (50, 1.0)])
def test_the_teachers_momentum_falls_and_then_rises(step, momentum, data_dir):
    """tiny has 50 steps: half way from 2 to 50 the cosine is at the middle of 0.99 and 1."""
    method, _ = probe.made("capi", data_dir, momentum_warmup_steps=2)
    kernel = lambda network: np.asarray(network.patch_embedding.kernel[...])
    old = kernel(method.target_backbone)
    method.backbone.patch_embedding.kernel[...] += 1.0
    method.follow(np.int32(step))
    expected = momentum * old + (1 - momentum) * kernel(method.backbone)
    np.testing.assert_allclose(kernel(method.target_backbone), expected, rtol=1e-5, atol=1e-6)


def test_a_stretched_cosine_is_cut(data_dir):
    """As the official `WarmupThenCosine` with truncate_cos 0.8: stretched by 1.25, but for the warm-up."""
    method, _ = probe.made("capi", data_dir, momentum_warmup_steps=2, momentum_stretch=1.24)
    at = np.arange(2, 50)
    official = 1.0 + 0.5 * (0.99 - 1.0) * (1 + np.cos(np.pi * 0.8 * (at - 2) / 48))
    np.testing.assert_allclose([method._momentum(step) for step in at], official, rtol=1e-6)


def test_what_is_evaluated_and_diagnosed(data_dir):
    method, views = probe.made("capi", data_dir)
    batch = {"image": jnp.arange(3 * 64, dtype=jnp.uint8).reshape(3, 8, 8, 1)}
    patches = method.target_backbone.tokens(jax.vmap(method.view.evaluate)(batch))[1]
    embedded = method.embed(batch)
    np.testing.assert_allclose(embedded, patches.mean(1), atol=1e-5)
    np.testing.assert_allclose(jnp.linalg.norm(method.project(batch), axis=1), 1, rtol=1e-5)
    shares = method.assign(batch)
    assert shares.shape == (3, 16)
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(clusters=1), "clusters 1 is below 2"),
        (dict(mask_ratio=0.99), "mask_ratio 0.99 leaves nothing to see or to predict of 16 patches"),
        (dict(predicted_share=0.1), "predicted_share 0.1 leaves none of 8 hidden patches to predict"),
        (dict(predicted_share=1.5), "predicted_share 1.5 is not in 0 < predicted_share <= 1"),
        (dict(sinkhorn_iterations=0), "sinkhorn_iterations 0 is below 1"),
        (dict(target_temperature=0.0), "target_temperature 0.0 must be positive"),
        (dict(student_temperature=0.0), "student_temperature 0.0 must be positive"),
        (dict(clustering_temperature=0.0), "clustering_temperature 0.0 must be positive"),
        (dict(momentum=1.0), "momentum 1.0 is not in 0 <= momentum < 1"),
        (dict(momentum_stretch=0.5), "momentum_stretch 0.5 is below 1"),
        (dict(momentum_warmup_steps=-1), "momentum_warmup_steps -1 is below 0"),
        (dict(momentum_warmup_steps=50), "momentum_warmup_steps is 50, and the run ends before"),
        (dict(predictor_depth=0), "config.method.predictor_depth 0 is below 1"),
    ],
)
def test_impossible_settings(settings, message, data_dir):
    with pytest.raises(UserError, match=re.escape(message)):
        probe.made("capi", data_dir, **settings)


@pytest.mark.parametrize("model", [RESNET, tiny.config("i_jepa")["model"]])
def test_needs_a_rotary_vit(model, data_dir):
    with pytest.raises(UserError, match="CAPI needs config.model.name 'rotary_vit', not a"):
        probe.made("capi", data_dir, parts={"model": ml_collections.ConfigDict(model)})


def test_what_needs_embedded_patches_refuses_a_rotary_vit(data_dir):
    with pytest.raises(UserError, match="works on patches, so config.model must be a vit, not RotaryViT"):
        probe.made("mae", data_dir, parts={"model": ml_collections.ConfigDict(tiny.config("capi")["model"])})


def test_an_attentive_probe_reads_a_rotary_vit(data_dir):
    rotary = ml_collections.ConfigDict(tiny.config("capi")["model"])
    method, views = probe.made("attentive_probe", data_dir, parts={"model": rotary})
    loss, metrics = nnx.jit(lambda method: method.loss(views, probe.KEY))(method)
    assert np.isfinite(loss) and 0 <= metrics["accuracy"] <= 1
