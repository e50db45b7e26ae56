"""Which patches are hidden: counts, order, uniformity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import masking


def test_the_papers_numbers():
    parts = masking.random_patches(jax.random.key(0), 196, ratio=0.75)
    assert parts["visible"].shape == (49,) and parts["hidden"].shape == (147,)
    assert parts["mask"].sum() == 147


def test_restore_puts_patches_back_in_order():
    parts = masking.random_patches(jax.random.key(1), 16, ratio=0.75)
    shuffled = jnp.concatenate([parts["visible"], parts["hidden"]])
    np.testing.assert_array_equal(shuffled[parts["restore"]], np.arange(16))
    np.testing.assert_array_equal(parts["mask"][parts["hidden"]], 1)
    np.testing.assert_array_equal(parts["mask"][parts["visible"]], 0)
    assert all(parts[name].dtype == jnp.int32 for name in ("visible", "hidden", "restore"))


def test_every_patch_is_hidden_as_often():
    keys = jax.random.split(jax.random.key(2), 4000)
    masks = jax.vmap(lambda key: masking.random_patches(key, 16, ratio=0.75)["mask"])(keys)
    deviation = np.sqrt(0.75 * 0.25 / 4000)
    np.testing.assert_allclose(masks.mean(0), 0.75, atol=4.5 * deviation)
    # Pairs too: hidden together with probability 12/16 * 11/15.
    together = np.asarray(masks.T @ masks / 4000)[~np.eye(16, dtype=bool)]
    np.testing.assert_allclose(together, 0.55, atol=4.5 * np.sqrt(0.55 * 0.45 / 4000))


@pytest.mark.parametrize("n, ratio, visible", [(10, 0.9, 1), (64, 0.75, 16), (9, 0.75, 2), (4, 0.0, 4), (100, 0.6, 40)])
def test_count_visible(n, ratio, visible):
    assert masking.count_visible(n, ratio) == visible


@pytest.mark.parametrize("n, ratio", [(2, 0.75), (16, 1.0), (16, -0.1), (16, float("nan"))])
def test_impossible_ratio(n, ratio):
    with pytest.raises(ValueError, match="ratio"):
        masking.count_visible(n, ratio)
