"""Each loss over 2 and 8 devices is the loss of the global batch, in value and in gradient.

A loss is given as a function of (weights, rows): weights are replicated parameters, rows are spread.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from ssl_jax import losses

N, D = 16, 6


def contrastive(w, rows, axis_name=None):
    return losses.nt_xent(rows["a"] @ w, rows["b"] @ w, temperature=0.2, axis_name=axis_name)


def patches(w, rows, axis_name=None):
    return losses.masked_patches((rows["a"] @ w)[:, None], rows["b"][:, None], rows["m"], axis_name=axis_name)


def tokens(w, rows, axis_name=None):
    return losses.masked_lm((rows["a"] @ w)[:, None], rows["t"][:, None], rows["m"], axis_name=axis_name)


def sentences(w, rows, axis_name=None):
    return losses.next_sentence((rows["a"] @ w)[:, :2], rows["t"] % 2, axis_name=axis_name)


LOSSES = {"contrastive": contrastive, "patches": patches, "tokens": tokens, "sentences": sentences}


def every(params, floats, rest, axis_name=None):
    """All losses in one compilation: their sum, and each. Each has arguments, and so gradients, of its own."""
    values = {name: LOSSES[name](params[name], {**floats[name], **rest}, axis_name) for name in LOSSES}
    return sum(values.values()), values


def inputs():
    """Parameters and rows with gradients, for each loss its own, and the rows that have none."""
    keys = jax.random.split(jax.random.key(0), 3)
    params = jax.random.normal(keys[0], (len(LOSSES), D, D))
    rows = jax.random.normal(keys[1], (len(LOSSES), 2, N, D))
    mask = jnp.array([0, 0, 1, 0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 1, 0, 0.0])[:, None]  # some of 8 devices hide nothing
    rest = {"m": mask, "t": jax.random.randint(keys[2], (N,), 0, D)}
    floats = {name: {"a": rows[i, 0], "b": rows[i, 1]} for i, name in enumerate(LOSSES)}
    return {name: params[i] for i, name in enumerate(LOSSES)}, floats, rest


gradient_of = functools.partial(jax.value_and_grad, argnums=(0, 1), has_aux=True)


@pytest.fixture(scope="module")
def one_device():
    return jax.jit(gradient_of(every))(*inputs())


def check(found, expected):
    (_, values), gradients = found
    (_, exact), exact_gradients = expected
    for name in LOSSES:
        np.testing.assert_allclose(values[name], exact[name], rtol=1e-5, err_msg=name)
        for ours, plain, what in zip(gradients, exact_gradients, ("parameters", "rows")):
            for g, e in zip(jax.tree.leaves(ours[name]), jax.tree.leaves(plain[name]), strict=True):
                np.testing.assert_allclose(g, e, rtol=1e-5, atol=1e-6, err_msg=f"{name}: {what}")


def mesh(devices):
    return Mesh(np.array(jax.devices()[:devices]), ("data",))


def pieces(tree, devices):
    return jax.tree.map(lambda x: x.reshape(devices, N // devices, *x.shape[1:]), tree)


SPECS = (P(), P("data"), P("data"))


@pytest.mark.parametrize("devices, checked", [(2, True), (8, True), (8, False)])
def test_gradient_outside_of_shard_map(devices, checked, one_device):
    spread = functools.partial(every, axis_name="data")
    spread = jax.shard_map(spread, mesh=mesh(devices), in_specs=SPECS, out_specs=P(), check_vma=checked)
    check(jax.jit(gradient_of(spread))(*inputs()), one_device)


@pytest.mark.parametrize("devices", [2, 8])
def test_gradient_inside_of_shard_map(devices, one_device):
    step = gradient_of(functools.partial(every, axis_name="data"))
    spread = jax.shard_map(step, mesh=mesh(devices), in_specs=SPECS, out_specs=(P(), (P(), P("data"))))
    check(jax.jit(spread)(*inputs()), one_device)


@pytest.mark.parametrize("devices", [2, 8])
def test_gradient_inside_of_pmap_is_averaged(devices, one_device):
    def step(params, floats, rest):
        values, (dparams, dfloats) = gradient_of(functools.partial(every, axis_name="data"))(params, floats, rest)
        return values, (jax.lax.pmean(dparams, "data"), jax.tree.map(lambda g: g / devices, dfloats))

    spread = jax.pmap(step, axis_name="data", in_axes=(None, 0, 0), devices=jax.devices()[:devices])
    params, floats, rest = inputs()
    values, (dparams, dfloats) = spread(params, pieces(floats, devices), pieces(rest, devices))
    for value in jax.tree.leaves(values):
        np.testing.assert_array_equal(value, value[0])
    first = lambda tree: jax.tree.map(lambda x: x[0], tree)  # noqa: E731
    check((first(values), (first(dparams), jax.tree.map(lambda g: g.reshape(N, D), dfloats))), one_device)


def test_gradient_outside_of_pmap(eight_devices, one_device):
    spread = jax.pmap(functools.partial(every, axis_name="data"), axis_name="data", in_axes=(None, 0, 0))

    def mean(params, floats, rest):
        return jax.tree.map(jnp.mean, spread(params, pieces(floats, 8), pieces(rest, 8)))

    check(gradient_of(mean)(*inputs()), one_device)


def test_global_batch_under_jit_with_a_mesh(eight_devices, one_device):
    params, floats, rest = inputs()
    floats, rest = jax.device_put((floats, rest), jax.sharding.NamedSharding(mesh(8), P("data")))
    check(jax.jit(gradient_of(every))(params, floats, rest), one_device)


def test_two_axes_at_once(eight_devices, one_device):
    axes = ("hosts", "devices")
    spread = functools.partial(every, axis_name=axes)
    grid = Mesh(np.array(eight_devices).reshape(4, 2), axes)
    spread = jax.shard_map(spread, mesh=grid, in_specs=(P(), P(axes), P(axes)), out_specs=P())
    check(jax.jit(gradient_of(spread))(*inputs()), one_device)


def test_weights_made_inside_count_on_every_device():
    spread = jax.shard_map(
        lambda logits, targets: losses.masked_lm(logits, targets, jnp.ones(targets.shape), axis_name="data"),
        mesh=mesh(8), in_specs=P("data"), out_specs=P(),
    )  # fmt: skip
    logits, targets = jax.random.normal(jax.random.key(0), (8, 2, 5)), jnp.ones((8, 2), int)
    np.testing.assert_allclose(spread(logits, targets), losses.masked_lm(logits, targets, jnp.ones((8, 2))), rtol=1e-6)
