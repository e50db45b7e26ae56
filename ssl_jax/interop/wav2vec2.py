"""Weights of wav2vec 2.0, from and to Hugging Face's `Wav2Vec2Model` and `Wav2Vec2ForPreTraining`."""

from typing import Any

import numpy as np
from flax import nnx

from ssl_jax.errors import UserError
from ssl_jax.interop.layouts import CONV1D, LINEAR, ROW, TABLE
from ssl_jax.interop.table import Parts, Row, Weights, load, nested, rename, save
from ssl_jax.models import GumbelQuantizer, WaveformTransformer
from ssl_jax.models.waveform_transformer import EPSILON

_CONV = "feature_extractor.conv_layers.{i}"
_LAYER = "encoder.layers.{i}"
_QKV = tuple(f"{_LAYER}.attention.{name}_proj" for name in "qkv")
_WEIGHT = "encoder.pos_conv_embed.conv.parametrizations.weight"
_BLOCK = "stack.blocks.{i}"

# All but positions, which data2vec makes in another way.
TRUNK = (
    Row("convolutions.layers.{i}.conv.kernel", f"{_CONV}.conv.weight", CONV1D),
    Row("convolutions.layers.{i}.conv.bias", f"{_CONV}.conv.bias"),
    Row("convolutions.layers.{i}.norm.scale", f"{_CONV}.layer_norm.weight"),
    Row("convolutions.layers.{i}.norm.bias", f"{_CONV}.layer_norm.bias"),
    Row("feature_norm.scale", "feature_projection.layer_norm.weight"),
    Row("feature_norm.bias", "feature_projection.layer_norm.bias"),
    Row("projection.kernel", "feature_projection.projection.weight", LINEAR),
    Row("projection.bias", "feature_projection.projection.bias"),
    Row("mask_embedding", "masked_spec_embed"),
    Row("norm.scale", "encoder.layer_norm.weight"),
    Row("norm.bias", "encoder.layer_norm.bias"),
    Row(f"{_BLOCK}.attention.qkv.kernel", tuple(f"{name}.weight" for name in _QKV), LINEAR),
    Row(f"{_BLOCK}.attention.qkv.bias", tuple(f"{name}.bias" for name in _QKV)),
    Row(f"{_BLOCK}.attention.out.kernel", f"{_LAYER}.attention.out_proj.weight", LINEAR),
    Row(f"{_BLOCK}.attention.out.bias", f"{_LAYER}.attention.out_proj.bias"),
    Row(f"{_BLOCK}.norm1.scale", f"{_LAYER}.layer_norm.weight"),
    Row(f"{_BLOCK}.norm1.bias", f"{_LAYER}.layer_norm.bias"),
    Row(f"{_BLOCK}.mlp.hidden.kernel", f"{_LAYER}.feed_forward.intermediate_dense.weight", LINEAR),
    Row(f"{_BLOCK}.mlp.hidden.bias", f"{_LAYER}.feed_forward.intermediate_dense.bias"),
    Row(f"{_BLOCK}.mlp.out.kernel", f"{_LAYER}.feed_forward.output_dense.weight", LINEAR),
    Row(f"{_BLOCK}.mlp.out.bias", f"{_LAYER}.feed_forward.output_dense.bias"),
    Row(f"{_BLOCK}.norm2.scale", f"{_LAYER}.final_layer_norm.weight"),
    Row(f"{_BLOCK}.norm2.bias", f"{_LAYER}.final_layer_norm.bias"),
)
ENCODER = (
    *TRUNK,
    Row("positions.scale", f"{_WEIGHT}.original0", ROW),
    Row("positions.kernel", f"{_WEIGHT}.original1", CONV1D),
    Row("positions.bias", "encoder.pos_conv_embed.conv.bias"),
)
# Published checkpoints have the names of PyTorch's older weight normalisation.
RENAMED = (
    (r"pos_conv_embed\.conv\.weight_g$", "pos_conv_embed.conv.parametrizations.weight.original0"),
    (r"pos_conv_embed\.conv\.weight_v$", "pos_conv_embed.conv.parametrizations.weight.original1"),
)

_ROWS = (
    *nested(ENCODER, "encoder", "wav2vec2"),
    Row("quantizer.codevectors", "quantizer.codevectors", TABLE),
    Row("quantizer.logits.kernel", "quantizer.weight_proj.weight", LINEAR),
    Row("quantizer.logits.bias", "quantizer.weight_proj.bias"),
    Row("project_context.kernel", "project_hid.weight", LINEAR),
    Row("project_context.bias", "project_hid.bias"),
    Row("project_quantized.kernel", "project_q.weight", LINEAR),
    Row("project_quantized.bias", "project_q.bias"),
)
_BARE = (r"^(feature_extractor|feature_projection|encoder|masked_spec_embed)(\.|$)", r"wav2vec2.\1\2")
_HEADS = dict(quantizer="quantizer", project_context="project_hid", project_quantized="project_q")


def common_settings(encoder: WaveformTransformer) -> dict[str, Any]:
    """The settings of an encoder under the names that they have in the configurations of all three models."""
    convolutions = encoder.convolutions
    bias = convolutions.layers[0].conv.bias is not None
    return {
        "hidden_size": encoder.features,
        "num_hidden_layers": encoder.stack.depth,
        "num_attention_heads": encoder.heads,
        "intermediate_size": encoder.mlp_dim,
        "hidden_act": "gelu",
        "conv_dim": [layer.conv.out_features for layer in convolutions.layers],
        "conv_kernel": list(convolutions.kernels),
        "conv_stride": list(convolutions.strides),
        "conv_bias": bias,
        "num_feat_extract_layers": len(convolutions.layers),
        "num_conv_pos_embedding_groups": encoder.position_groups,
        "hidden_dropout": encoder.dropout,
        "attention_dropout": encoder.dropout,
        "activation_dropout": 0.0,
        "feat_proj_dropout": encoder.dropout,
        "layerdrop": 0.0,
        "layer_norm_eps": EPSILON,
        "initializer_range": encoder.initializer_range,
    }


def settings(encoder: WaveformTransformer) -> dict[str, Any]:
    """What a `Wav2Vec2Config` or a `HubertConfig` says of this encoder, but for its `model_type`.

    Raises:
      UserError: its positions are those of data2vec.
    """
    if encoder.position_depth > 1:
        raise UserError(f"config.model.position_depth {encoder.position_depth}: wav2vec 2.0 and HuBERT have 1.")
    return common_settings(encoder) | {
        "feat_extract_norm": encoder.conv_norm,
        "do_stable_layer_norm": encoder.norm_first,
        "num_conv_pos_embeddings": encoder.position_kernel,
    }


def pretraining_settings(encoder: WaveformTransformer, quantizer: GumbelQuantizer, width: int) -> dict[str, Any]:
    """What a `Wav2Vec2Config` says of the quantizer and of projections to `width`."""
    return settings(encoder) | {
        "model_type": "wav2vec2",
        "num_codevector_groups": quantizer.groups,
        "num_codevectors_per_group": quantizer.codes,
        "codevector_dim": quantizer.width,
        "proj_codevector_dim": width,
    }


def from_transformers(
    encoder: WaveformTransformer,
    weights: Weights,
    *,
    quantizer: GumbelQuantizer | None = None,
    project_context: nnx.Linear | None = None,
    project_quantized: nnx.Linear | None = None,
) -> None:
    """Sets the parameters of the encoder, and of the parts of pretraining that are given.

    Raises:
      UserError: names or shapes do not fit; nothing is set then.
    """
    heads = dict(quantizer=quantizer, project_context=project_context, project_quantized=project_quantized)
    absent = [rf"^{_HEADS[name]}\." for name, head in heads.items() if head is None]
    ignored = "|".join([*absent, r"^lm_head\."])
    load(Parts(encoder=encoder, **heads), rename(weights, (*RENAMED, _BARE)), _ROWS, ignored=ignored)


def to_transformers(
    encoder: WaveformTransformer,
    *,
    quantizer: GumbelQuantizer | None = None,
    project_context: nnx.Linear | None = None,
    project_quantized: nnx.Linear | None = None,
) -> dict[str, np.ndarray]:
    """The weights under the names of `Wav2Vec2ForPreTraining`."""
    heads = dict(quantizer=quantizer, project_context=project_context, project_quantized=project_quantized)
    return save(Parts(encoder=encoder, **heads), _ROWS)
