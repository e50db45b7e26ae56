"""The rotary ViT, and the predictor that reads it."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.models import RotaryViT
from ssl_jax.models.heads import CAPIPredictor
from ssl_jax.models.rotary import angles, edge_places, patch_places, turned

SMALL = dict(width=16, depth=2, heads=2, mlp_dim=32, patch_size=4, image_size=16, registers=4)
IMAGES = jax.random.normal(jax.random.key(0), (4, 16, 16, 3))
SEEN = jnp.asarray([[1, 2, 5, 6], [0, 3, 12, 15], [4, 5, 8, 9], [2, 3, 6, 7]], jnp.int32)
ASKED = jnp.asarray(patch_places((4, 4)))[jnp.asarray([[0, 10], [1, 2], [0, 15], [8, 9]])]
KEY = jax.random.key(1, impl="unsafe_rbg")


class Both(nnx.Module):
    """Encoder and predictor."""

    def __init__(self, **settings):
        self.encoder = RotaryViT(**SMALL | settings, rngs=nnx.Rngs(0))
        run = {
            name: settings[name] for name in settings if name in ("drop_path", "scan", "remat", "accumulate", "dtype")
        }
        self.predictor = CAPIPredictor(16, depth=2, heads=2, mlp_dim=32, **run, rngs=nnx.Rngs(1))

    def __call__(self, images, seen=SEEN, train=False, key=None):
        states, places = self.encoder.encode(images, seen=seen, train=train, key=key)
        return self.predictor(states, places, ASKED, train=train, key=key)


@cache
def built(settings):
    return nnx.jit(lambda: Both(**dict(settings)))()


def build(**settings):
    return nnx.clone(built(tuple(settings.items())))


forward = nnx.jit(lambda model, train=False, key=None: model(IMAGES, train=train, key=key), static_argnames="train")
encode = nnx.jit(lambda model, images, seen=None: model.encode(images, seen=seen))


def test_shapes_and_pictures_of_any_size():
    model = build().encoder
    states, places = encode(model, IMAGES)
    assert states.shape == (4, 4 + 16, 16) and places.shape == (1, 4 + 16, 2)
    np.testing.assert_allclose(jnp.mean(jnp.square(states), -1), 1, rtol=1e-3)
    token, patches = model.tokens(IMAGES)
    assert token is None
    np.testing.assert_allclose(patches, states[:, 4:], atol=1e-5)
    np.testing.assert_allclose(model(IMAGES), patches.mean(1), atol=1e-5)
    assert model(jnp.zeros((1, 8, 12, 3))).shape == (1, 16)
    assert forward(build()).shape == (4, 2, 16)


def test_all_patches_seen_are_all_patches():
    everything = jnp.broadcast_to(jnp.arange(16, dtype=jnp.int32)[None], (4, 16))
    order = jnp.asarray(np.random.default_rng(0).permutation(16))
    model = build().encoder
    states = encode(model, IMAGES)[0]
    np.testing.assert_allclose(encode(model, IMAGES, everything)[0], states, atol=1e-5)
    moved = encode(model, IMAGES, everything[:, order])[0]
    np.testing.assert_allclose(moved[:, 4:], states[:, 4:][:, order], atol=1e-5)


def test_what_is_not_seen_changes_nothing():
    hidden = np.ones((4, 16), bool)
    np.put_along_axis(hidden, np.asarray(SEEN), False, axis=1)
    pixels = jnp.asarray(hidden.reshape(4, 4, 1, 4, 1, 1).repeat(4, 2).repeat(4, 4).reshape(4, 16, 16, 1))
    model = build()
    np.testing.assert_allclose(nnx.jit(Both.__call__)(model, IMAGES + 9 * pixels), forward(model), atol=1e-5)


def test_registers_lie_along_the_edges_of_what_is_seen():
    np.testing.assert_allclose(
        edge_places(8), [[0, 0], [0.5, 0], [1, 0], [1, 0.5], [1, 1], [0.5, 1], [0, 1], [0, 0.5]], atol=1e-7
    )
    places = encode(build().encoder, IMAGES, SEEN)[1]
    np.testing.assert_allclose(places[0, :4], np.array([[0, 1], [1, 1], [1, 2], [0, 2]]) / 3, atol=1e-6)
    np.testing.assert_allclose(places[1, :4], [[0, 0], [1, 0], [1, 1], [0, 1]], atol=1e-6)
    np.testing.assert_allclose(places[0, 4:], np.array([[0, 1], [0, 2], [1, 1], [1, 2]]) / 3, atol=1e-6)


def test_turns_by_hand():
    found = np.asarray(angles(jnp.array([[0.5, 0.25]]), 8))[0]
    expected = 2 * np.pi * np.array([3.5, 3.5e-4, 3.5, 3.5e-4, 1.75, 1.75e-4, 1.75, 1.75e-4])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    quarter = jnp.array([[[np.pi / 2, 0.0, 0.0, 0.0, np.pi / 2, 0.0, 0.0, 0.0]]])
    x = jnp.arange(1.0, 9.0).reshape(1, 1, 1, 8)
    np.testing.assert_allclose(turned(x, quarter)[0, 0, 0], [-5, 2, 3, 4, 1, 6, 7, 8], atol=1e-6)


def value_and_gradient(**settings):
    graph, state = nnx.split(build(drop_path=0.3, **settings))
    loss = lambda state: jnp.sum(nnx.merge(graph, state)(IMAGES, train=True, key=KEY) ** 3)
    value, gradient = jax.jit(jax.value_and_grad(loss))(state)
    return value, unrolled(gradient)


def unrolled(state):
    """Arrays by path, blocks stacked either way."""
    arrays = {}
    for path, leaf in nnx.to_flat_state(state):
        leaf, place = np.asarray(leaf[...]), path.index("blocks") + 1 if "blocks" in path else None
        if place is None or isinstance(path[place], int):
            arrays[path] = leaf
        else:
            arrays |= {(*path[:place], i, *path[place:]): part for i, part in enumerate(leaf)}
    return arrays


@pytest.mark.parametrize("options", [dict(scan=True), dict(scan=True, remat=True), dict(remat="elementwise")])
def test_scan_and_remat_change_nothing(options):
    (value, gradient), (other, same) = value_and_gradient(), value_and_gradient(**options)
    np.testing.assert_allclose(value, other, rtol=1e-5)
    assert gradient.keys() == same.keys()
    for path in gradient:
        np.testing.assert_allclose(same[path], gradient[path], atol=1e-4 * np.abs(gradient[path]).max())


def test_parts_of_the_batch_give_the_same():
    np.testing.assert_allclose(forward(build(accumulate=2)), forward(build()), atol=1e-5)


def test_bfloat16():
    found = forward(build(dtype="bfloat16"))
    assert found.dtype == jnp.bfloat16
    assert np.abs(found.astype(jnp.float32) - forward(build())).mean() < 0.05


def test_key_decides_what_is_dropped():
    model, other = build(drop_path=0.5), jax.random.key(7, impl="unsafe_rbg")
    assert (forward(model, True, KEY) != forward(model, True, other)).any()
    np.testing.assert_allclose(forward(model, False, KEY), forward(build()), atol=1e-5)
    with pytest.raises(ValueError, match="train=True with drop_path 0.5 needs the argument key"):
        forward(model, True, None)


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(registers=6), "registers 6 is not a multiple of 4: as many lie along each edge"),
        (dict(registers=0), "registers 0 is below 4"),
        (dict(heads=8), "heads 8 leave each 2 features; rotary positions need a multiple of 4"),
        (dict(heads=3), "width 16 is not divisible by heads 3"),
        (dict(image_size=30), "image_size 30 is not divisible by patch_size 4"),
        (dict(size="XL"), "size 'XL' is not one of Ti, S, B, L, H, g"),
        (dict(drop_path=1.5), "drop_path 1.5 is not in 0 <= drop_path < 1"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        RotaryViT(**SMALL | settings, rngs=nnx.Rngs(0))


def test_images_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="images have 1 channels, this RotaryViT was built for 3"):
        build().encoder(IMAGES[..., :1])
    with pytest.raises(ValueError, match="image height 10 is not divisible by patch_size 4"):
        build().encoder(IMAGES[:, :10])
