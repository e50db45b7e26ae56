"""The views of BYOL-A."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import augment
from ssl_jax.augment import byol_a

SPEC = types.SimpleNamespace(shapes={"waveform": (4000,), "length": ()}, sample_rate=8000)
SMALL = dict(window=32.0, hop=20.0, mels=16)


def batch(count=8):
    pcm = np.random.default_rng(0).integers(-8000, 8000, (count, 4000), np.int16)
    return {"waveform": jnp.asarray(pcm), "length": jnp.full(count, 4000, jnp.int32)}


def test_views_of_a_batch_are_normalised_together():
    view = augment.BYOLAView(SPEC, **SMALL)
    views = jax.jit(lambda key, batch: augment.two_views(view, key, batch))(jax.random.key(0), batch())
    assert views.shape == (8, 2, *view.shape) and view.shape == (25, 16, 1) and view.gives == "image"
    for made in np.moveaxis(np.asarray(views), 1, 0):
        np.testing.assert_allclose([made.mean(), made.std()], [0, 1], atol=1e-3)
    assert np.abs(views[:, 0] - views[:, 1]).max() > 0.1


def test_rows_are_the_same_on_any_number_of_devices(eight_devices):
    view = augment.BYOLAView(SPEC, **SMALL)
    make = jax.jit(lambda key, batch: augment.per_example(view.train, key, batch))
    one = make(jax.random.key(1), batch())
    mesh = jax.sharding.Mesh(np.array(eight_devices), ("data",))
    rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    np.testing.assert_allclose(make(jax.random.key(1), jax.device_put(batch(), rows)), one, atol=1e-4)


def test_what_is_mixed_in_is_another_sound_of_the_batch():
    """Without a crop: what is not the sound itself is a share of exactly one other."""
    view = augment.BYOLAView(SPEC, mean=0.0, std=1.0, mixup=0.4, crop=(1.5, 1.5), **SMALL)
    plain = np.asarray(jax.vmap(view.evaluate)(batch()))
    assert not np.allclose(view.train.of_batch(jax.random.key(0), batch()), plain)
    x, other = plain[0], plain[1]
    for share in (0.0, 0.25):
        expected = np.log((1 - share) * np.exp(x) + share * np.exp(other))
        np.testing.assert_allclose(byol_a.mixed(x, other, jnp.float32(share)), expected, atol=1e-4)


def test_one_example_alone_is_cropped_and_no_more():
    view = augment.BYOLAView(SPEC, crop=(0.6, 0.6), **SMALL)
    example = jax.tree.map(lambda x: x[0], batch())
    first, second = (view.train(jax.random.key(seed), example) for seed in (0, 1))
    assert first.shape == view.shape and np.abs(first - second).max() > 0.05


def test_crops_of_the_canvas():
    """A picture of ones: the canvas around it is 0, and time alone has room around it."""
    image = jnp.ones((20, 10, 1))
    keys = jax.random.split(jax.random.key(0), 200)
    crops = jax.vmap(lambda key: byol_a.random_resized_crop(key, image, (0.6, 1.5)))(keys)
    assert crops.shape == (200, 20, 10, 1)
    np.testing.assert_allclose(crops.std(axis=2), 0, atol=1e-5)  # pitch has no room
    covered = np.asarray(crops[..., 0].mean(axis=(1, 2)))
    assert covered.max() > 0.999 and covered.min() < 0.85 and covered.min() > 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(mixup=1.5), "mixup 1.5 is not in 0 <= mixup <= 1"),
        (dict(crop=(0.0, 1.0)), r"crop \(0.0, 1.0\) is not a range"),
        (dict(high=9000.0), "low 60.0 and high 9000.0 Hz"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        augment.BYOLAView(SPEC, **SMALL, **settings)
