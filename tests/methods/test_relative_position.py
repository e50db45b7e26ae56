"""Context prediction: pairs of patches, and one network for both."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.errors import UserError
from ssl_jax.experiment import build, show
from ssl_jax.experiment.show import draw_views
from ssl_jax.train import mesh as meshes
from tests import probe, tiny


def test_pairs_are_drawn_of_each_image(data_dir):
    _, views = probe.made("relative_position", data_dir, pairs=3)
    patches, positions = np.asarray(views["image"]), np.asarray(views["position"])
    assert patches.shape == (16, 3, 2, 3, 3, 1) and positions.shape == (16, 3)
    assert set(np.unique(positions)) <= set(range(8)) and len(np.unique(positions)) > 5


def test_the_position_is_where_the_second_patch_lies(data_dir):
    """Both are found again in a picture of noise; eight positions, row by row without the middle."""
    method, _ = probe.made("relative_position", data_dir, pairs=3)
    image = np.random.default_rng(0).normal(size=(8, 8, 1)).astype(np.float32)
    method.view.train = lambda key, example: jnp.asarray(image)
    views = jax.jit(method.views)({"label": jnp.zeros(16)}, jax.random.key(3))
    starts = np.array([(row, column) for row in range(6) for column in range(6)])
    windows = np.stack([image[row : row + 3, column : column + 3] for row, column in starts])
    apart = np.abs(np.asarray(views["image"])[:, :, :, None] - windows).max((4, 5, 6))
    assert apart.min(-1).max() < 1e-6
    first, second = np.moveaxis(starts[apart.argmin(-1)], 2, 0)
    place = (np.sign(second - first) + 1) @ np.array([3, 1])
    np.testing.assert_array_equal(place - (place > 4), views["position"])
    assert (place != 4).all() and len(np.unique(place)) == 8


def test_views_are_drawn(data_dir, tmp_path):
    experiment = build(tiny.config("relative_position"), data_dir=data_dir, mesh=meshes.make_mesh(jax.devices()[:1]))
    draw_views(experiment, tmp_path / "views.png")
    batch = next(iter(experiment.batches(0)))[1]
    assert show._pictures(experiment, batch, jax.random.key(0))["view"].shape[1:] == (2, 3, 3, 1)


def test_every_parameter_learns(data_dir):
    probe.check_gradients(*probe.made("relative_position", data_dir))


def test_which_patch_is_the_first_one_matters(data_dir):
    method, views = probe.made("relative_position", data_dir)
    turned = {**views, "image": views["image"][:, :, ::-1]}
    same = {**views, "image": np.stack([views["image"][:, :, 0]] * 2, axis=2)}
    losses = [probe.loss(method, each) for each in (views, turned, same)]
    assert abs(losses[0] - losses[1]) > 1e-5 and abs(losses[0] - losses[2]) > 1e-5


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(crop_size=6), "patches of 6 with a gap of 1 do not fit into an image of 8 x 8"),
        (dict(crop_size=0, gap=2), "config.method.crop_size 0 is below 1"),
        (dict(gap=-3), "config.method.gap -3 is below 0"),
        (dict(jitter=1), "jitter 1 is not between 0 and half of the gap"),
        (dict(pairs=0), "pairs 0 is below 1"),
        (dict(hidden=0), "hidden 0 is below 1"),
    ],
)
def test_impossible_settings(settings, message, data_dir):
    with pytest.raises(UserError, match=re.escape(message)):
        probe.made("relative_position", data_dir, **settings)
