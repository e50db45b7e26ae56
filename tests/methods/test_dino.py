"""DINO by hand: its loss, what is trained, what follows, what centres."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax import augment
from ssl_jax.methods import DINO
from ssl_jax.models import ResNet, ViT
from tests import probe

SPEC = types.SimpleNamespace(shapes={"image": (8, 8, 1)})
VIEW = dict(jitter=0.0, grayscale=0.0, blur=0.0, second_blur=0.0, local_blur=0.0, mean=(0.3,), std=(0.4,))
SMALL = dict(prototypes=12, head_hidden=10, head_bottleneck=6)
BATCH = {"image": jax.random.randint(jax.random.key(0), (4, 8, 8, 1), 0, 256).astype(jnp.uint8)}
KEY = jax.random.key(1)


def vit(**settings):
    sizes = dict(width=16, depth=2, heads=2, mlp_dim=24, patch_size=2, image_size=8, channels=1)
    return ViT(**sizes, **settings, rngs=nnx.Rngs(0))


def dino(backbone=None, **settings):
    view = augment.VIEWS["dino"](SPEC, **VIEW, local_size=4, local_crops=2)
    backbone = vit(positions="learned") if backbone is None else backbone
    return DINO(backbone, view, **SMALL | settings, steps=100, rngs=nnx.Rngs(1))


@jax.jit
def noisy(state):
    keys = jax.random.split(jax.random.key(2), len(jax.tree.leaves(state)))
    keys = jax.tree.unflatten(jax.tree.structure(state), list(keys))
    return jax.tree.map(lambda x, k: x + 0.1 * jax.random.normal(k, x.shape), state, keys)


def shaken(method):
    """With a teacher and a centre that are not those of the start."""
    method.follow(jnp.int32(100))
    for name in ("target_backbone", "target_head"):
        target = getattr(method, name)
        nnx.update(target, noisy(nnx.state(target)))
    method.center[...] = jax.random.normal(jax.random.key(3), (12,)) / 5
    return method


def temperature(method):
    return float(method.teaching.temperatures(method.done)["teacher_temperature"])


def loss_of(method, views, *, train=True, key=KEY):
    return probe.loss(method, views, train=train, key=key)


@nnx.jit
def learn(method, images):
    return method.head(method.backbone(images))


@nnx.jit
def teach(method, images):
    return method.target_head(method.target_backbone(images))


@pytest.fixture(scope="module")
def views():
    return jax.jit(dino().views)(BATCH, KEY)


def test_views_are_of_two_sizes(views):
    assert views["image"].shape == (4, 2, 8, 8, 1) and views["local"].shape == (4, 2, 4, 4, 1)


def test_loss_is_algorithm_1(views):
    """The mean over the pairs of a teacher's and another student's view, each view encoded by itself."""
    method = shaken(dino(warmup_teacher_steps=400, teacher_temperature=0.08))
    crops = [*jnp.moveaxis(views["image"], 1, 0), *jnp.moveaxis(views["local"], 1, 0)]
    temperature = 0.04 + 0.04 * 101 / 400
    teacher = [teach(method, x) for x in crops[:2]]
    targets = [jax.nn.softmax((t - method.center[...][None]) / temperature) for t in teacher]
    logs = [jax.nn.log_softmax(learn(method, x) / 0.1) for x in crops]
    pairs = [-(q * p).sum(1).mean() for i, q in enumerate(targets) for j, p in enumerate(logs) if i != j]
    center, plain = method.center[...], float(np.mean(pairs))
    np.testing.assert_allclose(loss_of(method, views, train=False), plain, rtol=1e-5)
    np.testing.assert_array_equal(method.center[...], center)
    np.testing.assert_allclose(loss_of(method, views), plain, rtol=1e-5)
    mean = (teacher[0] + teacher[1]).mean(0) / 2
    np.testing.assert_allclose(method.center[...], 0.9 * center + 0.1 * mean, atol=1e-5)


def test_every_parameter_is_trained_and_no_target_weight_is(views):
    probe.check_gradients(shaken(dino(learn_gains=True)), views)


def test_teacher_follows_and_the_temperature_warms_up():
    method = dino(momentum=0.9, warmup_teacher_temperature=0.05, teacher_temperature=0.09, warmup_teacher_steps=4)
    kernel = method.head.last_layer.kernel
    before = np.asarray(kernel[...])
    kernel[...] = before + 1
    assert temperature(method) == pytest.approx(0.05)
    method.follow(jnp.int32(0))
    np.testing.assert_allclose(method.target_head.last_layer.kernel[...], before + 0.1, atol=1e-6)
    method.follow(jnp.int32(50))  # half of the steps: momentum 0.95
    np.testing.assert_allclose(method.target_head.last_layer.kernel[...], before + 0.1 * 0.95 + 0.05, atol=1e-6)
    method.done[...] = jnp.int32(1)
    assert temperature(method) == pytest.approx(0.06)
    method.done[...] = jnp.int32(9)
    assert temperature(method) == pytest.approx(0.09)


@pytest.mark.parametrize("centering", ["none", "sinkhorn"])
def test_centering_may_be_left_out_or_be_sinkhorn(centering, views):
    method = shaken(dino(centering=centering))
    method.center[...] = jnp.zeros(12)
    found = loss_of(method, views)
    assert not method.center[...].any()
    plain = dino()
    nnx.update(plain, nnx.state(method))
    centred = loss_of(plain, views)
    assert plain.center[...].any()
    assert (found == pytest.approx(float(centred), rel=1e-5)) == (centering == "none"), "a centre of zeros is none"


def test_center_momentum(views):
    method = shaken(dino(center_momentum=0.0))
    loss_of(method, views)
    logits = [teach(method, views["image"][:, i]) for i in range(2)]
    np.testing.assert_allclose(method.center[...], (logits[0] + logits[1]).mean(0) / 2, atol=1e-5)


def test_the_teacher_does_not_drop(views):
    method = dino(vit(drop_path=0.5))
    in_training = nnx.jit(lambda method, images: method._teacher(images, True))
    np.testing.assert_allclose(
        in_training(method, views["image"][:, 0]), teach(method, views["image"][:, 0]), atol=1e-5
    )
    losses = [float(loss_of(method, views, key=jax.random.key(seed))) for seed in (0, 1)]
    assert losses[0] != losses[1], "the student does"


def test_resnets_and_batch_norm_in_the_head(views):
    resnet = ResNet(stage_sizes=(1,), base_width=4, stem="small", channels=1, rngs=nnx.Rngs(0))
    method = dino(resnet, head_batch_norm=True)
    views = {**views, "local": views["local"][:, :, :3, :3]}
    before = [np.asarray(method.head.norms[0].mean[...]), np.asarray(method.target_head.norms[0].mean[...])]
    assert np.isfinite(loss_of(method, views))
    after = [method.head.norms[0].mean[...], method.target_head.norms[0].mean[...]]
    assert all(np.abs(a - b).max() > 0 for a, b in zip(after, before))
    features = [augment.each_view(lambda x: method.backbone(x, train=True), views[name]) for name in ("image", "local")]
    batch = method.head.linears[0](jnp.concatenate(features, axis=1)).reshape(-1, 10)
    np.testing.assert_allclose(after[0], 0.1 * batch.mean(0), atol=1e-4, err_msg="all crops are one pass of the head")


def test_what_is_diagnosed_is_the_teachers():
    method = shaken(dino())
    images = (BATCH["image"] / 255 - 0.3) / 0.4
    features = method.target_backbone(images)
    np.testing.assert_allclose(method.embed(BATCH), features, atol=1e-4)
    points = method.project(BATCH)
    np.testing.assert_allclose(points, method.target_head.sphere(features), atol=1e-4)
    found = method.assign(BATCH)
    plain = jax.nn.softmax((method.target_head(features) - method.center[...][None]) / 0.04)
    np.testing.assert_allclose(found, plain, atol=1e-4)


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(student_temperature=0.0), "student_temperature 0.0 must be positive"),
        (dict(teacher_temperature=-1.0), "teacher_temperature -1.0 must be positive"),
        (dict(warmup_teacher_temperature=0.0), "warmup_teacher_temperature 0.0 must be positive"),
        (dict(warmup_teacher_steps=-1), "warmup_teacher_steps -1 is below 0"),
        (dict(centering="mean"), "centering 'mean' is not one of softmax, sinkhorn, none"),
        (dict(momentum=1.0), "momentum 1.0"),
        (dict(center_momentum=-0.1), "center_momentum -0.1"),
        (dict(prototypes=0), "prototypes 0 is below 2"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        dino(**settings)
