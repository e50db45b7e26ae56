"""DINOv2 by hand: three losses, two ways of keeping the teacher's output from collapse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.methods import DINOv2
from ssl_jax.models import ResNet
from tests import probe
from tests.methods.test_dino import BATCH, KEY, SMALL, SPEC, VIEW, learn, vit
from tests.methods.test_ibot import away, loss_of, softmax, tokens_of


def dinov2(backbone=None, **settings):
    view = augment.VIEWS["dino"](SPEC, **VIEW, local_size=4, local_crops=2)
    backbone = vit(positions="learned") if backbone is None else backbone
    settings = SMALL | dict(patch_prototypes=7) | settings
    return DINOv2(backbone, view, **settings, steps=100, rngs=nnx.Rngs(1))


def balanced(logits, temperature):
    """Sinkhorn-Knopp as in DINOv2's code, on rows [N, K], without logarithms."""
    q = np.exp(np.asarray(logits, np.float64) / temperature)
    for _ in range(3):
        q = q / q.sum(0, keepdims=True) / q.shape[1]
        q = q / q.sum(1, keepdims=True) / len(q)
    return q * len(q)


@pytest.mark.parametrize("centering", ["sinkhorn", "softmax"])
@pytest.mark.parametrize("patch_prototypes", [None, 7])
def test_loss_and_centres_are_those_of_the_official_code(centering, patch_prototypes):
    method = away(
        dinov2(
            centering=centering,
            patch_prototypes=patch_prototypes,
            patch_weight=0.5,
            koleo_weight=0.3,
            teacher_temperature=0.2,
        )
    )
    method.done[...] = jnp.int32(1)
    views = jax.jit(method.views)(BATCH, KEY)
    head = method.head if patch_prototypes is None else method.patch_head
    target_head = method.target_head if patch_prototypes is None else method.target_patch_head
    flat = lambda x: np.asarray(jnp.concatenate([x[:, 0], x[:, 1]]))  # views first, as in the official code
    images, hidden = flat(views["image"]), flat(views["hidden"])
    classes, tokens = tokens_of(method.backbone, images, hidden=hidden, mask_token=method.mask_token[...])
    target_classes, target_tokens = tokens_of(method.target_backbone, images)
    teacher, teacher_patches = method.target_head(target_classes), np.asarray(target_head(target_tokens))[hidden]
    if centering == "sinkhorn":
        q, patch_q = balanced(teacher, 0.2), balanced(teacher_patches, 0.2)
    else:
        q = np.asarray(softmax(teacher, method.center, 0.2))
        patch_q = np.asarray(softmax(jnp.asarray(teacher_patches), method.patch_center, 0.2))
    logs = [jax.nn.log_softmax(method.head(c) / 0.1) for c in (classes[:4], classes[4:])]
    logs += [jax.nn.log_softmax(learn(method, views["local"][:, i]) / 0.1) for i in range(2)]
    q = q[:4], q[4:]
    pairs = [-(q[i] * logs[j]).sum(1).mean() for i in range(2) for j in range(4) if i != j]
    patch_logs = np.asarray(jax.nn.log_softmax(head(tokens) / 0.1))[hidden]
    weight = np.broadcast_to(1 / np.maximum(hidden.sum(1, keepdims=True), 1), hidden.shape)[hidden]
    patch_loss = -((patch_q * patch_logs).sum(1) * weight).sum() / len(hidden)
    koleo = losses.koleo(classes[:4]) + losses.koleo(classes[4:])
    old = [np.asarray(c[...]) for c in (method.center, method.patch_center)]
    loss, metrics = loss_of(method, views)
    np.testing.assert_allclose(metrics["class_loss"], np.mean(pairs), rtol=1e-4)
    np.testing.assert_allclose(metrics["patch_loss"], patch_loss, rtol=1e-4)
    np.testing.assert_allclose(metrics["koleo_loss"], koleo, rtol=1e-4)
    np.testing.assert_allclose(loss, np.mean(pairs) + 0.5 * patch_loss + 0.3 * koleo, rtol=1e-4)
    means = teacher.mean(0), teacher_patches.mean(0)
    for center, before, mean in zip((method.center, method.patch_center), old, means):
        moved = before if centering == "sinkhorn" else 0.9 * before + 0.1 * mean
        np.testing.assert_allclose(center[...], moved, atol=1e-5)


def test_exactly_half_of_the_views_hide_something_as_evenly_as_in_the_official_code():
    views = jax.jit(dinov2(mask_ratio=(0.25, 0.5)).views)({"image": jnp.zeros((40, 8, 8, 1), jnp.uint8)}, KEY)
    counts = np.sort(np.asarray(views["hidden"].sum(-1)).reshape(-1))
    assert (counts[:40] == 0).all() and counts.max() <= 8 and (counts[40:] > 0).mean() > 0.9
    np.testing.assert_array_equal(np.sort(views["counted"].sum(-1).reshape(-1)), counts)


@pytest.mark.parametrize("patch_prototypes", [None, 7])
def test_every_parameter_is_trained_and_no_target_weight_is(patch_prototypes):
    method = away(dinov2(patch_prototypes=patch_prototypes))
    probe.check_gradients(method, jax.jit(method.views)(BATCH, KEY))


def test_koleo_may_be_left_out():
    method = away(dinov2(koleo_weight=0.0))
    views = jax.jit(method.views)(BATCH, KEY)
    loss, metrics = loss_of(method, views, train=False)
    assert "koleo_loss" not in metrics
    np.testing.assert_allclose(loss, metrics["class_loss"] + metrics["patch_loss"], rtol=1e-6)


def test_what_is_diagnosed_is_the_teachers():
    method = away(dinov2(centering="softmax"))
    features = method.target_backbone((BATCH["image"] / 255 - 0.3) / 0.4)
    np.testing.assert_allclose(method.embed(BATCH), features, atol=1e-4)
    np.testing.assert_allclose(method.project(BATCH), method.target_head.sphere(features), atol=1e-4)
    plain = softmax(method.target_head(features), method.center, 0.07)
    np.testing.assert_allclose(method.assign(BATCH), plain, atol=1e-4)


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(centering="none"), "centering 'none' is not one of sinkhorn, softmax"),
        (dict(koleo_weight=-0.1), "koleo_weight -0.1 is below 0"),
        (dict(mask_ratio=(0.1,)), r"mask_ratio \(0.1,\) must be two ratios"),
        (dict(teacher_temperature=0.0), "teacher_temperature 0.0 must be positive"),
        (dict(patch_prototypes=0), "patch_prototypes 0 is below 2"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        dinov2(**settings)


def test_needs_a_vit_with_a_class_token():
    with pytest.raises(ValueError, match="DINOv2 works on patches, so config.model must be a vit, not ResNet"):
        dinov2(ResNet(stage_sizes=(1,), base_width=4, channels=1, rngs=nnx.Rngs(0)))
    with pytest.raises(ValueError, match="DINOv2 needs a class token"):
        dinov2(vit(pooling="mean"))
