"""Weights of ALBERT, from and to Hugging Face's `AlbertModel` and `AlbertForPreTraining`."""

from typing import Any

import numpy as np

from ssl_jax.errors import UserError
from ssl_jax.interop import bert
from ssl_jax.interop.layouts import LINEAR
from ssl_jax.interop.table import Parts, Row, Weights, load, rename, save, unused
from ssl_jax.models import MLMHead, NextSentenceHead, Pooler, TextTransformer

_OURS, _THEIRS = "encoder.stack.blocks.0", "albert.encoder.albert_layer_groups.0.albert_layers.0"
_QKV = tuple(f"{_THEIRS}.attention.{name}" for name in ("query", "key", "value"))
_ROWS = (
    Row("encoder.tokens.embedding", "albert.embeddings.word_embeddings.weight"),
    Row("encoder.positions.embedding", "albert.embeddings.position_embeddings.weight"),
    Row("encoder.segments.embedding", "albert.embeddings.token_type_embeddings.weight"),
    Row("encoder.norm.scale", "albert.embeddings.LayerNorm.weight"),
    Row("encoder.norm.bias", "albert.embeddings.LayerNorm.bias"),
    Row("encoder.projection.kernel", "albert.encoder.embedding_hidden_mapping_in.weight", LINEAR),
    Row("encoder.projection.bias", "albert.encoder.embedding_hidden_mapping_in.bias"),
    Row(f"{_OURS}.attention.qkv.kernel", tuple(f"{name}.weight" for name in _QKV), LINEAR),
    Row(f"{_OURS}.attention.qkv.bias", tuple(f"{name}.bias" for name in _QKV)),
    Row(f"{_OURS}.attention.out.kernel", f"{_THEIRS}.attention.dense.weight", LINEAR),
    Row(f"{_OURS}.attention.out.bias", f"{_THEIRS}.attention.dense.bias"),
    Row(f"{_OURS}.norm1.scale", f"{_THEIRS}.attention.LayerNorm.weight"),
    Row(f"{_OURS}.norm1.bias", f"{_THEIRS}.attention.LayerNorm.bias"),
    Row(f"{_OURS}.mlp.hidden.kernel", f"{_THEIRS}.ffn.weight", LINEAR),
    Row(f"{_OURS}.mlp.hidden.bias", f"{_THEIRS}.ffn.bias"),
    Row(f"{_OURS}.mlp.out.kernel", f"{_THEIRS}.ffn_output.weight", LINEAR),
    Row(f"{_OURS}.mlp.out.bias", f"{_THEIRS}.ffn_output.bias"),
    Row(f"{_OURS}.norm2.scale", f"{_THEIRS}.full_layer_layer_norm.weight"),
    Row(f"{_OURS}.norm2.bias", f"{_THEIRS}.full_layer_layer_norm.bias"),
    Row("pooler.dense.kernel", "albert.pooler.weight", LINEAR),
    Row("pooler.dense.bias", "albert.pooler.bias"),
    Row("mlm_head.dense.kernel", "predictions.dense.weight", LINEAR),
    Row("mlm_head.dense.bias", "predictions.dense.bias"),
    Row("mlm_head.norm.scale", "predictions.LayerNorm.weight"),
    Row("mlm_head.norm.bias", "predictions.LayerNorm.bias"),
    Row("mlm_head.bias", "predictions.bias"),
    Row("order_head.dense.kernel", "sop_classifier.classifier.weight", LINEAR),
    Row("order_head.dense.bias", "sop_classifier.classifier.bias"),
)
_BARE = ((r"^(embeddings|encoder|pooler)\.", r"albert.\1."),)
_REPEATED = r"^predictions\.decoder\.|^albert\.embeddings\.position_ids$"


def from_transformers(
    encoder: TextTransformer,
    weights: Weights,
    *,
    pooler: Pooler | None = None,
    mlm_head: MLMHead | None = None,
    order_head: NextSentenceHead | None = None,
) -> None:
    """Sets the parameters of the encoder, and of the heads that are given.

    Raises:
      UserError: names or shapes do not fit; nothing is set then.
    """
    parts = Parts(encoder=encoder, pooler=pooler, mlm_head=mlm_head, order_head=order_head)
    heads = {r"albert\.pooler": pooler, "predictions": mlm_head, "sop_classifier": order_head}
    load(parts, rename(weights, _BARE), _ROWS, ignored=f"{_REPEATED}|{unused(heads)}")


def to_transformers(
    encoder: TextTransformer,
    *,
    pooler: Pooler | None = None,
    mlm_head: MLMHead | None = None,
    order_head: NextSentenceHead | None = None,
) -> dict[str, np.ndarray]:
    """The weights under the names of `AlbertForPreTraining`; those that it ties appear once."""
    return save(Parts(encoder=encoder, pooler=pooler, mlm_head=mlm_head, order_head=order_head), _ROWS)


def settings(encoder: TextTransformer) -> dict[str, Any]:
    """What an `AlbertConfig` says of this encoder.

    Raises:
      UserError: it is none of ALBERT's form.
    """
    bert.check_form(encoder, "albert", share_layers=True)
    if encoder.projection is None:
        raise UserError("An albert of transformers widens its embeddings: set config.model.embedding_width.")
    groups = {"embedding_size": encoder.embedding_width, "num_hidden_groups": 1, "inner_group_num": 1}
    return bert.common_settings(encoder) | groups | {"model_type": "albert"}
