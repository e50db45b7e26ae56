"""Encoders and heads, as `flax.nnx` modules.

They know nothing of methods, data or meshes. Pictures are NHWC. Parameters are float32; `dtype` is that of the
computation. What is random in training comes from the argument `key` alone.
"""

from ssl_jax.models.audio_cnn import AudioCNN
from ssl_jax.models.encoder_decoder import EncoderDecoder
from ssl_jax.models.frame_transformer import FrameTransformer
from ssl_jax.models.heads import MAEDecoder, MLMHead, NextSentenceHead, Pooler, Projector, ReplacedTokenHead
from ssl_jax.models.normalization import BatchNorm, normalize_apart
from ssl_jax.models.patches import patchify, unpatchify
from ssl_jax.models.pooling import mean_of_frames, mean_square
from ssl_jax.models.quantizer import GumbelQuantizer
from ssl_jax.models.recurrent import FrameGRU, WaveformGRU
from ssl_jax.models.resnet import ResNet
from ssl_jax.models.rotary_vit import RotaryViT
from ssl_jax.models.text_transformer import TextTransformer
from ssl_jax.models.visual_tokenizer import PixelDecoder, VisualTokenizer
from ssl_jax.models.vit import ViT
from ssl_jax.models.waveform_transformer import WaveformTransformer
from ssl_jax.models.word_vectors import WordVectors

MODELS = {
    "resnet": ResNet,
    "vit": ViT,
    "visual_tokenizer": VisualTokenizer,
    "rotary_vit": RotaryViT,
    "text_transformer": TextTransformer,
    "encoder_decoder": EncoderDecoder,
    "word_vectors": WordVectors,
    "audio_cnn": AudioCNN,
    "frame_gru": FrameGRU,
    "frame_transformer": FrameTransformer,
    "waveform_gru": WaveformGRU,
    "waveform_transformer": WaveformTransformer,
}

__all__ = [
    "MODELS",
    "AudioCNN",
    "BatchNorm",
    "EncoderDecoder",
    "FrameGRU",
    "FrameTransformer",
    "GumbelQuantizer",
    "MAEDecoder",
    "MLMHead",
    "NextSentenceHead",
    "PixelDecoder",
    "Pooler",
    "Projector",
    "ReplacedTokenHead",
    "ResNet",
    "RotaryViT",
    "TextTransformer",
    "ViT",
    "VisualTokenizer",
    "WaveformGRU",
    "WaveformTransformer",
    "WordVectors",
    "mean_of_frames",
    "mean_square",
    "normalize_apart",
    "patchify",
    "unpatchify",
]
