"""Weights of SigLIP, from and to Hugging Face's `SiglipModel`."""

from typing import Any

import numpy as np

from ssl_jax.errors import UserError
from ssl_jax.interop.clip import block_rows, load_viewer, reader_settings, viewer_settings
from ssl_jax.interop.layouts import LINEAR, Layout, patches
from ssl_jax.interop.table import Row, Weights, load, save
from ssl_jax.methods import SigLIP
from ssl_jax.models import ViT

_VISION, _TEXT = "vision_model", "text_model"
_POOL = f"{_VISION}.head"
_JOINED, _APART = f"{_POOL}.attention.in_proj_", (" of queries", " of keys", " of values")
_ONE = Layout(lambda x: x[0], lambda x: x[None])  # (1,) -> ()
_PROBE = Layout(lambda x: x[0, 0], lambda x: x[None, None])
_ROWS = (
    Row("backbone.positions", f"{_VISION}.embeddings.position_embedding.weight"),
    Row("backbone.patch_embedding.bias", f"{_VISION}.embeddings.patch_embedding.bias"),
    *block_rows("backbone", _VISION),
    Row("backbone.norm.scale", f"{_VISION}.post_layernorm.weight"),
    Row("backbone.norm.bias", f"{_VISION}.post_layernorm.bias"),
    Row("pool.probe", f"{_POOL}.probe", _PROBE),
    Row("pool.query.kernel", f"{_JOINED}weight{_APART[0]}", LINEAR),
    Row("pool.query.bias", f"{_JOINED}bias{_APART[0]}"),
    Row("pool.keys_values.kernel", tuple(f"{_JOINED}weight{part}" for part in _APART[1:]), LINEAR),
    Row("pool.keys_values.bias", tuple(f"{_JOINED}bias{part}" for part in _APART[1:])),
    Row("pool.out.kernel", f"{_POOL}.attention.out_proj.weight", LINEAR),
    Row("pool.out.bias", f"{_POOL}.attention.out_proj.bias"),
    Row("pool.norm.scale", f"{_POOL}.layernorm.weight"),
    Row("pool.norm.bias", f"{_POOL}.layernorm.bias"),
    Row("pool.mlp.hidden.kernel", f"{_POOL}.mlp.fc1.weight", LINEAR),
    Row("pool.mlp.hidden.bias", f"{_POOL}.mlp.fc1.bias"),
    Row("pool.mlp.out.kernel", f"{_POOL}.mlp.fc2.weight", LINEAR),
    Row("pool.mlp.out.bias", f"{_POOL}.mlp.fc2.bias"),
    Row("text.tokens.embedding", f"{_TEXT}.embeddings.token_embedding.weight"),
    Row("text.positions.embedding", f"{_TEXT}.embeddings.position_embedding.weight"),
    *block_rows("text", _TEXT),
    Row("text.final_norm.scale", f"{_TEXT}.final_layer_norm.weight"),
    Row("text.final_norm.bias", f"{_TEXT}.final_layer_norm.bias"),
    Row("text_map.kernel", f"{_TEXT}.head.weight", LINEAR),
    Row("text_map.bias", f"{_TEXT}.head.bias"),
    Row("log_scale", "logit_scale", _ONE),
    Row("bias", "logit_bias", _ONE),
)
_CONSTANTS = r"\.position_ids$"


def settings(method: SigLIP) -> dict[str, Any]:
    """What a `SiglipConfig` says of both towers.

    Raises:
      UserError: the ViT is of another form.
    """
    _check_form(method.backbone)
    reader = reader_settings(method) | {"projection_size": method.text_map.out_features}
    return {"text_config": reader, "vision_config": viewer_settings(method.backbone)}


def from_transformers(method: SigLIP, weights: Weights) -> None:
    """Sets the parameters of both towers, their heads, the temperature and the bias.

    Raises:
      UserError: names or shapes do not fit, or the ViT is of another form; nothing is set then.
    """
    _check_form(method.backbone)
    load(method, _apart(weights), _rows(method.backbone), ignored=_CONSTANTS)


def viewer_from_transformers(backbone: ViT, weights: Weights) -> None:
    """Sets the parameters of a tower of pictures, without its pooling, of both towers or a `SiglipVisionModel`.

    Raises:
      UserError: as above.
    """
    _check_form(backbone)
    load_viewer(backbone, weights, _rows(backbone))


def to_transformers(method: SigLIP) -> dict[str, np.ndarray]:
    """The weights under the names of published files.

    Raises:
      UserError: the ViT is of another form.
    """
    _check_form(method.backbone)
    return _joined(save(method, _rows(method.backbone)))


def _apart(weights: Weights) -> dict[str, np.ndarray]:
    """Queries, keys and values of the pooling have arrays of their own."""
    weights = dict(weights)
    for kind in ("weight", "bias"):
        if f"{_JOINED}{kind}" in weights:
            joined = np.atleast_1d(weights.pop(f"{_JOINED}{kind}"))
            parts = np.array_split(joined, len(_APART))  # of whatever shape: `load` says which do not fit
            weights |= {f"{_JOINED}{kind}{name}": part for name, part in zip(_APART, parts)}
    return weights


def _joined(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inverse of `_apart`."""
    for kind in ("weight", "bias"):
        weights[f"{_JOINED}{kind}"] = np.concatenate([weights.pop(f"{_JOINED}{kind}{name}") for name in _APART])
    return weights


def _rows(backbone):
    weight, layout = f"{_VISION}.embeddings.patch_embedding.weight", patches(backbone.patch_size)
    return (*_ROWS, Row("backbone.patch_embedding.kernel", weight, layout))


def _check_form(backbone):
    if backbone.positions is None or backbone.pre_norm is not None:
        raise UserError(
            "A siglip of transformers sees by a vit: set config.model.positions to 'learned' and leave out pre_norm."
        )
