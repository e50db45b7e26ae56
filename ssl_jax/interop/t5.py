"""Weights of T5, from and to Hugging Face's `T5ForConditionalGeneration`, `T5Model` and `T5EncoderModel`."""

from typing import Any

import numpy as np

from ssl_jax.interop.layouts import LINEAR
from ssl_jax.interop.table import Row, Weights, load, save
from ssl_jax.models import EncoderDecoder


def _attention(ours: str, theirs: str) -> tuple[Row, ...]:
    names = {"query": "q", "key": "k", "value": "v", "out": "o"}
    return tuple(Row(f"{ours}.{one}.kernel", f"{theirs}.{other}.weight", LINEAR) for one, other in names.items())


def _stack(name: str, mlp: int) -> tuple[Row, ...]:
    """The table of one of the two stacks, in which the MLP is so-manieth layer of a block."""
    ours, theirs = f"{name}.stack.blocks.{{i}}", f"{name}.block.{{i}}.layer"
    return (
        Row(f"{name}.distances.embedding", f"{name}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"),
        Row(f"{ours}.norm1.scale", f"{theirs}.0.layer_norm.weight"),
        *_attention(f"{ours}.attention", f"{theirs}.0.SelfAttention"),
        Row(f"{ours}.cross_norm.scale", f"{theirs}.1.layer_norm.weight"),
        *_attention(f"{ours}.cross_attention", f"{theirs}.1.EncDecAttention"),
        Row(f"{ours}.norm2.scale", f"{theirs}.{mlp}.layer_norm.weight"),
        Row(f"{ours}.mlp.out.kernel", f"{theirs}.{mlp}.DenseReluDense.wo.weight", LINEAR),
        Row(f"{name}.norm.scale", f"{name}.final_layer_norm.weight"),
    )


def _rows(gated: bool) -> tuple[Row, ...]:
    hidden = "wi_1" if gated else "wi"
    layers = {name: f"{name}.block.{{i}}.layer.{mlp}.DenseReluDense" for name, mlp in (("encoder", 1), ("decoder", 2))}
    return (
        Row("tokens.embedding", "shared.weight"),
        *_stack("encoder", 1),
        *_stack("decoder", 2),
        *(Row(f"{name}.stack.blocks.{{i}}.mlp.hidden.kernel", f"{at}.{hidden}.weight", LINEAR)
          for name, at in layers.items()),
        *(Row(f"{name}.stack.blocks.{{i}}.mlp.gate.kernel", f"{at}.wi_0.weight", LINEAR)
          for name, at in layers.items()),
        Row("output.kernel", "lm_head.weight", LINEAR),
    )  # fmt: skip


# The embedding once more; published files of the decoder hold a table for its cross attention that nothing uses.
_REPEATED = r"^(encoder|decoder)\.embed_tokens\.weight$|\.EncDecAttention\.relative_attention_bias\.weight$"


def from_transformers(model: EncoderDecoder, weights: Weights) -> None:
    """Sets the parameters of the model.

    Raises:
      UserError: names or shapes do not fit; nothing is set then.
    """
    tied = "" if model.gated else r"|^lm_head\.weight$"
    load(model, weights, _rows(model.gated), ignored=_REPEATED + tied)


def to_transformers(model: EncoderDecoder) -> dict[str, np.ndarray]:
    """The weights under the names of `T5ForConditionalGeneration`; those that it ties appear once."""
    return save(model, _rows(model.gated))


def settings(model: EncoderDecoder) -> dict[str, Any]:
    """What a `T5Config` says of this model."""
    return {
        "model_type": "t5",
        "vocab_size": model.vocab_size,
        "d_model": model.features,
        "d_kv": model.head_width,
        "d_ff": model.mlp_dim,
        "num_layers": model.depth,
        "num_decoder_layers": model.decoder_depth,
        "num_heads": model.heads,
        "relative_attention_num_buckets": model.buckets,
        "relative_attention_max_distance": model.max_distance,
        "dropout_rate": model.dropout,
        "layer_norm_epsilon": 1e-6,
        "feed_forward_proj": "gated-gelu" if model.gated else "relu",
        "tie_word_embeddings": not model.gated,
    }
