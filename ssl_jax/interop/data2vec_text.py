"""Weights of data2vec's text model, from and to Hugging Face's `Data2VecTextModel` and `...ForMaskedLM`.

It is RoBERTa under other names.
"""

from typing import Any

import numpy as np

from ssl_jax.interop import roberta
from ssl_jax.interop.table import Weights
from ssl_jax.models import MLMHead, Pooler, TextTransformer

_NAME = "data2vec_text"


def from_transformers(
    encoder: TextTransformer,
    weights: Weights,
    *,
    pooler: Pooler | None = None,
    mlm_head: MLMHead | None = None,
    pad_id: int = 1,
) -> None:
    """Sets the parameters of the encoder, and of the heads that are given; `pad_id` as for `roberta`.

    Raises:
      UserError: names or shapes do not fit; nothing is set then.
    """
    roberta.from_transformers(encoder, weights, pooler=pooler, mlm_head=mlm_head, pad_id=pad_id, theirs=_NAME)


def to_transformers(
    encoder: TextTransformer, *, pooler: Pooler | None = None, mlm_head: MLMHead | None = None, pad_id: int = 1
) -> dict[str, np.ndarray]:
    """The weights under the names of `Data2VecTextForMaskedLM`; those that it ties appear once."""
    return roberta.to_transformers(encoder, pooler=pooler, mlm_head=mlm_head, pad_id=pad_id, theirs=_NAME)


def settings(encoder: TextTransformer, *, pad_id: int = 1) -> dict[str, Any]:
    """What a `Data2VecTextConfig` says of this encoder.

    Raises:
      UserError: it is none of RoBERTa's form.
    """
    return roberta.settings(encoder, pad_id=pad_id, kind="data2vec-text")
