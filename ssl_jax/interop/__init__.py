"""Weights from and to timm, torchvision and Hugging Face, as dicts of NumPy arrays or safetensors files.

Each file holds one table a model: our names beside theirs. No PyTorch is needed.
"""

from ssl_jax.interop import (
    albert,
    beit,
    bert,
    clip,
    data2vec_audio,
    data2vec_text,
    dinov2,
    electra,
    gpt2,
    hubert,
    i_jepa,
    mae,
    resnet,
    roberta,
    siglip,
    simmim,
    t5,
    vit,
    wav2vec2,
)
from ssl_jax.interop.exporters import EXPORTERS, Exported, write_json
from ssl_jax.interop.files import read, write
from ssl_jax.interop.importers import front_end, load_folder
from ssl_jax.interop.special_tokens import with_special_tokens

__all__ = [
    "EXPORTERS",
    "Exported",
    "albert",
    "beit",
    "bert",
    "clip",
    "data2vec_audio",
    "data2vec_text",
    "dinov2",
    "electra",
    "front_end",
    "gpt2",
    "hubert",
    "i_jepa",
    "load_folder",
    "mae",
    "read",
    "resnet",
    "roberta",
    "siglip",
    "simmim",
    "t5",
    "vit",
    "wav2vec2",
    "with_special_tokens",
    "write",
    "write_json",
]
