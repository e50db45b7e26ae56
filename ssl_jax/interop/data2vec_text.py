"""Weights of data2vec's text model, from and to Hugging Face's `Data2VecTextModel` and `...ForMaskedLM`.

It is RoBERTa under other names.
"""

from typing import Any

import numpy as np

from ssl_jax.interop import roberta
from ssl_jax.interop.table import Weights
from ssl_jax.models import MLMHead, Pooler, TextTransformer


def from_transformers(
    encoder: TextTransformer, weights: Weights, *, pooler: Pooler | None = None, mlm_head: MLMHead | None = None
) -> None:
    """Sets the parameters of the encoder, and of the heads that are given.

    Raises:
      UserError: names or shapes do not fit; nothing is set then.
    """
    roberta.from_transformers(encoder, weights, pooler=pooler, mlm_head=mlm_head, theirs="data2vec_text")


def to_transformers(
    encoder: TextTransformer, *, pooler: Pooler | None = None, mlm_head: MLMHead | None = None
) -> dict[str, np.ndarray]:
    """The weights under the names of `Data2VecTextForMaskedLM`; those that it ties appear once."""
    return roberta.to_transformers(encoder, pooler=pooler, mlm_head=mlm_head, theirs="data2vec_text")


def settings(encoder: TextTransformer) -> dict[str, Any]:
    """What a `Data2VecTextConfig` says of this encoder.

    Raises:
      UserError: it is none of RoBERTa's form.
    """
    return roberta.settings(encoder, "data2vec-text")
