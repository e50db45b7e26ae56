"""Weights from and to timm, torchvision and Hugging Face, as dicts of NumPy arrays or safetensors files.

Each file holds one table a model: our names beside theirs. No PyTorch is needed.
"""

from ssl_jax.interop import bert, data2vec_audio, hubert, mae, resnet, vit, wav2vec2
from ssl_jax.interop.files import read, write

__all__ = ["bert", "data2vec_audio", "hubert", "mae", "read", "resnet", "vit", "wav2vec2", "write"]
