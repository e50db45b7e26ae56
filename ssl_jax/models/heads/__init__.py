"""What sits on an encoder while it is pretrained, and is thrown away afterwards."""

from ssl_jax.models.heads.attention_pool import AttentionPool
from ssl_jax.models.heads.bert import MLMHead, NextSentenceHead, Pooler
from ssl_jax.models.heads.capi import CAPIPredictor, OnlineClustering
from ssl_jax.models.heads.dino import DINOHead, WeightNormLinear
from ssl_jax.models.heads.electra import ReplacedTokenHead
from ssl_jax.models.heads.jepa import JEPAPredictor, predict_blocks, predictor_beside
from ssl_jax.models.heads.mae_decoder import MAEDecoder
from ssl_jax.models.heads.projector import Projector
from ssl_jax.models.heads.prototypes import Prototypes

__all__ = [
    "AttentionPool",
    "CAPIPredictor",
    "DINOHead",
    "JEPAPredictor",
    "MAEDecoder",
    "MLMHead",
    "NextSentenceHead",
    "OnlineClustering",
    "Pooler",
    "Projector",
    "Prototypes",
    "ReplacedTokenHead",
    "WeightNormLinear",
    "predict_blocks",
    "predictor_beside",
]
