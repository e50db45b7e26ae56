"""A key for each position, whatever the batch is cut or spread into."""

import re
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
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


def test_spread_over_devices(eight_devices):
    key = jax.random.key(0)
    sharding = NamedSharding(Mesh(np.array(eight_devices), ("data",)), PartitionSpec("data"))
    spread = jax.jit(lambda key, batch: augment.per_example(noisy, key, batch))(
        key, jax.device_put(batch(16), sharding)
    )
    np.testing.assert_allclose(spread, augment.per_example(noisy, key, batch(16)), rtol=1e-6)


def test_simclr_views_spread_over_devices(eight_devices):
    view = augment.PhotoView(types.SimpleNamespace(shapes={"image": (20, 20, 3)}))
    pixels = {"image": jnp.asarray(np.random.default_rng(0).integers(0, 256, (16, 20, 20, 3), np.uint8))}
    sharding = NamedSharding(Mesh(np.array(eight_devices), ("data",)), PartitionSpec("data"))
    views = jax.jit(lambda batch: augment.per_example(view.train, jax.random.key(0), batch))
    np.testing.assert_allclose(views(jax.device_put(pixels, sharding)), views(pixels), atol=1e-5)


def large_views(size=80, count=128):
    view = augment.PhotoView(types.SimpleNamespace(shapes={"image": (16, 16, 3)}), out_size=size)
    pixels = np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), np.uint8)
    return view, {"image": pixels}, jax.jit(lambda batch: augment.two_views(view, jax.random.key(0), batch))


def test_large_views_are_made_in_chunks_on_each_device(eight_devices):
    """Enough rows for two chunks; nothing is sent between devices, and chunks change nothing."""
    view, batch, draw = large_views()
    sharding = NamedSharding(Mesh(np.array(eight_devices), ("data",)), PartitionSpec("data"))
    spread = jax.device_put(batch, sharding)
    program = draw.lower(spread).compile()
    assert "scan[" in str(jax.make_jaxpr(draw)(batch))
    assert not re.search("all-gather|all-to-all|all-reduce|collective-permute", program.as_text())
    views = program(spread)
    assert views.sharding.is_equivalent_to(sharding, views.ndim)
    np.testing.assert_allclose(views, draw(jax.device_put(batch, eight_devices[0])), atol=1e-5)
    few = jax.tree.map(lambda x: x[:24], batch)
    np.testing.assert_allclose(draw(few), views[:24], atol=1e-5)


@pytest.mark.parametrize("settings", [{"size": 32}, {"count": 72}])
def test_small_views_and_odd_batches_are_made_at_once(settings):
    _, batch, draw = large_views(**settings)
    assert "scan[" not in str(jax.make_jaxpr(draw)(batch))


def test_programs_for_accelerators_have_no_chunks():
    """Also those that a machine without accelerators compiles."""
    _, batch, draw = large_views()
    assert "stablehlo.while" not in draw.trace(batch).lower(lowering_platforms=("tpu",)).as_text()


def test_what_a_step_shares_is_drawn_once():
    class Shared:
        def for_step(self, key):
            shared = jax.random.uniform(key)
            return lambda key, example: jnp.stack([shared, jax.random.uniform(key)])

    drawn = np.asarray(augment.per_example(Shared(), jax.random.key(0), BATCH))
    assert len(np.unique(drawn[:, 0])) == 1 and len(np.unique(drawn)) == 5
    other = augment.per_example(Shared(), jax.random.key(1), BATCH)
    assert not np.isin(other, drawn).any()


class Views:
    """Views that tell which maker drew them."""

    local_crops = 3

    def train(self, key, example):
        return example["image"] + jax.random.uniform(key)

    def second(self, key, example):
        return 100 + self.train(key, example)

    def local(self, key, example):
        return 200 + self.train(key, example)[:1]


class OneKind:
    train = Views.train


BATCH = {"image": 10 * jnp.arange(4.0)[:, None] + jnp.zeros((4, 2))}


def test_two_views_are_drawn_by_both_makers_with_keys_of_their_own():
    views = augment.two_views(Views(), jax.random.key(0), BATCH)
    assert views.shape == (4, 2, 2)
    noise = views - BATCH["image"][:, None] - jnp.array([0.0, 100.0])[None, :, None]
    assert len(np.unique(noise.round(4))) == 8 and noise.min() >= 0 and noise.max() < 1.001
    plain = augment.two_views(OneKind(), jax.random.key(0), BATCH)
    np.testing.assert_allclose(plain[:, 0], views[:, 0])
    np.testing.assert_allclose(plain[:, 1] + 100, views[:, 1], rtol=1e-6)


def test_multi_crop_adds_small_views_where_the_maker_has_them():
    views = augment.multi_crop(Views(), jax.random.key(0), BATCH)
    assert views["image"].shape == (4, 2, 2) and views["local"].shape == (4, 3, 1)
    assert len(np.unique(np.asarray(views["local"]).round(4))) == 12
    assert set(augment.multi_crop(OneKind(), jax.random.key(0), BATCH)) == {"image"}


def test_each_view_is_one_pass():
    views, calls = jnp.arange(24.0).reshape(2, 3, 4), []

    def function(rows):
        calls.append(rows.shape)
        return {"sum": rows.sum(1)}

    found = augment.each_view(function, views)
    assert calls == [(6, 4)]
    np.testing.assert_array_equal(found["sum"], views.sum(2))


def test_each_view_goes_with_what_belongs_to_it():
    views, shifts = jnp.arange(24.0).reshape(2, 3, 4), jnp.arange(6.0).reshape(2, 3)
    found = augment.each_view(lambda rows, shift: rows + shift[:, None], views, shifts)
    np.testing.assert_array_equal(found, views + shifts[..., None])
