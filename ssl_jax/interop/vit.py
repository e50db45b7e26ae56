"""Weights of vision transformers, from and to timm and Hugging Face.

`ViTModel`, `ViTMSNModel` and `IJepaModel` have the same names; only the last has no class token, and only the first may
have a pooler, which ours have not: transformers starts one at random, unless it is told `add_pooling_layer=False`.
timm's models that average patches need `class_token=False, fc_norm=False`: ours have no class token then, and normalise
before they average.
Hugging Face's layer normalisations add 1e-12 to the variance where ours add 1e-6 (set `layer_norm_eps=1e-6` there).
"""

from typing import Any

import numpy as np

from ssl_jax.errors import UserError
from ssl_jax.interop.layouts import LINEAR, ROW, TABLE, patches
from ssl_jax.interop.table import Row, Weights, load, rename, save
from ssl_jax.models import ViT
from ssl_jax.models.positions import sincos2d

_TIMM = (
    Row("class_token", "cls_token", ROW),
    Row("positions", "pos_embed", TABLE),
    Row("patch_embedding.bias", "patch_embed.proj.bias"),
    Row("stack.blocks.{i}.norm1.scale", "blocks.{i}.norm1.weight"),
    Row("stack.blocks.{i}.norm1.bias", "blocks.{i}.norm1.bias"),
    Row("stack.blocks.{i}.attention.qkv.kernel", "blocks.{i}.attn.qkv.weight", LINEAR),
    Row("stack.blocks.{i}.attention.qkv.bias", "blocks.{i}.attn.qkv.bias"),
    Row("stack.blocks.{i}.attention.out.kernel", "blocks.{i}.attn.proj.weight", LINEAR),
    Row("stack.blocks.{i}.attention.out.bias", "blocks.{i}.attn.proj.bias"),
    Row("stack.blocks.{i}.scale1", "blocks.{i}.ls1.gamma"),
    Row("stack.blocks.{i}.norm2.scale", "blocks.{i}.norm2.weight"),
    Row("stack.blocks.{i}.norm2.bias", "blocks.{i}.norm2.bias"),
    Row("stack.blocks.{i}.mlp.hidden.kernel", "blocks.{i}.mlp.fc1.weight", LINEAR),
    Row("stack.blocks.{i}.mlp.hidden.bias", "blocks.{i}.mlp.fc1.bias"),
    Row("stack.blocks.{i}.mlp.out.kernel", "blocks.{i}.mlp.fc2.weight", LINEAR),
    Row("stack.blocks.{i}.mlp.out.bias", "blocks.{i}.mlp.fc2.bias"),
    Row("stack.blocks.{i}.scale2", "blocks.{i}.ls2.gamma"),
    Row("norm.scale", "norm.weight"),
    Row("norm.bias", "norm.bias"),
)


def transformers_attention(ours: str, theirs: str) -> tuple[Row, ...]:
    """The table of a block's attention in Hugging Face's vision transformers; `ours` and `theirs` name the block."""
    parts = [f"{theirs}.attention.attention.{name}" for name in ("query", "key", "value")]
    return (
        Row(f"{ours}.attention.qkv.kernel", tuple(f"{name}.weight" for name in parts), LINEAR),
        Row(f"{ours}.attention.qkv.bias", tuple(f"{name}.bias" for name in parts)),
        Row(f"{ours}.attention.out.kernel", f"{theirs}.attention.output.dense.weight", LINEAR),
        Row(f"{ours}.attention.out.bias", f"{theirs}.attention.output.dense.bias"),
    )


def transformers_blocks(theirs: str) -> tuple[Row, ...]:
    """The table of one of Hugging Face's stacks of blocks, in the names of published checkpoints.

    Args:
      theirs: what their names begin with, up to the block's number: 'encoder.layer'.
    """
    ours, theirs = "stack.blocks.{i}", theirs + ".{i}"
    return (
        Row(f"{ours}.norm1.scale", f"{theirs}.layernorm_before.weight"),
        Row(f"{ours}.norm1.bias", f"{theirs}.layernorm_before.bias"),
        *transformers_attention(ours, theirs),
        Row(f"{ours}.norm2.scale", f"{theirs}.layernorm_after.weight"),
        Row(f"{ours}.norm2.bias", f"{theirs}.layernorm_after.bias"),
        Row(f"{ours}.mlp.hidden.kernel", f"{theirs}.intermediate.dense.weight", LINEAR),
        Row(f"{ours}.mlp.hidden.bias", f"{theirs}.intermediate.dense.bias"),
        Row(f"{ours}.mlp.out.kernel", f"{theirs}.output.dense.weight", LINEAR),
        Row(f"{ours}.mlp.out.bias", f"{theirs}.output.dense.bias"),
    )


_TRANSFORMERS = (
    Row("class_token", "embeddings.cls_token", ROW),
    Row("positions", "embeddings.position_embeddings", TABLE),
    Row("patch_embedding.bias", "embeddings.patch_embeddings.projection.bias"),
    *transformers_blocks("encoder.layer"),
    Row("norm.scale", "layernorm.weight"),
    Row("norm.bias", "layernorm.bias"),
)

# transformers 5 holds the weights under new names in memory; published files keep the old ones.
ATTENTION_RENAMED = (
    (r"attention\.([qkv])_proj", lambda m: "attention.attention." + {"q": "query", "k": "key", "v": "value"}[m[1]]),
    (r"attention\.o_proj", "attention.output.dense"),
)
TRANSFORMERS_RENAMED = (
    (r"(^|\.)layers\.(\d+)", r"\1encoder.layer.\2"),
    *ATTENTION_RENAMED,
    (r"mlp\.fc1", "intermediate.dense"),
    (r"mlp\.fc2", "output.dense"),
)


def from_timm(model: ViT, weights: Weights) -> None:
    """Sets the parameters of `model` to those of timm's `VisionTransformer`, given as its state dict in NumPy.

    Raises:
      UserError: names or shapes do not fit, or a model with sin-cos positions is given others; nothing is set then.
    """
    weights = take_positions(model, dict(weights), "pos_embed")
    load(model, weights, _rows(model, _TIMM, "patch_embed.proj.weight"), ignored=r"^(head|fc_norm)\.")


def to_timm(model: ViT) -> dict[str, np.ndarray]:
    """The weights of `model` as a state dict for timm's `VisionTransformer` with `num_classes=0`."""
    return save(model, _rows(model, _TIMM, "patch_embed.proj.weight")) | give_positions(model, "pos_embed")


def from_transformers(model: ViT, weights: Weights) -> None:
    """Sets the parameters of `model` to those of Hugging Face's `ViTModel`, or the encoder of a model that holds one.

    Raises:
      UserError: as for `from_timm`, or one has a class token and the other none.
    """
    weights = rename(weights, ((r"^(vit|ijepa)\.", ""), *TRANSFORMERS_RENAMED))
    check_class_token(model, "embeddings.cls_token" in weights)
    weights = take_positions(model, weights, "embeddings.position_embeddings")
    load(model, weights, transformers_rows(model), ignored=r"^(decoder|pooler|classifier)\.|mask_token")


def to_transformers(model: ViT) -> dict[str, np.ndarray]:
    """The weights of `model` under the names that published `ViTModel` checkpoints have."""
    return save(model, transformers_rows(model)) | give_positions(model, "embeddings.position_embeddings")


ACTIVATIONS = {"exact": "gelu", "tanh": "gelu_pytorch_tanh", "quick": "quick_gelu"}


def common_settings(model: ViT) -> dict[str, Any]:
    """The settings of a ViT under the names that they have in the configurations of all of Hugging Face's.

    Raises:
      UserError: it reads clips.
    """
    if model.frames is not None:
        raise UserError("transformers has no ViT of clips as this one: config.model.frames must be None.")
    return {
        "hidden_size": model.features,
        "num_hidden_layers": model.stack.depth,
        "num_attention_heads": model.heads,
        "intermediate_size": model.mlp_dim,
        "hidden_act": ACTIVATIONS[model.gelu],
        "hidden_dropout_prob": model.dropout,
        "attention_probs_dropout_prob": model.attention_dropout,
        "layer_norm_eps": model.norm.epsilon,
        "image_size": model.image_size if model.image_size == model.image_width else list(model.image_shape[:2]),
        "patch_size": model.patch_size,
        "num_channels": model.channels,
        "qkv_bias": True,
    }


def settings(model: ViT) -> dict[str, Any]:
    """What a `ViTConfig` or a `ViTMSNConfig` says of this network, or without a class token an `IJepaConfig`.

    Its `model_type` is not among it.

    Raises:
      UserError: its positions are relative, or its branches are scaled.
    """
    if model.relative is not None:
        raise UserError("A ViT of transformers adds positions to patches: config.model.positions is 'relative' here.")
    if model.layer_scale is not None:
        raise UserError(f"A ViT of transformers has no config.model.layer_scale, here it is {model.layer_scale}.")
    return common_settings(model)


def check_class_token(model: ViT, given: bool) -> None:
    """Refuses weights with a class token for a network that has none, and the other way round.

    Raises:
      UserError: so it is.
    """
    if given and model.class_token is None:
        raise UserError("These weights have a class token: set config.model.pooling to 'cls'.")
    if not given and model.class_token is not None:
        raise UserError("These weights have no class token (embeddings.cls_token): set config.model.pooling to 'mean'.")


def transformers_rows(model: ViT) -> tuple[Row, ...]:
    """The table for Hugging Face's `ViTModel`."""
    return _rows(model, _TRANSFORMERS, "embeddings.patch_embeddings.projection.weight")


def _rows(model, rows, patch_weight):
    return (*rows, Row("patch_embedding.kernel", patch_weight, patches(model.patch_size)))


def take_positions(model: ViT, weights: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """`weights` without the position table, if that is the one `model` computes instead of holding it.

    Raises:
      UserError: `model` has fixed positions, and the table holds others.
    """
    if model.positions is not None or name not in weights:
        return weights
    table = give_positions(model, name)[name]
    if weights[name].shape != table.shape or not np.allclose(weights[name], table, atol=1e-5):
        raise UserError(f"{name} holds other positions than sin-cos. Build the ViT with positions='learned'.")
    return {key: array for key, array in weights.items() if key != name}


def give_positions(model: ViT, name: str) -> dict[str, np.ndarray]:
    """The fixed positions of `model` as the table that others hold; nothing if they are learned (weights, then)."""
    if model.positions is not None:
        return {}
    table = sincos2d(model.grid, model.features)
    if model.class_token is not None:
        table = np.concatenate([np.zeros_like(table[:1]), table])
    return {name: table[None]}
