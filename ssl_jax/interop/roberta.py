"""Weights of RoBERTa, from and to Hugging Face's `RobertaModel` and `RobertaForMaskedLM`.

Their positions are counted from the number of the padding token and one more, 2 in what is published: the rows before
are used at padding alone, if at all, and are zeros in what is written here.
"""

from typing import Any

import numpy as np

from ssl_jax.errors import UserError
from ssl_jax.interop import bert
from ssl_jax.interop.layouts import LINEAR, after
from ssl_jax.interop.table import Parts, Row, Weights, load, rename, save, unused
from ssl_jax.models import MLMHead, Pooler, TextTransformer


def _rows(theirs: str, pad_id: int) -> tuple[Row, ...]:
    return (
        *bert.encoder_rows(theirs, positions=after(pad_id + 1)),
        Row("pooler.dense.kernel", f"{theirs}.pooler.dense.weight", LINEAR),
        Row("pooler.dense.bias", f"{theirs}.pooler.dense.bias"),
        Row("mlm_head.dense.kernel", "lm_head.dense.weight", LINEAR),
        Row("mlm_head.dense.bias", "lm_head.dense.bias"),
        Row("mlm_head.norm.scale", "lm_head.layer_norm.weight"),
        Row("mlm_head.norm.bias", "lm_head.layer_norm.bias"),
        Row("mlm_head.bias", "lm_head.bias"),
    )


def from_transformers(
    encoder: TextTransformer,
    weights: Weights,
    *,
    pooler: Pooler | None = None,
    mlm_head: MLMHead | None = None,
    pad_id: int = 1,
    theirs: str = "roberta",
) -> None:
    """Sets the parameters of the encoder, and of the heads that are given.

    Args:
      encoder, pooler, mlm_head: ours.
      weights: theirs.
      pad_id: their padding token.
      theirs: what the names of their encoder begin with; that of data2vec is built alike.

    Raises:
      UserError: names or shapes do not fit; nothing is set then.
    """
    parts = Parts(encoder=encoder, pooler=pooler, mlm_head=mlm_head)
    weights = rename(weights, [(r"^(embeddings|encoder|pooler)\.", rf"{theirs}.\1.")])
    repeated = rf"^lm_head\.decoder\.|^{theirs}\.embeddings\.position_ids$"
    heads = {rf"{theirs}\.pooler": pooler, "lm_head": mlm_head}
    load(parts, weights, _rows(theirs, pad_id), ignored=f"{repeated}|{unused(heads)}")


def to_transformers(
    encoder: TextTransformer,
    *,
    pooler: Pooler | None = None,
    mlm_head: MLMHead | None = None,
    pad_id: int = 1,
    theirs: str = "roberta",
) -> dict[str, np.ndarray]:
    """The weights under the names of `RobertaForMaskedLM`; those that it ties appear once."""
    return save(Parts(encoder=encoder, pooler=pooler, mlm_head=mlm_head), _rows(theirs, pad_id))


def settings(encoder: TextTransformer, *, pad_id: int = 1, kind: str = "roberta") -> dict[str, Any]:
    """What a `RobertaConfig` says of this encoder, or that of another `kind`, when the padding token is `pad_id`.

    Raises:
      UserError: it is none of RoBERTa's form.
    """
    bert.check_form(encoder, kind)
    if kind == "roberta" and encoder.gelu != "exact":
        raise UserError(f"config.model.gelu {encoder.gelu!r}: transformers' head of {kind} has 'exact' alone.")
    moved = {"max_position_embeddings": encoder.max_length + pad_id + 1, "pad_token_id": pad_id}
    return bert.common_settings(encoder) | moved | {"model_type": kind}
