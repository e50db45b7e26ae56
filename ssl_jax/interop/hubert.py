"""Weights of HuBERT, from and to Hugging Face's `HubertModel`: those of wav2vec 2.0's encoder under the same names."""

from typing import Any

import numpy as np

from ssl_jax.interop import wav2vec2
from ssl_jax.interop.table import Weights, load, rename, save
from ssl_jax.interop.wav2vec2 import ENCODER, RENAMED
from ssl_jax.models import WaveformTransformer

_PREFIX = (r"^hubert\.", "")  # of HubertForCTC


def from_transformers(encoder: WaveformTransformer, weights: Weights) -> None:
    """Sets the parameters of the encoder; Hugging Face's model has no head for pretraining.

    Raises:
      UserError: names or shapes do not fit; nothing is set then.
    """
    load(encoder, rename(weights, (*RENAMED, _PREFIX)), ENCODER, ignored=r"^lm_head\.")


def to_transformers(encoder: WaveformTransformer) -> dict[str, np.ndarray]:
    """The weights under the names of `HubertModel`."""
    return save(encoder, ENCODER)


def settings(encoder: WaveformTransformer) -> dict[str, Any]:
    """What a `HubertConfig` says of this encoder; raises as that of wav2vec 2.0 does."""
    return wav2vec2.settings(encoder) | {"model_type": "hubert"}
