"""ResNet's shapes, stems and statistics."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ssl_jax.models import ResNet

TINY = dict(stage_sizes=(1, 1), base_width=8, stem="small", channels=1)
IMAGES = jax.random.normal(jax.random.key(0), (16, 8, 8, 1))


@cache
def built(settings):
    return nnx.jit(lambda: ResNet(**TINY | dict(settings), rngs=nnx.Rngs(0)))()


def build(**settings):
    return nnx.clone(built(tuple(settings.items())))


run = nnx.jit(lambda model, images, train=False: model(images, train=train), static_argnums=2)


@pytest.mark.parametrize("depth, features", [(18, 512), (34, 512), (50, 2048), (101, 2048), (152, 2048), (200, 2048)])
def test_depths(depth, features):
    model = nnx.eval_shape(lambda: ResNet(depth=depth, rngs=nnx.Rngs(0)))
    assert model.features == features
    output = nnx.eval_shape(lambda model: model(jnp.ones((2, 64, 64, 3))), model)
    assert output.shape == (2, features)
    blocks = sum(len(stage) for stage in model.stages)
    assert 2 + blocks * (2 if depth < 50 else 3) == depth


def test_stems_and_width():
    model = build(stage_sizes=(1, 1, 1), width_multiplier=2)
    assert model.features == 8 * 2 * 4
    assert run(model, IMAGES).shape == (16, 64)
    assert build().stem(IMAGES).shape == (16, 8, 8, 8)
    assert build(stem="imagenet").stem(IMAGES).shape == (16, 4, 4, 8)


def test_zero_init_residual_starts_as_the_shortcut():
    model = build()
    stem = model.stem_norm(model.stem(IMAGES), relu=True)
    np.testing.assert_array_equal(model.stages[0][0](stem), stem)
    block = build(zero_init_residual=False).stages[0][0]
    assert (block.norm2.scale[...] == 1).all() and (model.stages[0][0].norm2.scale[...] == 0).all()


def test_training_changes_the_running_averages_only_then():
    model = build()
    before = jax.tree.map(jnp.copy, nnx.state(model, nnx.BatchStat))
    run(model, IMAGES)
    same = jax.tree.map(lambda a, b: bool((a == b).all()), before, nnx.state(model, nnx.BatchStat))
    assert all(jax.tree.leaves(same))
    run(model, IMAGES, True)
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), before, nnx.state(model, nnx.BatchStat))
    assert all(jax.tree.leaves(changed))


def step(graph, params, rest, images):
    def loss(params):
        model = nnx.merge(graph, params, rest, copy=True)
        return jnp.sum(jnp.sin(model(images, train=True))), nnx.state(model, nnx.BatchStat)

    return jax.value_and_grad(loss, has_aux=True)(params)


def test_eight_devices_equal_one(eight_devices):
    graph, params, rest = nnx.split(build(zero_init_residual=False), nnx.Param, ...)
    mesh = Mesh(np.array(eight_devices), ("data",))
    rows, everywhere = NamedSharding(mesh, PartitionSpec("data")), NamedSharding(mesh, PartitionSpec())
    one = jax.jit(step, static_argnums=0)(graph, params, rest, IMAGES)
    args = jax.device_put((params, rest), everywhere)
    many = jax.jit(step, static_argnums=0)(graph, *args, jax.device_put(IMAGES, rows))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(many), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * float(jnp.abs(a).max()))


def test_bfloat16():
    model = build(dtype="bfloat16")
    assert run(model, IMAGES, True).dtype == jnp.bfloat16
    assert {leaf.dtype.name for leaf in jax.tree.leaves(nnx.state(model))} == {"float32"}


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"stage_sizes": None, "depth": 20}, "depth 20 is not one of 18, 34, 50, 101, 152, 200"),
        ({"stage_sizes": ()}, r"stage_sizes \(\) must hold"),
        ({"stage_sizes": (1, 0)}, r"stage_sizes \(1, 0\) must hold"),
        ({"stem": "cifar"}, "stem 'cifar' is not one of imagenet, small"),
        ({"width_multiplier": 0}, "width_multiplier 0 is below 1"),
        ({"dtype": "float64"}, "dtype 'float64'"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        ResNet(**{**TINY, **settings}, rngs=nnx.Rngs(0))


def test_wrong_channels_are_refused():
    with pytest.raises(ValueError, match=r"this ResNet takes \[B, H, W, 1\]"):
        build()(jnp.ones((2, 8, 8, 3)))
