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


LOSSES = [contrastive, patches, tokens, sentences]


def inputs():
    keys = jax.random.split(jax.random.key(0), 5)
    mask = jax.random.bernoulli(keys[2], 0.4, (N, 1)).at[0].set(True)
    rows = {
        "a": jax.random.normal(keys[0], (N, D)),
        "b": jax.random.normal(keys[1], (N, D)),
        "m": mask.astype(jnp.float32).at[:2].set(0),  # one of eight devices has nothing hidden
        "t": jax.random.randint(keys[3], (N,), 0, D),
    }
    return jax.random.normal(keys[4], (D, D)), rows


def split_off(rows):
    """The rows that have gradients, and the rest."""
    return {k: rows[k] for k in "ab"}, {k: rows[k] for k in "mt"}


def expected(loss):
    w, rows = inputs()
    floats, rest = split_off(rows)
    return jax.value_and_grad(lambda w, f: loss(w, {**f, **rest}), (0, 1))(w, floats)


def check(value, gradients, loss):
    exact, exact_gradients = expected(loss)
    np.testing.assert_allclose(value, exact, rtol=1e-5)
    for ours, one_device in zip(jax.tree.leaves(gradients), jax.tree.leaves(exact_gradients), strict=True):
        np.testing.assert_allclose(ours, one_device, rtol=1e-5, atol=1e-6)


def mesh(devices):
    return Mesh(np.array(jax.devices()[:devices]), ("data",))


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("devices", [2, 8])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_outside_of_shard_map(loss, devices, checked):
    w, rows = inputs()
    floats, rest = split_off(rows)
    spread = jax.shard_map(
        functools.partial(loss, axis_name="data"),
        mesh=mesh(devices), in_specs=(P(), P("data")), out_specs=P(), check_vma=checked,
    )  # fmt: skip
    value, gradients = jax.jit(jax.value_and_grad(lambda w, f: spread(w, {**f, **rest}), (0, 1)))(w, floats)
    check(value, gradients, loss)


@pytest.mark.parametrize("devices", [2, 8])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_inside_of_shard_map(loss, devices):
    w, rows = inputs()
    floats, rest = split_off(rows)

    def step(w, floats, rest):
        return jax.value_and_grad(lambda w, f: loss(w, {**f, **rest}, "data"), (0, 1))(w, floats)

    specs = (P(), P("data"), P("data"))
    spread = jax.shard_map(step, mesh=mesh(devices), in_specs=specs, out_specs=(P(), (P(), P("data"))))
    check(*jax.jit(spread)(w, floats, rest), loss)


@pytest.mark.parametrize("devices", [2, 8])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_inside_of_pmap_is_averaged(loss, devices):
    w, rows = inputs()
    floats, rest = split_off(jax.tree.map(lambda x: x.reshape(devices, N // devices, *x.shape[1:]), rows))

    def step(w, floats, rest):
        value, (dw, dfloats) = jax.value_and_grad(lambda w, f: loss(w, {**f, **rest}, "data"), (0, 1))(w, floats)
        return value, jax.lax.pmean(dw, "data"), jax.tree.map(lambda g: g / devices, dfloats)

    spread = jax.pmap(step, axis_name="data", in_axes=(None, 0, 0), devices=jax.devices()[:devices])
    values, dw, dfloats = spread(w, floats, rest)
    np.testing.assert_allclose(values, values[0])
    check(values[0], (dw[0], jax.tree.map(lambda g: g.reshape(N, *g.shape[2:]), dfloats)), loss)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_outside_of_pmap(loss, eight_devices):
    w, rows = inputs()
    floats, rest = split_off(rows)
    spread = jax.pmap(functools.partial(loss, axis_name="data"), axis_name="data", in_axes=(None, 0))

    def total(w, floats):
        pieces = jax.tree.map(lambda x: x.reshape(8, N // 8, *x.shape[1:]), {**floats, **rest})
        return spread(w, pieces).mean()

    check(*jax.value_and_grad(total, (0, 1))(w, floats), loss)


@pytest.mark.parametrize("loss", LOSSES)
def test_global_batch_under_jit_with_a_mesh(loss, eight_devices):
    w, rows = inputs()
    sharding = jax.sharding.NamedSharding(mesh(8), P("data"))
    floats, rest = split_off(jax.device_put(rows, sharding))
    check(*jax.jit(jax.value_and_grad(lambda w, f: loss(w, {**f, **rest}), (0, 1)))(w, floats), loss)


def test_weights_made_inside_count_on_every_device():
    spread = jax.shard_map(
        lambda logits, targets: losses.masked_lm(logits, targets, jnp.ones(targets.shape), axis_name="data"),
        mesh=mesh(8), in_specs=P("data"), out_specs=P(),
    )  # fmt: skip
    logits, targets = jax.random.normal(jax.random.key(0), (8, 2, 5)), jnp.ones((8, 2), int)
    np.testing.assert_allclose(spread(logits, targets), losses.masked_lm(logits, targets, jnp.ones((8, 2))), rtol=1e-6)
