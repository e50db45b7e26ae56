"""Each loss over 8 devices, and over 4 times 2, is the loss of the global batch, in value and in gradient.

The rows of a case are multiplied by replicated weights first, so that there are gradients of parameters and of rows.
All losses of a group are compiled together: their sum, and each. Each has arguments, and so gradients, of its own.
Quick are the gradients inside of `shard_map`, and outside over both axes.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import GROUPS, N
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from ssl_jax import losses


def weights_of(case):
    keys = jax.random.split(jax.random.key(9), len(case.rows))
    width = {name: rows.shape[-1] if rows.ndim > 1 else 1 for name, rows in case.rows.items()}
    return {name: jax.random.normal(k, (d, d)) / d**0.5 for k, (name, d) in zip(keys, width.items())}


def weighted(rows, weights):
    """The last axis of the rows multiplied by the weights."""
    return {name: x @ weights[name] if x.ndim > 1 else x * weights[name][0, 0] for name, x in rows.items()}


def inputs(group):
    cases = GROUPS[group]
    params = {name: {"weights": weights_of(case), "shared": dict(case.shared)} for name, case in cases.items()}
    rows, rest = ({name: dict(getattr(case, what)) for name, case in cases.items()} for what in ("rows", "rest"))
    return params, rows, rest


def every(group, params, rows, rest, axis_name=None):
    values = {
        name: case.loss(
            weighted(rows[name], params[name]["weights"]), params[name]["shared"], rest[name], axis_name
        )
        for name, case in GROUPS[group].items()
    }  # fmt: skip
    return sum(values.values()), values


def gradient_of(function):
    return jax.value_and_grad(function, argnums=(0, 1), has_aux=True)


def over_axis(group, axis_name="data"):
    return functools.partial(every, group, axis_name=axis_name)


@pytest.fixture(scope="module")
def one_device():
    """Value and gradient of a group on one device."""
    return functools.cache(lambda group: jax.jit(gradient_of(functools.partial(every, group)))(*inputs(group)))


def close(ours, exact, what):
    """To 1e-5 of the largest entry: single entries may be differences of large numbers."""
    assert np.all(np.isfinite(ours)), what
    np.testing.assert_allclose(ours, exact, rtol=1e-5, atol=1e-5 * max(np.abs(exact).max(), 1e-3), err_msg=what)


def check(found, expected):
    (_, values), gradients = found
    (_, exact), exact_gradients = expected
    for name in exact:
        np.testing.assert_allclose(values[name], exact[name], rtol=1e-5, atol=1e-6, err_msg=name)
        for ours, plain in zip(gradients, exact_gradients, strict=True):
            for (path, g), e in zip(jax.tree.leaves_with_path(ours[name]), jax.tree.leaves(plain[name]), strict=True):
                close(g, e, f"{name}: gradient of {jax.tree_util.keystr(path)}")


def mesh():
    return Mesh(np.array(jax.devices()), ("data",))


def pieces(tree):
    return jax.tree.map(lambda x: x.reshape(8, N // 8, *x.shape[1:]), tree)


SPECS = (P(), P("data"), P("data"))
groups = pytest.mark.parametrize("group", GROUPS)


slow = pytest.mark.slow


@groups
def test_gradient_inside_of_shard_map(group, one_device):
    step = gradient_of(over_axis(group))
    spread = jax.shard_map(step, mesh=mesh(), in_specs=SPECS, out_specs=(P(), (P(), P("data"))))
    check(jax.jit(spread)(*inputs(group)), one_device(group))


@slow
@groups
def test_gradient_inside_of_pmap_is_averaged(group, eight_devices, one_device):
    def step(params, rows, rest):
        values, (dparams, drows) = gradient_of(over_axis(group))(params, rows, rest)
        return values, (jax.lax.pmean(dparams, "data"), jax.tree.map(lambda g: g / 8, drows))

    spread = jax.pmap(step, axis_name="data", in_axes=(None, 0, 0))
    params, rows, rest = inputs(group)
    values, (dparams, drows) = spread(params, pieces(rows), pieces(rest))
    for value in jax.tree.leaves(values):
        np.testing.assert_array_equal(value, value[0])
    first = lambda tree: jax.tree.map(lambda x: x[0], tree)
    check(
        (first(values), (first(dparams), jax.tree.map(lambda g: g.reshape(N, *g.shape[2:]), drows))), one_device(group)
    )


@slow
@groups
def test_gradient_outside_of_pmap(group, eight_devices, one_device):
    spread = jax.pmap(over_axis(group), axis_name="data", in_axes=(None, 0, 0))

    def mean(params, rows, rest):
        return jax.tree.map(jnp.mean, spread(params, pieces(rows), pieces(rest)))

    check(gradient_of(mean)(*inputs(group)), one_device(group))


@slow
@groups
def test_global_batch_under_jit_with_a_mesh(group, eight_devices, one_device):
    params, rows, rest = inputs(group)
    rows, rest = jax.device_put((rows, rest), jax.sharding.NamedSharding(mesh(), P("data")))
    check(jax.jit(gradient_of(functools.partial(every, group)))(params, rows, rest), one_device(group))


@groups
def test_two_axes_at_once(group, eight_devices, one_device):
    axes = ("hosts", "devices")
    grid = Mesh(np.array(eight_devices).reshape(4, 2), axes)
    specs = (P(), P(axes), P(axes))
    spread = jax.shard_map(over_axis(group, axes), mesh=grid, in_specs=specs, out_specs=P())
    check(jax.jit(gradient_of(spread))(*inputs(group)), one_device(group))


def test_weights_made_inside_count_on_every_device():
    spread = jax.shard_map(
        lambda logits, targets: losses.masked_lm(logits, targets, jnp.ones(targets.shape), axis_name="data"),
        mesh=mesh(), in_specs=P("data"), out_specs=P(),
    )  # fmt: skip
    logits, targets = jax.random.normal(jax.random.key(0), (8, 2, 5)), jnp.ones((8, 2), int)
    np.testing.assert_allclose(spread(logits, targets), losses.masked_lm(logits, targets, jnp.ones((8, 2))), rtol=1e-6)
