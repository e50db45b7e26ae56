"""Weights of BERT, from and to Hugging Face's `BertModel` and `BertForPreTraining`."""

import numpy as np

from ssl_jax.interop.layouts import LINEAR
from ssl_jax.interop.table import Parts, Row, Weights, load, rename, save
from ssl_jax.models import MLMHead, NextSentenceHead, Pooler, TextTransformer

_LAYER = "bert.encoder.layer.{i}"
_QKV = tuple(f"{_LAYER}.attention.self.{name}" for name in ("query", "key", "value"))
_BLOCK = "encoder.stack.blocks.{i}"

_ROWS = (
    Row("encoder.tokens.embedding", "bert.embeddings.word_embeddings.weight"),
    Row("encoder.positions.embedding", "bert.embeddings.position_embeddings.weight"),
    Row("encoder.segments.embedding", "bert.embeddings.token_type_embeddings.weight"),
    Row("encoder.norm.scale", "bert.embeddings.LayerNorm.weight"),
    Row("encoder.norm.bias", "bert.embeddings.LayerNorm.bias"),
    Row(f"{_BLOCK}.attention.qkv.kernel", tuple(f"{name}.weight" for name in _QKV), LINEAR),
    Row(f"{_BLOCK}.attention.qkv.bias", tuple(f"{name}.bias" for name in _QKV)),
    Row(f"{_BLOCK}.attention.out.kernel", f"{_LAYER}.attention.output.dense.weight", LINEAR),
    Row(f"{_BLOCK}.attention.out.bias", f"{_LAYER}.attention.output.dense.bias"),
    Row(f"{_BLOCK}.norm1.scale", f"{_LAYER}.attention.output.LayerNorm.weight"),
    Row(f"{_BLOCK}.norm1.bias", f"{_LAYER}.attention.output.LayerNorm.bias"),
    Row(f"{_BLOCK}.mlp.hidden.kernel", f"{_LAYER}.intermediate.dense.weight", LINEAR),
    Row(f"{_BLOCK}.mlp.hidden.bias", f"{_LAYER}.intermediate.dense.bias"),
    Row(f"{_BLOCK}.mlp.out.kernel", f"{_LAYER}.output.dense.weight", LINEAR),
    Row(f"{_BLOCK}.mlp.out.bias", f"{_LAYER}.output.dense.bias"),
    Row(f"{_BLOCK}.norm2.scale", f"{_LAYER}.output.LayerNorm.weight"),
    Row(f"{_BLOCK}.norm2.bias", f"{_LAYER}.output.LayerNorm.bias"),
    Row("pooler.dense.kernel", "bert.pooler.dense.weight", LINEAR),
    Row("pooler.dense.bias", "bert.pooler.dense.bias"),
    Row("mlm_head.dense.kernel", "cls.predictions.transform.dense.weight", LINEAR),
    Row("mlm_head.dense.bias", "cls.predictions.transform.dense.bias"),
    Row("mlm_head.norm.scale", "cls.predictions.transform.LayerNorm.weight"),
    Row("mlm_head.norm.bias", "cls.predictions.transform.LayerNorm.bias"),
    Row("mlm_head.bias", "cls.predictions.bias"),
    Row("next_head.dense.kernel", "cls.seq_relationship.weight", LINEAR),
    Row("next_head.dense.bias", "cls.seq_relationship.bias"),
)
# The first checkpoints say gamma and beta; a bare BertModel has no prefix.
_RENAMED = (
    (r"LayerNorm\.gamma$", "LayerNorm.weight"),
    (r"LayerNorm\.beta$", "LayerNorm.bias"),
    (r"^(embeddings|encoder|pooler)\.", r"bert.\1."),
)
# Tied to the token embedding and to cls.predictions.bias; a constant.
_REPEATED = r"^cls\.predictions\.decoder\.|^bert\.embeddings\.position_ids$"


def from_transformers(
    encoder: TextTransformer,
    weights: Weights,
    *,
    pooler: Pooler | None = None,
    mlm_head: MLMHead | None = None,
    next_head: NextSentenceHead | None = None,
) -> None:
    """Sets the parameters of the encoder, and of the heads that are given.

    Raises:
      UserError: names or shapes do not fit; nothing is set then.
    """
    parts = Parts(encoder=encoder, pooler=pooler, mlm_head=mlm_head, next_head=next_head)
    absent = {"bert.pooler": pooler, "cls.predictions": mlm_head, "cls.seq_relationship": next_head}
    ignored = [_REPEATED] + [rf"^{name}\." for name, head in absent.items() if head is None]
    load(parts, rename(weights, _RENAMED), _ROWS, ignored="|".join(ignored))


def to_transformers(
    encoder: TextTransformer,
    *,
    pooler: Pooler | None = None,
    mlm_head: MLMHead | None = None,
    next_head: NextSentenceHead | None = None,
) -> dict[str, np.ndarray]:
    """The weights under the names of `BertForPreTraining`; those that it ties appear once."""
    return save(Parts(encoder=encoder, pooler=pooler, mlm_head=mlm_head, next_head=next_head), _ROWS)
