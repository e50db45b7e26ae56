"""A key for each position, whatever the batch is cut or spread into."""

import types

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ssl_jax import augment


def noisy(key, example):
    return example["x"] + jax.random.normal(key, (3,))


def batch(n=16):
    return {"x": jnp.arange(n * 3.0).reshape(n, 3), "label": jnp.arange(n)}


def test_a_view_depends_on_key_and_position_alone():
    key = jax.random.key(0)
    whole = augment.per_example(noisy, key, batch(16))
    np.testing.assert_array_equal(augment.per_example(noisy, key, batch(4)), whole[:4])
    drawn = np.asarray(whole - batch(16)["x"])
    assert len(np.unique(drawn.round(6))) == 48
    assert not np.allclose(augment.per_example(noisy, jax.random.key(1), batch(16)), whole)


def test_chunks_change_nothing():
    key = jax.random.key(0)
    whole = augment.per_example(noisy, key, batch(16))
    for chunk in (1, 4, 5):
        np.testing.assert_allclose(augment.per_example(noisy, key, batch(16), chunk=chunk), whole, rtol=1e-6)


def test_spread_over_devices(eight_devices):
    key = jax.random.key(0)
    sharding = NamedSharding(Mesh(np.array(eight_devices), ("data",)), PartitionSpec("data"))
    spread = jax.jit(lambda key, batch: augment.per_example(noisy, key, batch))(
        key, jax.device_put(batch(16), sharding)
    )
    np.testing.assert_allclose(spread, augment.per_example(noisy, key, batch(16)), rtol=1e-6)


def test_simclr_views_spread_over_devices(eight_devices):
    view = augment.SimCLRView(types.SimpleNamespace(shapes={"image": (20, 20, 3)}))
    pixels = {"image": jnp.asarray(np.random.default_rng(0).integers(0, 256, (16, 20, 20, 3), np.uint8))}
    sharding = NamedSharding(Mesh(np.array(eight_devices), ("data",)), PartitionSpec("data"))
    views = jax.jit(lambda batch: augment.per_example(view.train, jax.random.key(0), batch))
    np.testing.assert_allclose(views(jax.device_put(pixels, sharding)), views(pixels), atol=1e-5)
