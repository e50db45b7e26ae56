"""Training objectives: pure functions of arrays to a float32 scalar.

Each takes `axis_name=None`. With a name it returns, on every device, the loss of the *global* batch, whose rows are
spread in equal parts over that axis of `jax.pmap` or `jax.shard_map`; see `ssl_jax.losses.across` for gradients.
"""

from ssl_jax.losses.contrastive import nt_xent
from ssl_jax.losses.hog import hog
from ssl_jax.losses.masked import beit, mask_feat, masked_patches, normalize_patches, normalize_windows, simmim
from ssl_jax.losses.sentences import next_sentence, sentence_order
from ssl_jax.losses.sinkhorn import sinkhorn_knopp
from ssl_jax.losses.tokens import masked_lm, replaced_tokens, span_corruption
from ssl_jax.losses.words import keep_probability, skip_gram, unigram_noise

__all__ = [
    "beit",
    "hog",
    "keep_probability",
    "mask_feat",
    "masked_lm",
    "masked_patches",
    "next_sentence",
    "normalize_patches",
    "normalize_windows",
    "nt_xent",
    "replaced_tokens",
    "sentence_order",
    "simmim",
    "sinkhorn_knopp",
    "skip_gram",
    "span_corruption",
    "unigram_noise",
]
