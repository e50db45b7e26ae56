"""BatchNorm against Flax's, value and gradient, on one device and on eight."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ssl_jax.models.normalization import BatchNorm, batch_normalize, normalize_apart

SHAPE = (16, 3, 2, 5)


def arrays(dtype=jnp.float32):
    keys = jax.random.split(jax.random.key(0), 4)
    x = 3.0 + 2.0 * jax.random.normal(keys[0], SHAPE)
    scale = 1.0 + 0.5 * jax.random.normal(keys[1], SHAPE[-1:])
    bias = jax.random.normal(keys[2], SHAPE[-1:])
    weight = jax.random.normal(keys[3], SHAPE)
    return x.astype(dtype), scale, bias, weight


def plain(x, scale, bias, relu):
    """Batch normalisation as the paper writes it, differentiated by JAX."""
    x = x.astype(jnp.float32)
    mean = x.mean((0, 1, 2), keepdims=True)
    var = ((x - mean) ** 2).mean((0, 1, 2), keepdims=True)
    y = (x - mean) / jnp.sqrt(var + 1e-5) * scale[None, None, None] + bias[None, None, None]
    return jnp.maximum(y, 0) if relu else y


def ours(x, scale, bias, relu, axis_name=None, views=1):
    return batch_normalize(x, scale, bias, views=views, relu=relu, axis_name=axis_name)[0]


def loss(function, x, scale, bias, weight, **options):
    return jnp.sum(jnp.sin(function(x, scale, bias, **options)) * weight)


def close(ours, theirs, tolerance=1e-5):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * float(np.abs(b).max()))


@pytest.mark.parametrize("relu", [False, True])
def test_value_and_gradient_are_those_of_autodiff(relu):
    x, scale, bias, weight = arrays()
    close(ours(x, scale, bias, relu), plain(x, scale, bias, relu))
    gradients = [
        jax.grad(partial(loss, function, relu=relu), (0, 1, 2))(x, scale, bias, weight) for function in (ours, plain)
    ]
    close(*gradients)


def test_layer_matches_flax_in_both_modes():
    x, scale, bias, _ = arrays()
    layers = BatchNorm(5), nnx.BatchNorm(5, momentum=0.9, epsilon=1e-5, use_fast_variance=False, rngs=nnx.Rngs(0))
    for layer in layers:
        layer.scale[...], layer.bias[...] = scale, bias
    for _ in range(3):
        close(layers[0](x, train=True), layers[1](x, use_running_average=False))
    close(layers[0].mean[...], layers[1].mean[...])
    close(layers[0].var[...], layers[1].var[...])
    close(layers[0](2 * x), layers[1](2 * x, use_running_average=True))
    assert (layers[0](x, relu=True) == jax.nn.relu(layers[0](x))).all()


def by_passes(x, scale, bias, relu, views):
    """Each view alone: rows 0, `views`, 2 `views`... are the first's."""
    passes = [plain(x[view::views], scale, bias, relu) for view in range(views)]
    return jnp.stack(passes, axis=1).reshape(x.shape)


@pytest.mark.parametrize("views", [2, 4])
@pytest.mark.parametrize("relu", [False, True])
def test_views_are_normalised_apart(relu, views):
    x, scale, bias, weight = arrays()
    x = x * (1 + jnp.arange(len(x)) % views)[:, None, None, None]
    apart, passes = partial(ours, views=views), partial(by_passes, views=views)
    close(apart(x, scale, bias, relu), passes(x, scale, bias, relu))
    assert jnp.abs(apart(x, scale, bias, relu) - ours(x, scale, bias, relu)).max() > 0.5
    close(*(jax.grad(partial(loss, f, relu=relu), (0, 1, 2))(x, scale, bias, weight) for f in (apart, passes)))


def test_running_averages_move_as_in_a_pass_for_each_view():
    one, passes, x = BatchNorm(5), BatchNorm(5), arrays()[0]
    x = x * (1 + jnp.arange(len(x)) % 2)[:, None, None, None]
    normalize_apart(one, views=2)
    one(x, train=True)
    for view in (0, 1):
        passes(x[view::2], train=True)
    close((one.mean[...], one.var[...]), (passes.mean[...], passes.var[...]), 1e-6)


def test_views_that_cannot_be_taken_apart():
    layer = BatchNorm(5)
    normalize_apart(layer, views=3)
    with pytest.raises(ValueError, match="16 rows are not 3 views of each example"):
        layer(arrays()[0], train=True)
    with pytest.raises(TypeError, match="nnx.BatchNorm cannot do in one pass.*ssl_jax.models.BatchNorm"):
        normalize_apart(nnx.BatchNorm(5, rngs=nnx.Rngs(0)), views=2)


def test_variance_survives_a_large_mean():
    x = 1e4 + jnp.asarray([[-1.0], [1.0]])
    y, mean, var = batch_normalize(x, jnp.ones(1), jnp.zeros(1))
    np.testing.assert_allclose(var, [[1.0]])
    np.testing.assert_allclose(y[:, 0], [-1.0, 1.0], rtol=1e-4)


def test_constant_input_has_finite_gradient():
    gradients = jax.grad(lambda x: jnp.sum(ours(x, jnp.ones(2), jnp.zeros(2), True) ** 2))(jnp.ones((4, 2)))
    assert jnp.isfinite(gradients).all()


def test_bfloat16_input_computes_in_float32():
    x, scale, bias, weight = arrays(jnp.bfloat16)
    y, mean, var = batch_normalize(x, scale, bias)
    assert y.dtype == jnp.bfloat16 and mean.dtype == var.dtype == jnp.float32
    close(y.astype(jnp.float32), plain(x, scale, bias, False), 1e-2)
    loss = lambda x: jnp.sum(ours(x, scale, bias, True).astype(jnp.float32) * weight)
    gradient, exact = jax.grad(loss)(x), jax.grad(loss)(x.astype(jnp.float32))
    assert gradient.dtype == jnp.bfloat16
    close(gradient.astype(jnp.float32), exact, 2e-2)


def test_running_averages_carry_no_gradient():
    x, scale, bias, _ = arrays()
    gradient = jax.grad(lambda x: sum(jnp.sum(part) for part in batch_normalize(x, scale, bias)[1:]))(x)
    assert (gradient == 0).all()


def test_without_bias():
    layer = BatchNorm(5, use_bias=False)
    assert layer.bias is None
    np.testing.assert_allclose(layer(arrays()[0], train=True).mean((0, 1, 2)), jnp.zeros(5), atol=1e-5)
    assert len(jax.tree.leaves(nnx.state(layer, nnx.Param))) == 1


def test_without_scale_and_bias():
    layer, x = BatchNorm(5, use_scale=False, use_bias=False), arrays()[0]
    assert layer.scale is None and not jax.tree.leaves(nnx.state(layer, nnx.Param))
    close(layer(x, train=True), plain(x, jnp.ones(5), jnp.zeros(5), False))
    close(layer(x), (x - layer.mean[...][None, None, None]) / jnp.sqrt(layer.var[...] + 1e-5)[None, None, None])


@pytest.fixture
def mesh(eight_devices):
    return Mesh(np.array(eight_devices), ("data",))


def reference(views=1):
    return jax.value_and_grad(partial(loss, by_passes, relu=True, views=views), (0, 1, 2))(*arrays())


@pytest.mark.parametrize("views", [1, 2])
def test_under_jit_the_batch_is_the_global_one(views, mesh):
    x, scale, bias, weight = arrays()
    rows, everywhere = NamedSharding(mesh, PartitionSpec("data")), NamedSharding(mesh, PartitionSpec())
    step = jax.jit(
        jax.value_and_grad(partial(loss, ours, relu=True, views=views), (0, 1, 2)),
        in_shardings=(rows, everywhere, everywhere, rows),
    )
    moves = re.compile("all-gather|all-to-all|collective-permute")
    assert not moves.search(step.lower(x, scale, bias, weight).compile().as_text()), "rows stay on their device"
    found = step(x, scale, bias, weight)
    close(found, reference(views))
    assert len(found[1][0].sharding.device_set) == 8


@pytest.mark.parametrize("check_vma, views", [(True, 1), (False, 1), (True, 2)])
def test_gradient_outside_shard_map(mesh, check_vma, views):
    def total(x, scale, bias, weight):
        return jax.lax.psum(loss(ours, x, scale, bias, weight, relu=True, axis_name="data", views=views), "data")

    rows = PartitionSpec("data")
    specs = (rows, PartitionSpec(), PartitionSpec(), rows)
    mapped = jax.shard_map(total, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(), check_vma=check_vma)
    close(jax.jit(jax.value_and_grad(mapped, (0, 1, 2)))(*arrays()), reference(views))


def mapped_gradient(views):
    return jax.value_and_grad(partial(loss, ours, relu=True, axis_name="data", views=views), (0, 1, 2))


@pytest.mark.parametrize("views", [1, 2])
def test_gradient_inside_shard_map(views, mesh):
    def step(x, scale, bias, weight):
        value, gradients = mapped_gradient(views)(x, scale, bias, weight)
        return jax.lax.psum(value, "data"), gradients

    rows = PartitionSpec("data")
    specs = (rows, PartitionSpec(), PartitionSpec(), rows)
    out_specs = (PartitionSpec(), (rows, PartitionSpec(), PartitionSpec()))
    close(jax.jit(jax.shard_map(step, mesh=mesh, in_specs=specs, out_specs=out_specs))(*arrays()), reference(views))


@pytest.mark.parametrize("views", [1, 2])
def test_gradient_inside_pmap(views, eight_devices):
    def step(x, scale, bias, weight):
        value, gradients = mapped_gradient(views)(x, scale, bias, weight)
        return jax.lax.psum(value, "data"), gradients[0], jax.lax.psum(gradients[1:], "data")

    x, scale, bias, weight = arrays()
    x, weight = x.reshape(8, 2, *SHAPE[1:]), weight.reshape(8, 2, *SHAPE[1:])
    value, grad_x, (grad_scale, grad_bias) = jax.pmap(step, "data", in_axes=(0, None, None, 0))(x, scale, bias, weight)
    close((value[0], (grad_x.reshape(SHAPE), grad_scale[0], grad_bias[0])), reference(views))


@pytest.mark.parametrize("settings, message", [({"features": 0}, "features 0"), ({"momentum": 1.0}, "momentum 1.0")])
def test_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        BatchNorm(**{"features": 4, **settings})
