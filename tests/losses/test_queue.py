"""The queue of earlier features: order, sizes, devices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from ssl_jax import losses

update = jax.jit(losses.update_queue)

over_data = functools.partial(losses.update_queue, axis_name="data")


def numbered(first, count):
    return jnp.arange(first, first + count, dtype=jnp.float32)[:, None] * jnp.ones((1, 2))


def test_the_oldest_leave_and_the_newest_come_last():
    np.testing.assert_array_equal(update(numbered(0, 5), numbered(10, 2))[:, 0], [2, 3, 4, 10, 11])


def test_batches_that_do_not_divide_the_queue():
    queue = jnp.zeros((7, 2))
    for step in range(6):
        queue = update(queue, numbered(1 + 3 * step, 3))
    np.testing.assert_array_equal(queue[:, 0], np.arange(12, 19))  # the last 7 of 18


def test_a_batch_as_large_as_the_queue_replaces_it():
    np.testing.assert_array_equal(update(numbered(0, 3), numbered(7, 3)), numbered(7, 3))


def test_rows_of_any_shape_and_dtype():
    queue = update(jnp.zeros((4, 3, 2), jnp.bfloat16), jnp.ones((1, 3, 2), jnp.float32))
    assert queue.dtype == jnp.bfloat16 and queue.shape == (4, 3, 2)
    labels = update(jnp.arange(4), jnp.array([9, 8]))
    np.testing.assert_array_equal(labels, [2, 3, 9, 8])


def test_no_gradient_flows_into_the_queue():
    gradient = jax.jit(jax.grad(lambda rows: jnp.sum(losses.update_queue(numbered(0, 4), rows))))(numbered(0, 2))
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("devices", [2, 8])
@pytest.mark.parametrize("checked", [True, False])
def test_over_devices_rows_enter_in_the_order_of_the_global_batch(devices, checked):
    mesh = Mesh(np.array(jax.devices()[:devices]), ("data",))
    # Both the carry of the scan and out_specs=P() ask for a queue that is known to be the same everywhere.
    steps = lambda queue, batches: jax.lax.scan(lambda q, rows: (over_data(q, rows), None), queue, batches)[0]
    spread = jax.shard_map(steps, mesh=mesh, in_specs=(P(), P(None, "data")), out_specs=P(), check_vma=checked)
    batches = jnp.stack([numbered(8 * i, 8) for i in range(3)])
    np.testing.assert_array_equal(jax.jit(spread)(numbered(-20, 20), batches), numbered(4, 20))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32"])
def test_under_pmap_every_device_has_the_same_queue(dtype, eight_devices):
    mapped = jax.pmap(
        lambda q, rows: losses.update_queue(q, rows, axis_name="data"), axis_name="data", in_axes=(None, 0)
    )
    rows = numbered(0, 8).astype(dtype)
    queues = mapped(numbered(-9, 9).astype(dtype), rows.reshape(8, 1, 2))
    expected = losses.update_queue(numbered(-9, 9).astype(dtype), rows)
    for queue in queues:
        np.testing.assert_array_equal(queue, expected)


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="batch of 3 rows does not fit into a queue of 2"):
        losses.update_queue(jnp.zeros((2, 4)), jnp.zeros((3, 4)))
    with pytest.raises(ValueError, match="rows of the batch are"):
        losses.update_queue(jnp.zeros((8, 4)), jnp.zeros((3, 5)))
    mesh = Mesh(np.array(jax.devices()[:2]), ("data",))
    spread = jax.shard_map(over_data, mesh=mesh, in_specs=(P(), P("data")), out_specs=P())
    with pytest.raises(ValueError, match="batch of 6 rows"):
        jax.jit(spread)(jnp.zeros((5, 4)), jnp.zeros((6, 4)))
