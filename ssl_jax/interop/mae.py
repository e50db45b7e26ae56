"""Weights of masked autoencoders, from and to Hugging Face's `ViTMAEForPreTraining`.

Their layer normalisations add 1e-12 to the variance by default, ours and the paper's code 1e-6.
"""

from typing import Any

import numpy as np

from ssl_jax.errors import UserError
from ssl_jax.interop import vit
from ssl_jax.interop.layouts import LINEAR, ROW
from ssl_jax.interop.table import Parts, Row, Weights, load, nested, rename, save
from ssl_jax.models import MAEDecoder, ViT
from ssl_jax.models.positions import sincos2d

_DECODER = (
    Row("mask_token", "mask_token", ROW),
    Row("embedding.kernel", "decoder_embed.weight", LINEAR),
    Row("embedding.bias", "decoder_embed.bias"),
    *vit.transformers_blocks("decoder_layers"),
    Row("norm.scale", "decoder_norm.weight"),
    Row("norm.bias", "decoder_norm.bias"),
    Row("prediction.kernel", "decoder_pred.weight", LINEAR),
    Row("prediction.bias", "decoder_pred.bias"),
)
_POSITIONS = "decoder.decoder_pos_embed"
# The blocks are called decoder_layers in published files, decoder_encoder.layer in those that transformers 5 writes.
_RENAMED = ((r"decoder_encoder\.layer", "decoder_layers"), *vit.TRANSFORMERS_RENAMED)


def from_transformers(encoder: ViT, decoder: MAEDecoder, weights: Weights) -> None:
    """Sets the parameters of both modules.

    Raises:
      UserError: names or shapes do not fit; nothing is set then.
    """
    weights = rename(weights, _RENAMED)
    weights = vit.take_positions(encoder, weights, "vit.embeddings.position_embeddings")
    _check_positions(decoder, weights.pop(_POSITIONS, None))
    load(Parts(encoder=encoder, decoder=decoder), weights, _rows(encoder))


def to_transformers(encoder: ViT, decoder: MAEDecoder) -> dict[str, np.ndarray]:
    """The weights of both modules under the names that published checkpoints have.

    Raises:
      UserError: there is no class token, without which these checkpoints cannot be.
    """
    _check_form(encoder)
    theirs = save(Parts(encoder=encoder, decoder=decoder), _rows(encoder))
    theirs |= vit.give_positions(encoder, "vit.embeddings.position_embeddings")
    return theirs | {_POSITIONS: _positions(decoder)}


def settings(encoder: ViT) -> dict[str, Any]:
    """What a `ViTMAEConfig` says of this encoder, but for its `model_type`.

    Raises:
      UserError: it has no class token, relative positions or scaled branches.
    """
    _check_form(encoder)
    return vit.settings(encoder)


def pretraining_settings(encoder: ViT, decoder: MAEDecoder) -> dict[str, Any]:
    """What it says of both."""
    return settings(encoder) | {
        "model_type": "vit_mae",
        "decoder_hidden_size": decoder.width,
        "decoder_num_hidden_layers": decoder.stack.depth,
        "decoder_num_attention_heads": decoder.heads,
        "decoder_intermediate_size": decoder.mlp_dim,
    }


def _check_form(encoder):
    if encoder.class_token is None:
        raise UserError("ViTMAE of transformers has a class token: export a ViT with config.model.pooling='cls'.")


def _rows(encoder):
    return nested(vit.transformers_rows(encoder), "encoder", "vit") + nested(_DECODER, "decoder", "decoder")


def _positions(decoder):
    table = sincos2d(decoder.grid, decoder.width)
    return np.concatenate([np.zeros_like(table[:1]), table])[None]


def _check_positions(decoder, table):
    ours = _positions(decoder)
    if table is not None and (table.shape != ours.shape or not np.allclose(table, ours, atol=1e-5)):
        raise UserError(f"{_POSITIONS} does not hold the sin-cos positions of a {decoder.grid} grid.")
