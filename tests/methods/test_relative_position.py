"""Context prediction: pairs of patches, and one network for both."""

import re

import numpy as np
import pytest

from ssl_jax.errors import UserError
from tests import probe


def test_pairs_are_drawn_of_each_image(data_dir):
    _, views = probe.made("relative_position", data_dir, pairs=3)
    patches, positions = np.asarray(views["image"]), np.asarray(views["position"])
    assert patches.shape == (16, 3, 2, 3, 3, 1) and positions.shape == (16, 3)
    assert set(np.unique(positions)) <= set(range(8)) and len(np.unique(positions)) > 5


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
        (dict(jitter=1), "jitter 1 is not between 0 and half of the gap"),
        (dict(pairs=0), "pairs 0 is below 1"),
        (dict(hidden=0), "hidden 0 is below 1"),
    ],
)
def test_impossible_settings(settings, message, data_dir):
    with pytest.raises(UserError, match=re.escape(message)):
        probe.made("relative_position", data_dir, **settings)
