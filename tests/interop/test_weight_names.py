"""Weights that do not fit, files that cannot be read: the message names what is wrong, and nothing is set."""

from functools import cache

import numpy as np
import pytest
from flax import nnx

from ssl_jax import interop
from ssl_jax.errors import UserError
from ssl_jax.models import Pooler, ResNet, TextTransformer, ViT
from tests import probe

SMALL = dict(width=16, depth=2, heads=2, mlp_dim=32, patch_size=4, image_size=16)


@cache
def built(settings):
    return nnx.jit(lambda: ViT(**SMALL | {"positions": "learned"} | dict(settings), rngs=nnx.Rngs(0)))()


def vit(**settings):
    return nnx.clone(built(tuple(settings.items())))


def test_missing_unexpected_and_misshapen_are_told_together():
    weights = interop.vit.to_timm(vit())
    del weights["blocks.1.mlp.fc1.bias"]
    weights["extra.weight"] = np.zeros(3)
    weights["cls_token"] = np.zeros((1, 1, 8), np.float32)
    model = vit()
    with pytest.raises(UserError) as error:
        interop.vit.from_timm(model, weights)
    message = str(error.value)
    assert "missing: blocks.1.mlp.fc1.bias" in message
    assert "unexpected: extra.weight" in message
    assert "misshapen: cls_token (1, 1, 8) instead of (1, 1, 16)" in message
    assert "\n" not in message


@cache
def linear(width, numbers):
    return nnx.Linear(width, numbers, rngs=nnx.Rngs(0))


def resnet(**settings):
    return nnx.jit(lambda: ResNet(stage_sizes=(1, 1), base_width=4, **settings, rngs=nnx.Rngs(0)))()


# By table: our network, what it is written and read with, and one of their names.
TABLES = {
    "vit": (vit, lambda: {}, "encoder.layer.1.intermediate.dense.bias"),
    "i_jepa": (lambda: vit(pooling="mean"), lambda: {}, "encoder.layer.1.attention.attention.key.bias"),
    "dinov2": (lambda: vit(layer_scale=0.1), lambda: {}, "encoder.layer.1.layer_scale2.lambda1"),
    "beit": (lambda: vit(positions="relative"), lambda: {}, "encoder.layer.1.attention.output.dense.bias"),
    "simmim": (
        vit,
        lambda: dict(mask_token=nnx.Param(np.zeros(16, np.float32)), prediction=linear(16, 48)),
        "decoder.0.bias",
    ),
    "resnet": (resnet, lambda: {}, "encoder.stages.1.layers.0.shortcut.normalization.running_var"),
}


TABLES["beit and what it predicts with"] = (
    TABLES["beit"][0],
    lambda: dict(mask_token=nnx.Param(np.zeros(16, np.float32)), prediction=linear(16, 48)),
    "lm_head.bias",
)


@pytest.mark.parametrize("table", TABLES)
def test_each_table_of_pictures_tells_what_does_not_fit(table):
    build, parts, missing = TABLES[table]
    module = getattr(interop, table.partition(" ")[0])
    weights = module.to_transformers(build(), **parts())
    check_told(weights, lambda weights: module.from_transformers(build(), weights, **parts()), missing)


def test_so_does_that_of_mae(data_dir):
    method, _ = probe.made("mae", data_dir, {"model": dict(pooling="cls")})
    both = method.backbone, method.decoder
    weights = interop.mae.to_transformers(*both)
    read = lambda weights: interop.mae.from_transformers(*both, weights)
    check_told(weights, read, "decoder.decoder_layers.0.output.dense.bias")


@pytest.mark.parametrize("table", ["clip", "siglip"])
def test_so_do_those_of_pictures_and_texts(table, data_dir):
    method, _ = probe.made(table, data_dir)
    module = getattr(interop, table)
    read = lambda weights: module.from_transformers(method, weights)
    check_told(module.to_transformers(method), read, "text_model.encoder.layers.0.mlp.fc2.bias")


def check_told(weights, read, missing):
    """One is left out, one is too many, and one has another shape, of `weights` that can be read as they are."""
    read(weights)
    first = next(name for name in weights if name.endswith("weight"))
    shape = weights[first].shape
    weights = weights | {"extra.weight": np.zeros(3), first: np.zeros((*shape[:-1], shape[-1] + 1), np.float32)}
    del weights[missing]
    with pytest.raises(UserError) as error:
        read(weights)
    message = str(error.value)
    assert f"missing: {missing}" in message and "unexpected: extra.weight" in message and "\n" not in message
    assert f"misshapen: {first} {(*shape[:-1], shape[-1] + 1)} instead of {shape}" in message


def test_a_class_token_too_many_or_too_few_is_told():
    weights = interop.vit.to_transformers(vit())
    with pytest.raises(UserError, match="have a class token: set config.model.pooling to 'cls'"):
        interop.vit.from_transformers(vit(pooling="mean"), weights)
    del weights["embeddings.cls_token"]
    with pytest.raises(UserError, match="have no class token .* set config.model.pooling to 'mean'"):
        interop.vit.from_transformers(vit(), weights)


def test_nothing_is_set_when_something_is_wrong():
    model, weights = vit(), interop.vit.to_timm(vit())
    weights = {name: array + 1 for name, array in weights.items()}
    del weights["norm.bias"]
    with pytest.raises(UserError):
        interop.vit.from_timm(model, weights)
    assert (model.class_token[...] == vit().class_token[...]).all()


def test_another_depth_is_unexpected_or_missing():
    weights = interop.vit.to_timm(vit())
    with pytest.raises(UserError, match="missing: blocks.2.*and 4 more"):
        interop.vit.from_timm(vit(depth=3), weights)
    with pytest.raises(UserError, match="unexpected: blocks.1.*and 4 more"):
        interop.vit.from_timm(vit(depth=1), weights)


def test_wrong_number_of_axes_is_misshapen():
    weights = interop.vit.to_timm(vit())
    weights["patch_embed.proj.weight"] = np.zeros((16, 48), np.float32)
    with pytest.raises(UserError, match=r"patch_embed.proj.weight \(16, 48\) instead of \(16, 3, 4, 4\)"):
        interop.vit.from_timm(vit(), weights)


def test_fixed_positions_are_compared_and_returned():
    model = vit(positions="sincos2d")
    weights = interop.vit.to_timm(model)
    assert weights["pos_embed"].shape == (1, 17, 16)
    interop.vit.from_timm(model, weights)
    with pytest.raises(UserError, match="Build the ViT with positions='learned'"):
        interop.vit.from_timm(model, weights | {"pos_embed": weights["pos_embed"] + 1})
    interop.vit.from_timm(vit(), weights)


def test_classifiers_are_passed_over():
    weights = interop.vit.to_timm(vit()) | {"head.weight": np.zeros((3, 16)), "head.bias": np.zeros(3)}
    interop.vit.from_timm(vit(), weights)


def test_stacked_and_unrolled_exchange_weights():
    abstract = lambda scan: nnx.eval_shape(lambda: ViT(**SMALL, positions="learned", scan=scan, rngs=nnx.Rngs(0)))
    one, other, again = vit(scan=True), abstract(False), abstract(True)
    interop.vit.from_timm(other, interop.vit.to_timm(one))
    interop.vit.from_timm(again, interop.vit.to_timm(other))
    assert (again.stack.blocks.mlp.out.kernel[...] == one.stack.blocks.mlp.out.kernel[...]).all()


def test_what_the_format_does_not_know_is_told():
    with pytest.raises(UserError, match="stack.blocks.0.scale1 has no counterpart"):
        interop.vit.to_transformers(vit(layer_scale=0.1))


def test_every_model_is_written_and_read(tmp_path):
    build = lambda seed: nnx.jit(lambda: ResNet(stage_sizes=(1, 1), base_width=4, rngs=nnx.Rngs(seed)))()
    one, other = build(0), build(1)
    path = tmp_path / "resnet.safetensors"
    interop.write(path, interop.resnet.to_torchvision(one))
    interop.resnet.from_torchvision(other, interop.read(path))
    assert (one.stem.kernel[...] == other.stem.kernel[...]).all()


def test_bert_needs_the_heads_that_are_asked_for():
    encoder = TextTransformer(vocab_size=9, max_length=4, width=8, depth=1, heads=2, mlp_dim=8, rngs=nnx.Rngs(0))
    weights = interop.bert.to_transformers(encoder)
    with pytest.raises(UserError, match="missing: bert.pooler.dense.bias"):
        interop.bert.from_transformers(encoder, weights, pooler=Pooler(8, rngs=nnx.Rngs(0)))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        interop.read(tmp_path / "absent.safetensors")
    damaged = tmp_path / "damaged.safetensors"
    interop.write(damaged, {"a": np.arange(100.0)})
    damaged.write_bytes(damaged.read_bytes()[:-10])
    with pytest.raises(UserError, match="damaged.safetensors cannot be read"):
        interop.read(damaged)
