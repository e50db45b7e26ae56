"""Where the rows of a batch lie."""

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from ssl_jax.errors import UserError
from ssl_jax.train import mesh as meshes
from ssl_jax.train.mesh import Sharding


@pytest.mark.parametrize("devices", [1, 2, 8])
def test_rows_keep_their_places_on_any_number_of_devices(devices, eight_devices):
    batch = {"image": np.arange(16 * 3).reshape(16, 3), "label": np.arange(16)}
    mesh = meshes.make_mesh(eight_devices[:devices])
    placed = meshes.put_rows(batch, mesh)
    for name, rows in batch.items():
        np.testing.assert_array_equal(placed[name], rows)
        assert len({shard.device for shard in placed[name].addressable_shards}) == devices
        for shard in placed[name].addressable_shards:
            np.testing.assert_array_equal(shard.data, rows[shard.index])
    assert isinstance(placed["label"], jax.Array)


@pytest.mark.parametrize(
    "shape, settings, spec",
    [
        ((64, 32), {}, P(None, None)),
        ((64, 32), dict(state="fsdp"), P("data", None)),
        ((32, 64), dict(state="fsdp"), P(None, "data")),
        ((64, 32), dict(model=2), P("model", None)),
        ((64, 32), dict(model=2, state="fsdp"), P("data", "model")),
        ((64, 3), dict(model=2, state="fsdp"), P("data", None)),
        ((7, 6), dict(model=2, state="fsdp"), P(None, "model")),
        ((7, 5), dict(state="fsdp"), P(None, None)),
        ((3, 3, 8, 16), dict(state="fsdp"), P(None, None, None, "data")),
        ((64, 32), dict(state="fsdp", smallest=2049), P(None, None)),
        ((), dict(state="fsdp"), P()),
    ],
)
def test_where_an_array_of_the_state_lies(shape, settings, spec, eight_devices):
    sharding = Sharding(**{"smallest": 1} | settings)
    mesh = meshes.make_mesh(eight_devices, model=sharding.model)
    assert sharding.of(shape, mesh).spec == spec


@pytest.mark.parametrize("settings", [dict(model=0), dict(smallest=0)])
def test_settings_out_of_range(settings):
    with pytest.raises(ValueError, match="must be at least 1"):
        Sharding(**settings)


def test_the_model_axis_divides_the_devices(eight_devices):
    assert meshes.make_mesh(eight_devices, model=4).shape == {"data": 2, "model": 4}
    with pytest.raises(UserError, match="config.sharding.model is 3, which does not divide the 8 devices"):
        meshes.make_mesh(eight_devices, model=3)


def test_what_is_spread_comes_whole_to_one_device(eight_devices):
    mesh = meshes.make_mesh(eight_devices)
    rows = np.arange(24.0, dtype=np.float32).reshape(8, 3)
    spread, everywhere = meshes.put_rows({"x": rows}, mesh), meshes.put_all({"x": rows}, mesh)
    for tree in (spread, everywhere):
        found = meshes.on_one_device(tree)["x"]
        assert found.devices() == {eight_devices[0]}
        np.testing.assert_array_equal(found, rows)
