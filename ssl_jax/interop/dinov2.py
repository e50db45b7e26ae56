"""Weights of DINOv2's form of a ViT (layer scale), from and to Hugging Face's `Dinov2Model`.

Pictures of another size than `config.model.image_size` differ: positions are resized there without the tenth that ours
and the official code add (`models.positions.resize_positions`).
"""

from typing import Any

import numpy as np

from ssl_jax.errors import UserError
from ssl_jax.interop import vit
from ssl_jax.interop.layouts import LINEAR, ROW, TABLE, patches
from ssl_jax.interop.table import Row, Weights, load, rename, save
from ssl_jax.models import ViT

_OURS, _THEIRS = "stack.blocks.{i}", "encoder.layer.{i}"
_POSITIONS = "embeddings.position_embeddings"
_ROWS = (
    Row("class_token", "embeddings.cls_token", ROW),
    Row("positions", _POSITIONS, TABLE),
    Row("patch_embedding.bias", "embeddings.patch_embeddings.projection.bias"),
    Row(f"{_OURS}.norm1.scale", f"{_THEIRS}.norm1.weight"),
    Row(f"{_OURS}.norm1.bias", f"{_THEIRS}.norm1.bias"),
    *vit.transformers_attention(_OURS, _THEIRS),
    Row(f"{_OURS}.scale1", f"{_THEIRS}.layer_scale1.lambda1"),
    Row(f"{_OURS}.norm2.scale", f"{_THEIRS}.norm2.weight"),
    Row(f"{_OURS}.norm2.bias", f"{_THEIRS}.norm2.bias"),
    Row(f"{_OURS}.mlp.hidden.kernel", f"{_THEIRS}.mlp.fc1.weight", LINEAR),
    Row(f"{_OURS}.mlp.hidden.bias", f"{_THEIRS}.mlp.fc1.bias"),
    Row(f"{_OURS}.mlp.out.kernel", f"{_THEIRS}.mlp.fc2.weight", LINEAR),
    Row(f"{_OURS}.mlp.out.bias", f"{_THEIRS}.mlp.fc2.bias"),
    Row(f"{_OURS}.scale2", f"{_THEIRS}.layer_scale2.lambda1"),
    Row("norm.scale", "layernorm.weight"),
    Row("norm.bias", "layernorm.bias"),
)


def from_transformers(model: ViT, weights: Weights) -> None:
    """Sets the parameters of `model`.

    Raises:
      UserError: names or shapes do not fit; nothing is set then.
    """
    _check_form(model)
    weights = rename(weights, ((r"^dinov2\.", ""), *vit.ATTENTION_RENAMED))
    weights = vit.take_positions(model, weights, _POSITIONS)
    load(model, weights, _rows(model), ignored=r"^classifier\.|mask_token$")


def to_transformers(model: ViT) -> dict[str, np.ndarray]:
    """The weights of `model` under the names of published checkpoints, without a mask token.

    Raises:
      UserError: it is none of DINOv2's form.
    """
    _check_form(model)
    return save(model, _rows(model)) | vit.give_positions(model, _POSITIONS)


def settings(model: ViT) -> dict[str, Any]:
    """What a `Dinov2Config` says of this network, but for its `model_type`.

    Raises:
      UserError: it is none of DINOv2's form.
    """
    _check_form(model)
    if model.mlp_dim % model.features:
        whole = f"config.model.mlp_dim is a multiple of the width {model.features}, here it is {model.mlp_dim}"
        raise UserError(f"In a DINOv2 of transformers {whole}.")
    common = {name: value for name, value in vit.common_settings(model).items() if name != "intermediate_size"}
    return common | {
        "mlp_ratio": model.mlp_dim // model.features,
        "layerscale_value": model.layer_scale,
        "drop_path_rate": model.drop_path,
        "use_swiglu_ffn": False,
        "use_mask_token": False,
    }


def _rows(model):
    weight = "embeddings.patch_embeddings.projection.weight"
    return (*_ROWS, Row("patch_embedding.kernel", weight, patches(model.patch_size)))


def _check_form(model):
    if model.layer_scale is None or model.class_token is None or model.relative is not None:
        raise UserError(
            "A DINOv2 of transformers has scaled branches, a class token and added positions: set "
            "config.model.layer_scale, config.model.pooling to 'cls' and config.model.positions to 'learned'."
        )
