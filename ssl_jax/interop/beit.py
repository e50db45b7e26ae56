"""Weights of BEiT and data2vec (vision), from and to Hugging Face's `BeitModel`, `BeitForMaskedImageModeling` and
`Data2VecVisionModel`.

Of relative positions all blocks share one table, as in published files of models that were not fine-tuned
(`use_shared_relative_position_bias`); those that are fine-tuned have one for each block, and cannot be read. Keys have
no bias there. Ours have one that changes nothing, since it adds the same to all scores of a query: it is read as 0, and
left out of what is written. Their layer normalisations add 1e-12 to the variance by default, ours and the official code
1e-6.

With a prediction of visual tokens, the last layer normalisation is that of `BeitForMaskedImageModeling`, whose network
has none of its own where `use_mean_pooling` is True, as by default and in published files.
"""

import re
from typing import Any

import numpy as np
from flax import nnx

from ssl_jax.errors import UserError
from ssl_jax.interop.layouts import LINEAR, ROW, patches
from ssl_jax.interop.table import Parts, Row, Weights, load, rename, save
from ssl_jax.interop.vit import TRANSFORMERS_RENAMED, common_settings, transformers_blocks
from ssl_jax.models import ViT

_KEY_BIAS = "encoder.layer.{i}.attention.attention.key.bias"
_ROWS = (
    Row("encoder.class_token", "embeddings.cls_token", ROW),
    Row("mask_token", "embeddings.mask_token", ROW),
    Row("encoder.patch_embedding.bias", "embeddings.patch_embeddings.projection.bias"),
    Row("encoder.relative", "encoder.relative_position_bias.relative_position_bias_table"),
    *(Row(f"encoder.{row.ours}", row.theirs, row.layout) for row in transformers_blocks("encoder.layer")),
    Row("encoder.stack.blocks.{i}.scale1", "encoder.layer.{i}.lambda_1"),
    Row("encoder.stack.blocks.{i}.scale2", "encoder.layer.{i}.lambda_2"),
    Row("encoder.norm.scale", "layernorm.weight"),
    Row("encoder.norm.bias", "layernorm.bias"),
    Row("prediction.kernel", "lm_head.weight", LINEAR),
    Row("prediction.bias", "lm_head.bias"),
)
# What holds the network differs from class to class, and names in memory from those of files.
_RENAMED = (
    (r"^(beit|data2vec_vision)\.", ""),
    (r"shared_position_bias\.", "encoder.relative_position_bias."),
    *TRANSFORMERS_RENAMED,
)


def from_transformers(
    encoder: ViT,
    weights: Weights,
    *,
    mask_token: nnx.Param | None = None,
    prediction: nnx.Linear | None = None,
) -> None:
    """Sets the parameters of the encoder, and of a mask token and a prediction of visual tokens where they are given.

    Raises:
      UserError: names or shapes do not fit, or there are two last layer normalisations; nothing is set then.
    """
    _check_form(encoder)
    _check_one_norm(weights)
    weights = rename(weights, _RENAMED)
    width = encoder.features
    for index in range(encoder.stack.depth):
        weights.setdefault(_KEY_BIAS.format(i=index), np.zeros(width, np.float32))
    unused = [r"relative_position_index$", r"^(pooler|classifier)\."]
    unused += [] if mask_token is not None else [r"mask_token$"]
    unused += [] if prediction is not None else [r"^lm_head\."]
    parts = Parts(encoder=encoder, mask_token=mask_token, prediction=prediction)
    load(parts, weights, _rows(encoder), ignored="|".join(unused))


def to_transformers(
    encoder: ViT, *, mask_token: nnx.Param | None = None, prediction: nnx.Linear | None = None
) -> dict[str, np.ndarray]:
    """The weights under the names of published files: of `BeitForMaskedImageModeling` where `prediction` is given.

    Raises:
      UserError: the encoder has other positions, or no class token.
    """
    _check_form(encoder)
    named = save(Parts(encoder=encoder, mask_token=mask_token, prediction=prediction), _rows(encoder))
    named = {name: array for name, array in named.items() if not re.fullmatch(r".*\.attention\.key\.bias", name)}
    if prediction is None:
        return named
    return {name if _of_head(name) else f"beit.{name}": array for name, array in named.items()}


def _of_head(name: str) -> bool:
    return name.startswith(("layernorm.", "lm_head."))


def settings(encoder: ViT) -> dict[str, Any]:
    """What a `BeitConfig` or a `Data2VecVisionConfig` says of this encoder, but for its `model_type`.

    Raises:
      UserError: it has other positions, or no class token.
    """
    _check_form(encoder)
    return common_settings(encoder) | {
        "use_absolute_position_embeddings": False,
        "use_relative_position_bias": False,
        "use_shared_relative_position_bias": True,
        "use_mean_pooling": False,  # where it is, the states come without their last normalisation
        "layer_scale_init_value": encoder.layer_scale or 0.0,
        "drop_path_rate": encoder.drop_path,
    }


def _rows(encoder):
    weight = "embeddings.patch_embeddings.projection.weight"
    return (*_ROWS, Row("encoder.patch_embedding.kernel", weight, patches(encoder.patch_size)))


def _check_form(encoder):
    if encoder.relative is None or encoder.class_token is None:
        raise UserError(
            "A BEiT of transformers has relative positions and a class token: set config.model.positions to "
            "'relative' and config.model.pooling to 'cls'."
        )


def _check_one_norm(weights):
    if "layernorm.weight" in weights and "beit.layernorm.weight" in weights:
        raise UserError(
            "These weights have two last layer normalisations, beit.layernorm and layernorm: ours has one, as a "
            "BeitForMaskedImageModeling with use_mean_pooling True."
        )
