"""Weights of data2vec's speech model, from and to Hugging Face's `Data2VecAudioModel`."""

from typing import Any

import numpy as np

from ssl_jax.errors import UserError
from ssl_jax.interop.layouts import CONV1D
from ssl_jax.interop.table import Row, Weights, load, rename, save
from ssl_jax.interop.wav2vec2 import TRUNK, common_settings
from ssl_jax.models import WaveformTransformer

_ROWS = (
    *TRUNK,
    Row("positions.layers.{i}.kernel", "encoder.pos_conv_embed.layers.{i}.conv.weight", CONV1D),
    Row("positions.layers.{i}.bias", "encoder.pos_conv_embed.layers.{i}.conv.bias"),
)
_PREFIX = (r"^data2vec_audio\.", "")  # of Data2VecAudioForCTC


def settings(encoder: WaveformTransformer) -> dict[str, Any]:
    """What a `Data2VecAudioConfig` says of this encoder.

    Raises:
      UserError: it is none of data2vec's form.
    """
    if encoder.position_depth == 1 or encoder.norm_first or encoder.conv_norm != "layer":
        raise UserError("data2vec's model has position_depth above 1, conv_norm 'layer' and norm_first False.")
    return common_settings(encoder) | {
        "model_type": "data2vec-audio",
        "num_conv_pos_embeddings": encoder.position_depth,
        "conv_pos_kernel_size": encoder.position_kernel,
    }


def from_transformers(encoder: WaveformTransformer, weights: Weights) -> None:
    """Sets the parameters of the encoder.

    Raises:
      UserError: names or shapes do not fit; nothing is set then.
    """
    load(encoder, rename(weights, (_PREFIX,)), _ROWS, ignored=r"^lm_head\.")


def to_transformers(encoder: WaveformTransformer) -> dict[str, np.ndarray]:
    """The weights under the names of `Data2VecAudioModel`."""
    return save(encoder, _ROWS)
