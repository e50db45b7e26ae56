"""Weights of BERT, from and to Hugging Face's `BertModel` and `BertForPreTraining`."""

from typing import Any

import numpy as np

from ssl_jax.errors import UserError
from ssl_jax.interop.layouts import LINEAR, SAME, Layout
from ssl_jax.interop.table import Parts, Row, Weights, load, rename, save, unused
from ssl_jax.models import MLMHead, NextSentenceHead, Pooler, TextTransformer


def encoder_rows(theirs: str, positions: Layout = SAME) -> tuple[Row, ...]:
    """The table of an encoder of BERT's kind.

    Args:
      theirs: what their names begin with: 'bert', 'roberta', ...
      positions: how their table of positions is laid out.
    """
    embeddings = f"{theirs}.embeddings"
    return (
        Row("encoder.tokens.embedding", f"{embeddings}.word_embeddings.weight"),
        Row("encoder.positions.embedding", f"{embeddings}.position_embeddings.weight", positions),
        Row("encoder.segments.embedding", f"{embeddings}.token_type_embeddings.weight"),
        Row("encoder.norm.scale", f"{embeddings}.LayerNorm.weight"),
        Row("encoder.norm.bias", f"{embeddings}.LayerNorm.bias"),
        *_block_rows("encoder.stack.blocks.{i}", f"{theirs}.encoder.layer.{{i}}"),
    )


def _block_rows(ours: str, theirs: str) -> tuple[Row, ...]:
    qkv = tuple(f"{theirs}.attention.self.{name}" for name in ("query", "key", "value"))
    return (
        Row(f"{ours}.attention.qkv.kernel", tuple(f"{name}.weight" for name in qkv), LINEAR),
        Row(f"{ours}.attention.qkv.bias", tuple(f"{name}.bias" for name in qkv)),
        Row(f"{ours}.attention.out.kernel", f"{theirs}.attention.output.dense.weight", LINEAR),
        Row(f"{ours}.attention.out.bias", f"{theirs}.attention.output.dense.bias"),
        Row(f"{ours}.norm1.scale", f"{theirs}.attention.output.LayerNorm.weight"),
        Row(f"{ours}.norm1.bias", f"{theirs}.attention.output.LayerNorm.bias"),
        Row(f"{ours}.mlp.hidden.kernel", f"{theirs}.intermediate.dense.weight", LINEAR),
        Row(f"{ours}.mlp.hidden.bias", f"{theirs}.intermediate.dense.bias"),
        Row(f"{ours}.mlp.out.kernel", f"{theirs}.output.dense.weight", LINEAR),
        Row(f"{ours}.mlp.out.bias", f"{theirs}.output.dense.bias"),
        Row(f"{ours}.norm2.scale", f"{theirs}.output.LayerNorm.weight"),
        Row(f"{ours}.norm2.bias", f"{theirs}.output.LayerNorm.bias"),
    )


_ROWS = (
    *encoder_rows("bert"),
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
    heads = {r"bert\.pooler": pooler, r"cls\.predictions": mlm_head, r"cls\.seq_relationship": next_head}
    load(parts, rename(weights, _RENAMED), _ROWS, ignored=f"{_REPEATED}|{unused(heads)}")


def to_transformers(
    encoder: TextTransformer,
    *,
    pooler: Pooler | None = None,
    mlm_head: MLMHead | None = None,
    next_head: NextSentenceHead | None = None,
) -> dict[str, np.ndarray]:
    """The weights under the names of `BertForPreTraining`; those that it ties appear once."""
    return save(Parts(encoder=encoder, pooler=pooler, mlm_head=mlm_head, next_head=next_head), _ROWS)


def settings(encoder: TextTransformer) -> dict[str, Any]:
    """What a `BertConfig` says of this encoder.

    Raises:
      UserError: it is none of BERT's form.
    """
    check_form(encoder, "bert")
    return common_settings(encoder) | {"model_type": "bert"}


def common_settings(encoder: TextTransformer) -> dict[str, Any]:
    """The settings of an encoder under the names that they have in all configurations of BERT's kind."""
    return {
        "vocab_size": encoder.vocab_size,
        "hidden_size": encoder.features,
        "num_hidden_layers": encoder.depth,
        "num_attention_heads": encoder.heads,
        "intermediate_size": encoder.mlp_dim,
        "hidden_act": ACTIVATIONS[encoder.gelu],
        "hidden_dropout_prob": encoder.dropout,
        "attention_probs_dropout_prob": encoder.dropout,
        "max_position_embeddings": encoder.max_length,
        "type_vocab_size": encoder.segments.num_embeddings,
        "initializer_range": encoder.initializer_range,
        "layer_norm_eps": encoder.epsilon,
    }


ACTIVATIONS = {"exact": "gelu", "tanh": "gelu_new", "quick": "quick_gelu"}
_FORM = {"share_layers": False, "causal": False, "norm_first": False}


def check_form(encoder: TextTransformer, kind: str, **needed: bool) -> None:
    """Refuses an encoder that `kind` of transformers cannot be.

    Args:
      encoder: ours.
      kind: its name there.
      needed: what `share_layers`, `causal` and `norm_first` must be, where that is True.

    Raises:
      UserError: a setting is another, or there are no segments where all have some.
    """
    for name, value in (_FORM | needed).items():
        if getattr(encoder, name) != value:
            raise UserError(f"A {kind} of transformers has config.model.{name}={value}, this encoder has not.")
    if encoder.segments is None and not encoder.norm_first:
        raise UserError(f"A {kind} of transformers has segments: set config.model.segments to 1 or more.")
