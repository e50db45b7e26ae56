"""Weights that do not fit, files that cannot be read: the message names what is wrong, and nothing is set."""

from functools import cache

import numpy as np
import pytest
from flax import nnx

from ssl_jax import interop
from ssl_jax.errors import UserError
from ssl_jax.models import Pooler, ResNet, TextTransformer, ViT

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
