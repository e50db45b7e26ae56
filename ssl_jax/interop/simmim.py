"""Weights of SimMIM, from and to Hugging Face's `ViTForMaskedImageModeling`.

That is a ViT with added positions and a class token; the authors' own has relative ones (their code, `vit.py`).
"""

from typing import Any

import numpy as np
from flax import nnx

from ssl_jax.interop import vit
from ssl_jax.interop.layouts import ROW, pixel_kernel, pixels
from ssl_jax.interop.table import Parts, Row, Weights, load, nested, rename, save
from ssl_jax.models import ViT

_POSITIONS = "vit.embeddings.position_embeddings"


def from_transformers(encoder: ViT, weights: Weights, *, mask_token: nnx.Param, prediction: nnx.Linear) -> None:
    """Sets the parameters of the encoder, of the mask token and of the layer that predicts pixels.

    Raises:
      UserError: names or shapes do not fit; nothing is set then.
    """
    weights = rename(weights, vit.TRANSFORMERS_RENAMED)
    vit.check_class_token(encoder, "vit.embeddings.cls_token" in weights)
    weights = vit.take_positions(encoder, weights, _POSITIONS)
    load(Parts(encoder=encoder, mask_token=mask_token, prediction=prediction), weights, _rows(encoder))


def to_transformers(encoder: ViT, *, mask_token: nnx.Param, prediction: nnx.Linear) -> dict[str, np.ndarray]:
    """The weights under the names that published `ViTForMaskedImageModeling` checkpoints have."""
    theirs = save(Parts(encoder=encoder, mask_token=mask_token, prediction=prediction), _rows(encoder))
    return theirs | vit.give_positions(encoder, _POSITIONS)


def settings(encoder: ViT) -> dict[str, Any]:
    """What a `ViTConfig` says of this encoder and of the layer that predicts pixels.

    Raises:
      UserError: its positions are relative, or its branches are scaled.
    """
    return vit.settings(encoder) | {"model_type": "vit", "encoder_stride": encoder.patch_size}


def _rows(encoder):
    return (
        *nested(vit.transformers_rows(encoder), "encoder", "vit"),
        Row("mask_token", "vit.embeddings.mask_token", ROW),
        Row("prediction.kernel", "decoder.0.weight", pixel_kernel(encoder.patch_size)),
        Row("prediction.bias", "decoder.0.bias", pixels(encoder.patch_size)),
    )
