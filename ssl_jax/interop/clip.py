"""Weights of CLIP, from and to Hugging Face's `CLIPModel`.

Theirs embeds patches without a bias. Ours has one, which adds the same to all patches: it is read as 0, and written as
a part of their positions.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from flax import nnx

from ssl_jax.errors import UserError
from ssl_jax.interop.layouts import LINEAR, patches
from ssl_jax.interop.table import Row, Weights, load, save
from ssl_jax.interop.vit import ACTIVATIONS
from ssl_jax.methods import CLIP
from ssl_jax.models import ViT

_VISION, _TEXT = "vision_model", "text_model"
_OURS = "backbone."
_PATCHES, _POSITIONS = f"{_VISION}.embeddings.patch_embedding", f"{_VISION}.embeddings.position_embedding.weight"
_PATCH_BIAS = f"{_PATCHES}.bias"  # ours alone


def block_rows(ours: str, theirs: str) -> tuple[Row, ...]:
    """The table of a tower's blocks; the names that the towers begin with, here and there."""
    ours, theirs = f"{ours}.stack.blocks.{{i}}", f"{theirs}.encoder.layers.{{i}}"
    attention = [f"{theirs}.self_attn.{name}_proj" for name in "qkv"]
    return (
        Row(f"{ours}.norm1.scale", f"{theirs}.layer_norm1.weight"),
        Row(f"{ours}.norm1.bias", f"{theirs}.layer_norm1.bias"),
        Row(f"{ours}.attention.qkv.kernel", tuple(f"{name}.weight" for name in attention), LINEAR),
        Row(f"{ours}.attention.qkv.bias", tuple(f"{name}.bias" for name in attention)),
        Row(f"{ours}.attention.out.kernel", f"{theirs}.self_attn.out_proj.weight", LINEAR),
        Row(f"{ours}.attention.out.bias", f"{theirs}.self_attn.out_proj.bias"),
        Row(f"{ours}.norm2.scale", f"{theirs}.layer_norm2.weight"),
        Row(f"{ours}.norm2.bias", f"{theirs}.layer_norm2.bias"),
        Row(f"{ours}.mlp.hidden.kernel", f"{theirs}.mlp.fc1.weight", LINEAR),
        Row(f"{ours}.mlp.hidden.bias", f"{theirs}.mlp.fc1.bias"),
        Row(f"{ours}.mlp.out.kernel", f"{theirs}.mlp.fc2.weight", LINEAR),
        Row(f"{ours}.mlp.out.bias", f"{theirs}.mlp.fc2.bias"),
    )


_ROWS = (
    Row("backbone.class_token", f"{_VISION}.embeddings.class_embedding"),
    Row("backbone.positions", _POSITIONS),
    Row("backbone.patch_embedding.bias", _PATCH_BIAS),
    Row("backbone.pre_norm.scale", f"{_VISION}.pre_layrnorm.weight"),
    Row("backbone.pre_norm.bias", f"{_VISION}.pre_layrnorm.bias"),
    *block_rows("backbone", _VISION),
    Row("backbone.norm.scale", f"{_VISION}.post_layernorm.weight"),
    Row("backbone.norm.bias", f"{_VISION}.post_layernorm.bias"),
    Row("image_map.kernel", "visual_projection.weight", LINEAR),
    Row("text.tokens.embedding", f"{_TEXT}.embeddings.token_embedding.weight"),
    Row("text.positions.embedding", f"{_TEXT}.embeddings.position_embedding.weight"),
    *block_rows("text", _TEXT),
    Row("text.final_norm.scale", f"{_TEXT}.final_layer_norm.weight"),
    Row("text.final_norm.bias", f"{_TEXT}.final_layer_norm.bias"),
    Row("text_map.kernel", "text_projection.weight", LINEAR),
    Row("log_scale", "logit_scale"),
)
_CONSTANTS = r"\.position_ids$"


def settings(method: CLIP) -> dict[str, Any]:
    """What a `CLIPConfig` says of both towers.

    Raises:
      UserError: the ViT is of another form.
    """
    _check_form(method.backbone)
    joint = {"projection_dim": method.text_map.out_features}
    towers = {"text_config": reader_settings(method) | joint, "vision_config": viewer_settings(method.backbone) | joint}
    return towers | joint


def reader_settings(method: nnx.Module) -> dict[str, Any]:
    """What theirs say of a text tower."""
    text = method.text
    return {
        "vocab_size": text.vocab_size,
        "hidden_size": text.features,
        "intermediate_size": text.mlp_dim,
        "num_hidden_layers": text.depth,
        "num_attention_heads": text.heads,
        "max_position_embeddings": text.max_length,
        "hidden_act": ACTIVATIONS[text.gelu],
        "layer_norm_eps": text.epsilon,
    }


def viewer_settings(backbone: ViT) -> dict[str, Any]:
    """What theirs say of a tower of pictures."""
    return {
        "hidden_size": backbone.features,
        "intermediate_size": backbone.mlp_dim,
        "num_hidden_layers": backbone.stack.depth,
        "num_attention_heads": backbone.heads,
        "image_size": backbone.image_size,
        "patch_size": backbone.patch_size,
        "num_channels": backbone.channels,
        "hidden_act": ACTIVATIONS[backbone.gelu],
        "layer_norm_eps": backbone.epsilon,
    }


def from_transformers(method: CLIP, weights: Weights) -> None:
    """Sets the parameters of both towers, their maps and the temperature.

    Raises:
      UserError: names or shapes do not fit, or the ViT is of another form; nothing is set then.
    """
    _check_form(method.backbone)
    bias = {_PATCH_BIAS: np.zeros(method.backbone.features, np.float32)}
    load(method, bias | dict(weights), _rows(method.backbone), ignored=_CONSTANTS)


def viewer_from_transformers(backbone: ViT, weights: Weights) -> None:
    """Sets the parameters of a tower of pictures from those of both towers, or of a `CLIPVisionModel`.

    Raises:
      UserError: as above.
    """
    _check_form(backbone)
    bias = {_PATCH_BIAS: np.zeros(backbone.features, np.float32)}
    load_viewer(backbone, weights, _rows(backbone), beside=bias)


def load_viewer(backbone: ViT, weights: Weights, rows: Iterable[Row], *, beside: Weights | None = None) -> None:
    """Sets a tower of pictures alone.

    Args:
      backbone: the tower.
      weights: of both towers, or of one without the name that it has beside the other.
      rows: the table of both.
      beside: what ours has and files have not.

    Raises:
      UserError: names or shapes do not fit; nothing is set then.
    """
    own = tuple(row._replace(ours=row.ours[len(_OURS) :]) for row in rows if row.ours.startswith(_OURS))
    if not any(name.startswith(f"{_VISION}.") for name in weights):
        weights = {f"{_VISION}.{name}": array for name, array in weights.items()}
    others = rf"^({_TEXT}|(visual|text)_projection|logit_(scale|bias)|{_VISION}\.head)(\.|$)"
    load(backbone, dict(beside or {}) | dict(weights), own, ignored=f"{_CONSTANTS}|{others}")


def to_transformers(method: CLIP) -> dict[str, np.ndarray]:
    """The weights under the names of published files.

    Raises:
      UserError: the ViT is of another form.
    """
    _check_form(method.backbone)
    weights = save(method, _rows(method.backbone))
    bias, positions = weights.pop(_PATCH_BIAS), weights[_POSITIONS]
    weights[_POSITIONS] = np.concatenate([positions[:1], positions[1:] + bias])
    return weights


def _rows(backbone):
    return (*_ROWS, Row("backbone.patch_embedding.kernel", f"{_PATCHES}.weight", patches(backbone.patch_size)))


def _check_form(backbone):
    if not isinstance(backbone, ViT) or None in (backbone.class_token, backbone.positions, backbone.pre_norm):
        raise UserError(
            "A clip of transformers sees by a vit: set config.model.pooling to 'cls', config.model.positions to "
            "'learned' and config.model.pre_norm to True."
        )
