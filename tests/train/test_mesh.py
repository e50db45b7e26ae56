"""Where the rows of a batch lie."""

import jax
import numpy as np
import pytest

from ssl_jax.train import mesh as meshes


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
