"""Training objectives: pure functions of arrays to a float32 scalar.

Each takes `axis_name=None`. With a name it returns, on every device, the loss of the *global* batch, whose rows are
spread in equal parts over that axis of `jax.pmap` or `jax.shard_map`; see `ssl_jax.losses.across` for gradients.
"""

from ssl_jax.losses.contrastive import nt_xent
from ssl_jax.losses.masked import masked_lm, masked_patches, normalize_patches
from ssl_jax.losses.quantizers import (
    codebook_diversity,
    codebook_perplexity,
    init_random_projection_quantizer,
    random_projection_quantizer,
)
from ssl_jax.losses.sentences import next_sentence
from ssl_jax.losses.sequences import apc, cpc
from ssl_jax.losses.sinkhorn import sinkhorn_knopp
from ssl_jax.losses.speech import best_rq, codeword_logits, hubert, wav2vec2

__all__ = [
    "apc",
    "best_rq",
    "codebook_diversity",
    "codebook_perplexity",
    "codeword_logits",
    "cpc",
    "hubert",
    "init_random_projection_quantizer",
    "masked_lm",
    "masked_patches",
    "next_sentence",
    "normalize_patches",
    "nt_xent",
    "random_projection_quantizer",
    "sinkhorn_knopp",
    "wav2vec2",
]
