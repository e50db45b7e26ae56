"""Which checkpoints are kept, and that what comes back is what was saved."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.errors import UserError
from ssl_jax.train.checkpoints import Checkpoints, arrays_of
from ssl_jax.train.checksums import checksums
from ssl_jax.train.mesh import by_row, make_mesh
from ssl_jax.train.state import TrainState

pytestmark = pytest.mark.filterwarnings("ignore")  # of Orbax's own threads and deprecations


def state(value: float) -> TrainState:
    params = nnx.state(nnx.Linear(2, 3, rngs=nnx.Rngs(0)))
    params = jax.tree.map(lambda leaf: jnp.full_like(leaf, value), params)
    return TrainState(jnp.int32(value), params, nnx.State({}), {"mu": params}, jnp.int32(-1))


def test_the_newest_two_and_the_best_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path, every=1, keep=2, best="eval/knn_full")
    for step, score in enumerate([0.3, 0.9, 0.5, 0.6, 0.7], start=1):
        checkpoints.save(step, state(step), {"eval/knn_full": score})
    checkpoints.wait()
    assert checkpoints.steps() == [2, 4, 5]
    checkpoints.close()


def test_reading_another_runs_arrays_touches_nothing(tmp_path):
    """That run may be about to save: Orbax gives what is not finished a temporary name."""
    with pytest.raises(UserError, match="has no checkpoint that can be read"):
        arrays_of(tmp_path)
    assert not list(tmp_path.iterdir())
    checkpoints = Checkpoints(tmp_path, every=1)
    checkpoints.save(1, state(1), {})
    checkpoints.close()
    unfinished = tmp_path / "checkpoints" / "2.orbax-checkpoint-tmp-1"
    shutil.copytree(tmp_path / "checkpoints" / "1", unfinished)
    arrays = arrays_of(tmp_path)
    assert unfinished.exists() and np.all(arrays["params.kernel"] == 1)
    checkpoints = Checkpoints(tmp_path, every=1)  # which clears up in the background, and waits for that when it saves
    checkpoints.save(2, state(2), {})
    checkpoints.close()
    assert not unfinished.exists(), "the run itself does away with it"


def test_the_best_is_kept_over_a_restart(tmp_path):
    for steps in ({1: 0.1, 2: 0.9, 3: 0.3}, {4: 0.2, 5: None, 6: 0.1}):
        checkpoints = Checkpoints(tmp_path, every=1, keep=2, best="eval/knn_full")
        for step, score in steps.items():
            metrics = {} if score is None else {"eval/knn_full": score}
            assert checkpoints.is_best(metrics) == (step in (1, 2))
            checkpoints.save(step, state(step), metrics)
        checkpoints.close()
    assert Checkpoints(tmp_path, best="eval/knn_full").steps() == [2, 5, 6]


def test_a_score_that_is_no_number_is_none(tmp_path):
    checkpoints = Checkpoints(tmp_path, every=1, best="eval/knn_full")
    assert not checkpoints.is_best({"eval/knn_full": float("nan")})
    checkpoints.save(1, state(1), {"eval/knn_full": float("nan")})
    assert checkpoints.is_best({"eval/knn_full": 0.1})
    checkpoints.close()


def test_a_damaged_best_is_forgotten(tmp_path):
    checkpoints = Checkpoints(tmp_path, every=1, best="eval/knn_full")
    for step, score in ((1, 0.1), (2, 0.9)):
        checkpoints.save(step, state(step), {"eval/knn_full": score})
    checkpoints.wait()
    for path in (checkpoints.folder / "2" / "state").rglob("d/*"):
        path.write_bytes(path.read_bytes()[:10])
    assert checkpoints.restore(state(0)).step == 1
    assert checkpoints.is_best({"eval/knn_full": 0.9})
    checkpoints.close()


def test_random_keys_have_checksums():
    first, second = (checksums({"key": jax.random.key(seed)}) for seed in (0, 1))
    assert first[0] != second[0]


def test_of_a_loss_the_lowest_is_best(tmp_path):
    checkpoints = Checkpoints(tmp_path, every=1, keep=2, best="eval/loss")
    for step, loss in enumerate([0.3, 0.1, 0.5, 0.6], start=1):
        checkpoints.save(step, state(step), {"eval/loss": loss})
    checkpoints.close()
    assert Checkpoints(tmp_path).steps() == [2, 3, 4]


def test_only_what_is_on_disk_is_told(tmp_path):
    checkpoints = Checkpoints(tmp_path, every=1)
    checkpoints.save(1, state(1), {})
    on_disk = [int(path.name) for path in checkpoints.folder.iterdir() if path.name.isdecimal()]
    assert checkpoints.steps() in (on_disk, [1])  # it may have been finished in between
    checkpoints.close()
    assert checkpoints.steps() == [1]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "uint8", "int32", "bool"])
def test_one_flipped_bit_changes_the_checksum(dtype, eight_devices):
    array = np.random.default_rng(0).integers(0, 2, (8, 5, 3)).astype(dtype)
    whole = checksums({"a": jnp.asarray(array), "b": jnp.zeros(())})
    spread = jax.device_put(array, by_row(make_mesh(eight_devices)))
    np.testing.assert_array_equal(checksums({"a": spread, "b": jnp.zeros(())}), whole)
    for place in [(0, 0, 0), (7, 4, 2), (3, 0, 1)]:
        changed = array.copy()
        changed.view(np.uint8).reshape(*array.shape, -1)[*place, 0] ^= 1
        assert checksums({"a": jnp.asarray(changed), "b": jnp.zeros(())})[0] != whole[0]
    swapped = array[::-1]
    assert checksums({"a": jnp.asarray(swapped), "b": jnp.zeros(())})[0] != whole[0]


def test_restored_is_what_was_saved(tmp_path):
    checkpoints = Checkpoints(tmp_path, every=1)
    assert checkpoints.restore(state(0)) is None
    for step in (1, 2):
        checkpoints.save(step, state(step), {})
    checkpoints.wait()
    restored = checkpoints.restore(state(0))
    assert jax.tree.structure(restored) == jax.tree.structure(state(2))
    for ours, saved in zip(jax.tree.leaves(restored), jax.tree.leaves(state(2))):
        np.testing.assert_array_equal(ours, saved)
    checkpoints.close()
