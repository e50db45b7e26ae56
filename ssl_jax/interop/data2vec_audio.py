"""Weights of data2vec's speech model, from and to Hugging Face's `Data2VecAudioModel`."""

import numpy as np

from ssl_jax.interop.layouts import CONV1D
from ssl_jax.interop.table import Row, Weights, load, rename, save
from ssl_jax.interop.wav2vec2 import TRUNK
from ssl_jax.models import WaveformTransformer

_ROWS = (
    *TRUNK,
    Row("positions.layers.{i}.kernel", "encoder.pos_conv_embed.layers.{i}.conv.weight", CONV1D),
    Row("positions.layers.{i}.bias", "encoder.pos_conv_embed.layers.{i}.conv.bias"),
)
_PREFIX = (r"^data2vec_audio\.", "")  # of Data2VecAudioForCTC


def from_transformers(encoder: WaveformTransformer, weights: Weights) -> None:
    """Sets the parameters of the encoder.

    Raises:
      UserError: names or shapes do not fit; nothing is set then.
    """
    load(encoder, rename(weights, (_PREFIX,)), _ROWS, ignored=r"^lm_head\.")


def to_transformers(encoder: WaveformTransformer) -> dict[str, np.ndarray]:
    """The weights under the names of `Data2VecAudioModel`."""
    return save(encoder, _ROWS)
