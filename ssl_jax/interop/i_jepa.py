"""Weights of I-JEPA's encoder, from and to Hugging Face's `IJepaModel`: the names of `ViTModel`, without a class token.

The predictor has no counterpart there. Layer normalisations add 1e-12 to the variance by default, ours and the official
code 1e-6.
"""

from typing import Any

import numpy as np

from ssl_jax.errors import UserError
from ssl_jax.interop import vit
from ssl_jax.interop.table import Weights
from ssl_jax.models import ViT


def from_transformers(model: ViT, weights: Weights) -> None:
    """Sets the parameters of `model`.

    Raises:
      UserError: names or shapes do not fit; nothing is set then.
    """
    _check_form(model)
    vit.from_transformers(model, weights)


def to_transformers(model: ViT) -> dict[str, np.ndarray]:
    """The weights of `model` under the names of published checkpoints.

    Raises:
      UserError: it has a class token, relative positions or scaled branches.
    """
    _check_form(model)
    return vit.to_transformers(model)


def settings(model: ViT) -> dict[str, Any]:
    """What an `IJepaConfig` says of this network, but for its `model_type`.

    Raises:
      UserError: it has a class token, relative positions or scaled branches.
    """
    _check_form(model)
    return vit.settings(model)


def _check_form(model):
    if model.class_token is not None:
        raise UserError("An I-JEPA of transformers has no class token: set config.model.pooling to 'mean'.")
