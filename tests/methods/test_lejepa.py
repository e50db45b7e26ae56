"""LeJEPA: views of two sizes, their centre, and SIGReg in directions drawn for each step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax import losses
from ssl_jax.errors import UserError
from tests import probe
from tests.probe import KEY


@nnx.jit
def projections(method, views):
    """[B, V, P]: large views through the backbone together, small ones together, all through the projector."""
    batch = views["image"].shape[0]
    flat = lambda x: x.reshape(-1, *x.shape[2:])
    rows = [method.backbone(flat(views[name]), train=True).reshape(batch, -1, 8) for name in ("image", "local")]
    return method.projector(flat(jnp.concatenate(rows, axis=1)), train=True).reshape(batch, 4, -1)


def directions(count, width):
    return losses.random_directions(jax.random.split(KEY, 3)[0], width, count)


def by_hand(z, directions, lambda_, large, points=17, t_max=3.0):
    """The authors' minimal example, with the centre of the first views, in float64."""
    z, t = np.asarray(z, np.float64), np.linspace(0, t_max, points)
    center = z[:, :large].mean(1, keepdims=True)
    angles = (z @ np.asarray(directions, np.float64))[..., None] * t
    normal = np.exp(-(t**2) / 2)
    errors = (np.cos(angles).mean(0) - normal) ** 2 + np.sin(angles).mean(0) ** 2
    steps = np.full(points, 2 * t_max / (points - 1))
    steps[[0, -1]] /= 2
    return (1 - lambda_) * ((z - center) ** 2).mean() + lambda_ * len(z) * (errors @ (steps * normal)).mean()


@pytest.mark.parametrize(
    "settings",
    [
        dict(),
        dict(center="all", lambda_=0.5),
        dict(directions=3, lambda_=0.9),
        dict(points=5, t_max=5.0, lambda_=0.9),
    ],
)
def test_loss_is_the_authors(settings, data_dir):
    method, views = probe.made("lejepa", data_dir, **settings)
    assert views["image"].shape == (32, 2, 8, 8, 1) and views["local"].shape == (32, 2, 4, 4, 1)
    hand = {name: settings[name] for name in ("points", "t_max") if name in settings}
    large = 4 if settings.get("center") == "all" else 2
    drawn = directions(settings.get("directions", 16), 8)
    z = projections(probe.twin(method), views)
    expected = by_hand(z, drawn, settings.get("lambda_", 0.05), large, **hand)
    np.testing.assert_allclose(probe.loss(method, views), expected, rtol=1e-4)
    assert probe.loss(method, views, key=jax.random.key(9)) != probe.loss(method, views), "other directions"


def test_without_small_views_there_are_two(data_dir):
    method, views = probe.made("lejepa", data_dir, dict(views=dict(local_crops=0)))
    assert views.keys() == {"image"}
    z = probe.projections(probe.twin(method), views["image"].reshape(64, 8, 8, 1)).reshape(32, 2, 8)
    drawn = losses.random_directions(jax.random.split(KEY, 2)[0], 8, 16)
    np.testing.assert_allclose(probe.loss(method, views), by_hand(z, drawn, 0.05, 2), rtol=1e-4)


def test_every_parameter_learns(data_dir):
    probe.check_gradients(*probe.made("lejepa", data_dir))


def test_projector_is_the_minimal_examples(data_dir):
    method, _ = probe.made("lejepa", data_dir, projector_hidden=12, projector_out=10, projector_layers=4)
    assert [linear.kernel.shape for linear in method.projector.linears] == [(8, 12), (12, 12), (12, 12), (12, 10)]
    assert [linear.bias is not None for linear in method.projector.linears] == [False, False, False, True]


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("lambda_", 1.5, "lambda_ 1.5 is not in"),
        ("center", "local", "config.method.center is 'local'"),
        ("t_max", 0.0, "t_max 0.0 must be positive"),
        ("points", 1, "points 1 is below 2"),
        ("directions", 0, "directions 0 is below 1"),
        ("projector_out", 0, "projector_out 0 is below 1"),
    ],
)
def test_impossible_settings(name, value, message, data_dir):
    with pytest.raises(UserError, match=message):
        probe.made("lejepa", data_dir, **{name: value})
