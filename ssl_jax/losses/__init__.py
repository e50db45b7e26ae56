"""Training objectives: pure functions of arrays to a float32 scalar.

Each takes `axis_name=None`. With a name it returns, on every device, the loss of the *global* batch, whose rows are
spread in equal parts over that axis of `jax.pmap` or `jax.shard_map`; see `ssl_jax.losses.across` for gradients.
"""

from ssl_jax.losses.contrastive import dcl, dclw, info_nce, moco, moco_v3, nnclr, nt_xent, sim_cse
from ssl_jax.losses.hypersphere import alignment, uniformity
from ssl_jax.losses.image_text import clip, siglip
from ssl_jax.losses.labels import sup_con, triplet
from ssl_jax.losses.masked import masked_lm, masked_patches, normalize_patches
from ssl_jax.losses.sentences import next_sentence
from ssl_jax.losses.sinkhorn import sinkhorn_knopp

__all__ = [
    "alignment",
    "clip",
    "dcl",
    "dclw",
    "info_nce",
    "masked_lm",
    "masked_patches",
    "moco",
    "moco_v3",
    "next_sentence",
    "nnclr",
    "normalize_patches",
    "nt_xent",
    "siglip",
    "sim_cse",
    "sinkhorn_knopp",
    "sup_con",
    "triplet",
    "uniformity",
]
