"""iBOT by hand, with logits of all patches where the method computes those of hidden ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax import augment
from ssl_jax.methods import IBOT
from ssl_jax.models import ResNet
from tests import probe
from tests.methods.test_dino import BATCH, KEY, SMALL, SPEC, VIEW, learn, vit


def ibot(backbone=None, **settings):
    view = augment.VIEWS["dino"](SPEC, **VIEW, local_size=4, local_crops=1)
    backbone = vit(positions="learned") if backbone is None else backbone
    return IBOT(backbone, view, **SMALL | settings, steps=100, rngs=nnx.Rngs(1))


def away(method):
    """Centres and a mask token that are not zero, and a student that left its teacher."""
    nnx.update(method, jax.tree.map(lambda x: 1.2 * x + 0.02, nnx.state(method, nnx.Param)))
    for name, seed in (("center", 3), ("patch_center", 4)):
        center = getattr(method, name)
        center[...] = jax.random.normal(jax.random.key(seed), center[...].shape) / 5
    return method


@nnx.jit(static_argnames="train")
def loss_of(method, views, train=True):
    return method.loss(views, KEY, train=train)


@nnx.jit
def tokens_of(backbone, images, **masked):
    return backbone.tokens(images, **masked)


def softmax(logits, center, temperature):
    return jax.nn.softmax((logits - center[...].reshape(*(1,) * (logits.ndim - 1), -1)) / temperature)


@pytest.mark.parametrize("patch_prototypes", [None, 7])
def test_loss_and_centres_are_those_of_the_official_code(patch_prototypes):
    method = away(ibot(patch_prototypes=patch_prototypes, patch_weight=0.5, patch_temperature=0.06, mask_share=0.7))
    views = jax.jit(method.views)(BATCH, KEY)
    layer = method.head.last_layer if patch_prototypes is None else method.patch_layer
    target_layer = method.target_head.last_layer if patch_prototypes is None else method.target_patch_layer
    token = method.mask_token[...]
    student, patches, teacher, teacher_patches = [], [], [], []
    for i in range(2):
        image, hidden = views["image"][:, i], views["hidden"][:, i]
        classes, tokens = tokens_of(method.backbone, image, hidden=hidden, mask_token=token)
        student.append(method.head(classes))
        patches.append(layer(method.head.sphere(tokens)))
        classes, tokens = tokens_of(method.target_backbone, image)
        teacher.append(method.target_head(classes))
        teacher_patches.append(target_layer(method.target_head.sphere(tokens)))
    student.append(learn(method, views["local"][:, 0]))
    logs = [jax.nn.log_softmax(s / 0.1) for s in student]
    pairs = [
        -(softmax(teacher[i], method.center, 0.04) * logs[j]).sum(1).mean()
        for i in range(2)
        for j in range(3)
        if i != j
    ]
    terms = []
    for i in range(2):
        costs = -(softmax(teacher_patches[i], method.patch_center, 0.06) * jax.nn.log_softmax(patches[i] / 0.1)).sum(-1)
        hidden = views["hidden"][:, i]
        terms.append(((costs * hidden).sum(1) / jnp.maximum(hidden.sum(1), 1)).mean())
    old = [np.asarray(c[...]) for c in (method.center, method.patch_center)]
    loss, metrics = loss_of(method, views)
    np.testing.assert_allclose(metrics["class_loss"], np.mean(pairs), rtol=1e-5)
    np.testing.assert_allclose(metrics["patch_loss"], np.mean(terms), rtol=1e-5)
    np.testing.assert_allclose(loss, np.mean(pairs) + 0.5 * np.mean(terms), rtol=1e-5)
    means = jnp.stack(teacher).mean((0, 1)), jnp.stack(teacher_patches).mean((0, 1, 2))
    for center, before, mean in zip((method.center, method.patch_center), old, means):
        np.testing.assert_allclose(center[...], 0.9 * before + 0.1 * mean, atol=1e-5)
    loss_of(method, views, train=False)
    np.testing.assert_allclose(method.center[...], 0.9 * old[0] + 0.1 * means[0], atol=1e-5)


def test_masks_hide_a_share_of_the_views_within_the_range():
    method = ibot(mask_share=0.5, mask_ratio=(0.25, 0.5))
    batch = {"image": jnp.zeros((200, 8, 8, 1), jnp.uint8)}
    views = jax.jit(method.views)(batch, KEY)
    hidden = np.asarray(views["hidden"].reshape(400, 16))
    counts = hidden.sum(1)
    assert abs((counts > 0).mean() - 0.5) < 0.1 and counts.max() <= 8
    np.testing.assert_array_equal(views["counted"].reshape(400, -1).sum(1), counts)
    assert views["places"].shape == (200, 2, 8)
    np.testing.assert_array_equal(
        np.take_along_axis(hidden, views["places"].reshape(400, 8), 1), views["counted"].reshape(400, 8)
    )
    assert (np.asarray(views["hidden"][:, 0]) != np.asarray(views["hidden"][:, 1])).any(1).mean() > 0.5


@pytest.mark.parametrize("patch_prototypes", [None, 7])
def test_every_parameter_is_trained_and_no_target_weight_is(patch_prototypes):
    method = away(ibot(patch_prototypes=patch_prototypes, learn_gains=True, mask_share=1.0))
    probe.check_gradients(method, jax.jit(method.views)(BATCH, KEY))


def test_what_is_diagnosed_is_the_teachers():
    method = away(ibot())
    features = method.target_backbone((BATCH["image"] / 255 - 0.3) / 0.4)
    np.testing.assert_allclose(method.embed(BATCH), features, atol=1e-4)
    np.testing.assert_allclose(method.project(BATCH), method.target_head.sphere(features), atol=1e-4)
    plain = softmax(method.target_head(features), method.center, 0.04)
    np.testing.assert_allclose(method.assign(BATCH), plain, atol=1e-4)


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(mask_ratio=(0.5, 0.1)), r"mask_ratio \(0.5, 0.1\) must be two ratios"),
        (dict(mask_ratio=(0.0, 0.05)), r"mask_ratio \(0.0, 0.05\) must be two ratios below 1"),
        (dict(mask_ratio=(0.1, 1.0)), r"mask_ratio \(0.1, 1.0\)"),
        (dict(mask_share=0.0), "mask_share 0.0 is not in 0 < mask_share <= 1"),
        (dict(patch_temperature=0.0), "patch_temperature 0.0 must be positive"),
        (dict(patch_weight=-1.0), "patch_weight -1.0 must be positive"),
        (dict(patch_prototypes=0), "patch_prototypes 0 is below 2"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        ibot(**settings)


def test_needs_a_vit_with_a_class_token():
    with pytest.raises(ValueError, match="iBOT works on patches, so config.model must be a vit, not ResNet"):
        ibot(ResNet(stage_sizes=(1,), base_width=4, channels=1, rngs=nnx.Rngs(0)))
    with pytest.raises(ValueError, match="iBOT needs a class token: set config.model.pooling to 'cls'"):
        ibot(vit(pooling="mean"))
