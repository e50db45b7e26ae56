"""Weights of GPT-2, from and to Hugging Face's `GPT2Model` and `GPT2LMHeadModel`.

Their matrices have the inputs first, as ours have; the output matrix is the embedding.
"""

from typing import Any

import numpy as np

from ssl_jax.errors import UserError
from ssl_jax.interop import bert
from ssl_jax.interop.table import Row, Weights, load, rename, save
from ssl_jax.models import TextTransformer

_OURS, _THEIRS = "stack.blocks.{i}", "transformer.h.{i}"
_ROWS = (
    Row("tokens.embedding", "transformer.wte.weight"),
    Row("positions.embedding", "transformer.wpe.weight"),
    Row(f"{_OURS}.norm1.scale", f"{_THEIRS}.ln_1.weight"),
    Row(f"{_OURS}.norm1.bias", f"{_THEIRS}.ln_1.bias"),
    Row(f"{_OURS}.attention.qkv.kernel", f"{_THEIRS}.attn.c_attn.weight"),
    Row(f"{_OURS}.attention.qkv.bias", f"{_THEIRS}.attn.c_attn.bias"),
    Row(f"{_OURS}.attention.out.kernel", f"{_THEIRS}.attn.c_proj.weight"),
    Row(f"{_OURS}.attention.out.bias", f"{_THEIRS}.attn.c_proj.bias"),
    Row(f"{_OURS}.norm2.scale", f"{_THEIRS}.ln_2.weight"),
    Row(f"{_OURS}.norm2.bias", f"{_THEIRS}.ln_2.bias"),
    Row(f"{_OURS}.mlp.hidden.kernel", f"{_THEIRS}.mlp.c_fc.weight"),
    Row(f"{_OURS}.mlp.hidden.bias", f"{_THEIRS}.mlp.c_fc.bias"),
    Row(f"{_OURS}.mlp.out.kernel", f"{_THEIRS}.mlp.c_proj.weight"),
    Row(f"{_OURS}.mlp.out.bias", f"{_THEIRS}.mlp.c_proj.bias"),
    Row("final_norm.scale", "transformer.ln_f.weight"),
    Row("final_norm.bias", "transformer.ln_f.bias"),
)
_BARE = ((r"^(wte|wpe|h|ln_f)\.", r"transformer.\1."),)
_REPEATED = r"^lm_head\.weight$|\.attn\.(bias|masked_bias)$"  # the latter are constants of old files


def from_transformers(encoder: TextTransformer, weights: Weights) -> None:
    """Sets the parameters of the encoder.

    Raises:
      UserError: names or shapes do not fit; nothing is set then.
    """
    load(encoder, rename(weights, _BARE), _ROWS, ignored=_REPEATED)


def to_transformers(encoder: TextTransformer) -> dict[str, np.ndarray]:
    """The weights under the names of `GPT2LMHeadModel`; those that it ties appear once."""
    return save(encoder, _ROWS)


def settings(encoder: TextTransformer) -> dict[str, Any]:
    """What a `GPT2Config` says of this encoder.

    Raises:
      UserError: it is none of GPT-2's form.
    """
    bert.check_form(encoder, "gpt2", causal=True, norm_first=True)
    if encoder.segments is not None or encoder.projection is not None:
        raise UserError("A gpt2 of transformers has config.model.segments=0 and no embedding_width; this one has not.")
    return {
        "model_type": "gpt2",
        "vocab_size": encoder.vocab_size,
        "n_positions": encoder.max_length,
        "n_embd": encoder.features,
        "n_layer": encoder.depth,
        "n_head": encoder.heads,
        "n_inner": encoder.mlp_dim,
        "activation_function": bert.ACTIVATIONS[encoder.gelu],
        "resid_pdrop": encoder.dropout,
        "embd_pdrop": encoder.dropout,
        "attn_pdrop": encoder.dropout,
        "layer_norm_epsilon": encoder.epsilon,
        "initializer_range": encoder.initializer_range,
    }
