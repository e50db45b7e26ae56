"""ViT and MAE's decoder."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.models import MAEDecoder, ViT, patchify, unpatchify
from ssl_jax.models.positions import resize_positions, sincos2d

SMALL = dict(width=16, depth=2, heads=2, mlp_dim=32, patch_size=4, image_size=16)
IMAGES = jax.random.normal(jax.random.key(0), (3, 16, 16, 3))


@cache
def built(settings):
    return nnx.jit(lambda: ViT(**SMALL | dict(settings), rngs=nnx.Rngs(0)))()


def build(**settings):
    return nnx.clone(built(tuple(settings.items())))


forward = nnx.jit(lambda model, key, train: model(IMAGES, train=train, key=key), static_argnums=2)
embed = nnx.jit(lambda model: model.embed_patches(IMAGES))
encode = nnx.jit(lambda model, tokens: model.encode(tokens))


@pytest.mark.parametrize("pooling, tokens", [("cls", 17), ("mean", 16)])
@pytest.mark.parametrize("positions", ["learned", "sincos2d"])
def test_shapes(pooling, tokens, positions):
    model = build(pooling=pooling, positions=positions)
    embedded = embed(model)
    encoded = encode(model, embedded)
    assert embedded.shape == (3, 16, 16) and encoded.shape == (3, tokens, 16)
    assert (model.grid, model.num_patches, model.patch_dim) == ((4, 4), 16, 48)
    pooled = encoded[:, 0] if pooling == "cls" else encoded.mean(1)
    np.testing.assert_allclose(forward(model, None, False), pooled, atol=1e-6)


def test_any_patches_can_be_encoded_in_any_order():
    """Permuting embedded patches permutes the encoding: positions are added before, nowhere else."""
    model = build()
    tokens = embed(model)[:, ::4]
    forwards, backwards = encode(model, tokens), encode(model, tokens[:, ::-1])
    assert forwards.shape == (3, 5, 16)
    np.testing.assert_allclose(backwards[:, 1:][:, ::-1], forwards[:, 1:], atol=1e-5)


def test_patchify():
    pixels = jnp.arange(2 * 8 * 12 * 3).reshape(2, 8, 12, 3)
    patches = patchify(pixels, 4)
    assert patches.shape == (2, 6, 48)
    assert (patches[1, 4].reshape(4, 4, 3) == pixels[1, 4:8, 4:8]).all()
    assert (unpatchify(patches, (2, 3)) == pixels).all()
    with pytest.raises(ValueError, match="image height 8 is not divisible by patch_size 3"):
        patchify(pixels, 3)
    with pytest.raises(ValueError, match="do not make a grid"):
        unpatchify(patches, (3, 3))


def test_sincos_by_hand():
    table = sincos2d((2, 3), 8)
    angles = np.array([1.0, 0.01])
    column, row = 2, 1
    expected = [*np.sin(column * angles), *np.cos(column * angles), *np.sin(row * angles), *np.cos(row * angles)]
    np.testing.assert_allclose(table[5], expected, rtol=1e-6)


def test_key_decides_what_is_dropped():
    model = build(dropout=0.1, drop_path=0.2)
    one, two = jax.random.split(jax.random.key(0, impl="unsafe_rbg"))
    first = forward(model, one, True)
    assert (first == forward(model, one, True)).all() and (first != forward(model, two, True)).any()
    np.testing.assert_allclose(forward(model, one, False), forward(model, None, False), atol=1e-6)
    with pytest.raises(ValueError, match="train=True with dropout 0.1 needs the argument key"):
        forward(model, None, True)


def test_no_key_is_needed_where_nothing_is_drawn():
    np.testing.assert_allclose(forward(build(), None, True), forward(build(), None, False), atol=1e-6)


def test_bfloat16():
    model = build(dtype="bfloat16")
    output = forward(model, None, False)
    assert output.dtype == jnp.bfloat16
    np.testing.assert_allclose(output.astype(jnp.float32), forward(build(), None, False), atol=0.1)


def test_layer_scale_starts_small():
    assert all((block.scale1[...] == 1e-4).all() for block in build(layer_scale=1e-4).stack.blocks)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"image_size": 30}, "image_size 30 is not divisible by patch_size 4"),
        ({"patch_size": 0}, "patch_size 0 is below 1"),
        ({"heads": 3}, "width 16 is not divisible by heads 3"),
        ({"width": 18}, "width 18 is not divisible by 4, which positions 'sincos2d' need"),
        ({"size": "XL"}, "size 'XL' is not one of Ti, S, B, L, H, g"),
        ({"positions": "rotary"}, "positions 'rotary' is not one of learned, relative, sincos2d"),
        ({"pooling": "max"}, "pooling 'max' is not one of cls, mean"),
        ({"dtype": "int8"}, "dtype 'int8' is not one of float32, bfloat16"),
        ({"drop_path": 1.5}, "drop_path 1.5 is not in 0 <= drop_path < 1"),
        ({"dropout": -0.1}, "dropout -0.1"),
        ({"depth": 0}, "depth 0 is below 1"),
        ({"channels": 0}, "channels 0 is below 1"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        ViT(**{**SMALL, **settings}, rngs=nnx.Rngs(0))


def test_images_that_are_no_patches_are_refused():
    with pytest.raises(ValueError, match="image height 10 is not divisible by patch_size 4"):
        build()(IMAGES[:, :10])
    with pytest.raises(ValueError, match="images have 1 channels, this ViT was built for 3"):
        build()(IMAGES[..., :1])


@pytest.mark.parametrize("positions", ["learned", "sincos2d"])
def test_crops_of_another_size_have_resized_positions(positions):
    model = build(positions=positions)
    crop = IMAGES[:, :8, :12]
    table = model.positions[1:] if positions == "learned" else None
    where = sincos2d((2, 3), 16, over=(4, 4)) if table is None else resize_positions(table, (4, 4), (2, 3))
    embedded = model.patch_embedding(patchify(crop, 4)) + where[None]
    np.testing.assert_allclose(model.embed_patches(crop), embedded, atol=1e-6)
    np.testing.assert_allclose(model(crop), model.encode(embedded)[:, 0], atol=1e-5)


def test_resized_positions_span_the_picture():
    """Constants stay; a table that is linear in row and column stays nearly so, but for the repeated border."""
    rows, columns = np.meshgrid(np.arange(12.0), np.arange(12.0), indexing="ij")
    table = jnp.asarray(np.stack([rows, columns, np.ones((12, 12))], -1).reshape(144, 3))
    resized = np.asarray(resize_positions(table, (12, 12), (6, 4))).reshape(6, 4, 3)
    at = lambda new: (np.arange(new) + 0.5) * 12 / (new + 0.1) - 0.5
    np.testing.assert_allclose(resized[1:-1, 2, 0], at(6)[1:-1], atol=0.05)
    np.testing.assert_allclose(resized[2, 1:-1, 1], at(4)[1:-1], atol=0.05)
    np.testing.assert_allclose(resized[..., 2], 1, atol=1e-6)
    assert resize_positions(table, (12, 12), (12, 12)) is table


def test_sincos_over_another_grid_spans_it():
    whole, half = sincos2d((1, 4), 8), sincos2d((1, 2), 8, over=(1, 4))
    np.testing.assert_allclose(half[:, :2], np.sin(np.array([[0.5], [2.5]]) * np.array([1.0, 0.01])), rtol=1e-6)
    assert np.array_equal(sincos2d((1, 4), 8, over=(1, 4)), whole)


def test_mask_token_stands_in_before_positions_are_added():
    model = build(positions="learned")
    hidden = jnp.zeros((3, 16), bool).at[1, 5].set(True)
    token = jnp.arange(16.0)
    seen, masked = model.embed_patches(IMAGES), model.embed_patches(IMAGES, hidden=hidden, mask_token=token)
    np.testing.assert_allclose(masked[1, 5], token + model.positions[1 + 5], atol=1e-5)
    np.testing.assert_array_equal(masked[~hidden], seen[~hidden])
    classes, patches = model.tokens(IMAGES, hidden=hidden, mask_token=token)
    encoded = model.encode(masked)
    np.testing.assert_array_equal(classes, encoded[:, 0])
    np.testing.assert_array_equal(patches, encoded[:, 1:])


def decoder(**settings):
    sizes = dict(grid=(4, 4), patch_dim=48, width=32, depth=1, heads=4)
    return nnx.jit(lambda: MAEDecoder(16, **sizes, **settings, rngs=nnx.Rngs(1)))()


decode = nnx.jit(lambda model, tokens, restore: model(tokens, restore))


def test_decoder_restores_the_order():
    """With the blocks silenced, each patch is predicted from its own token and position."""
    model = decoder()
    for branch in (model.stack.blocks[0].attention.out, model.stack.blocks[0].mlp.out):
        branch.kernel[...] = jnp.zeros_like(branch.kernel[...])
    tokens = jax.random.normal(jax.random.key(3), (1, 1 + 4, 16))
    order = np.random.default_rng(0).permutation(16)
    restore = jnp.asarray(np.argsort(order)[None])
    found = decode(model, tokens, restore)[0]
    embedded = np.asarray(model.embedding(tokens[0, 1:]))
    hidden = np.tile(model.mask_token[...], (12, 1))
    in_order = np.concatenate([embedded, hidden])[restore[0]] + sincos2d((4, 4), 32)
    np.testing.assert_allclose(found, model.prediction(model.norm(in_order)), atol=1e-5)


def test_decoder_without_class_token():
    restore = jnp.tile(jnp.arange(16)[None], (2, 1))
    assert decode(decoder(class_token=False), jnp.ones((2, 4, 16)), restore).shape == (2, 16, 48)


def test_decoder_width_must_suit_the_positions():
    with pytest.raises(ValueError, match="width 30 is not divisible by 4"):
        MAEDecoder(16, grid=(4, 4), patch_dim=48, width=30, rngs=nnx.Rngs(0))


def test_relative_positions_need_all_patches_of_a_picture_of_their_size():
    model = nnx.jit(lambda: ViT(**SMALL | dict(image_width=32), positions="relative", rngs=nnx.Rngs(0)))()
    assert model(jnp.zeros((1, 16, 32, 3))).shape == (1, 16)
    told = "positions 'relative' need all patches of a picture of 16 x 32 pixels"
    with pytest.raises(ValueError, match=told):  # as many patches
        model(jnp.zeros((1, 32, 16, 3)))
    embedded = model.embed_patches(jnp.zeros((1, 16, 32, 3)))
    with pytest.raises(ValueError, match=told):
        model.encode(embedded[:, :5])
    with pytest.raises(ValueError, match=told):
        model.encode(embedded, mask=jnp.ones((1, 33), bool))


@pytest.mark.parametrize("scan", [False, True])
def test_branches_start_smaller_the_deeper_they_are(scan):
    sizes = dict(SMALL, width=64, mlp_dim=256, depth=3, scan=scan)
    model = nnx.jit(lambda: ViT(**sizes, initializer_range=0.02, depth_scaled=True, rngs=nnx.Rngs(0)))()
    for number in range(3):
        block = model.stack.blocks if scan else model.stack.blocks[number]
        smaller = 0.02 / np.sqrt(2 * (number + 1))
        expected = {block.attention.qkv: 0.02, block.mlp.hidden: 0.02, block.attention.out: smaller}
        for layer, deviation in (expected | {block.mlp.out: smaller}).items():
            kernel = layer.kernel[number] if scan else layer.kernel[...]
            np.testing.assert_allclose(np.std(kernel), deviation, rtol=0.05)
    np.testing.assert_allclose(np.std(model.patch_embedding.kernel[...]), 0.02, rtol=0.05)
    with pytest.raises(ValueError, match="depth_scaled needs an initializer_range"):
        ViT(**SMALL, depth_scaled=True, rngs=nnx.Rngs(0))


def test_dropped_attention_is_drawn():
    model = build(attention_dropout=0.5)
    key = jax.random.key(0, impl="unsafe_rbg")
    assert (forward(model, key, True) != forward(model, key, False)).any()
    with pytest.raises(ValueError, match="train=True with attention_dropout 0.5 needs the argument key"):
        forward(model, None, True)
