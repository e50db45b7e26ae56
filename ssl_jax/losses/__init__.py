"""Training objectives: pure functions of arrays to a float32 scalar.

Each takes `axis_name=None`. With a name it returns, on every device, the loss of the *global* batch, whose rows are
spread in equal parts over that axis of `jax.pmap` or `jax.shard_map`; see `ssl_jax.losses.across` for gradients.
"""

from ssl_jax.losses.contrastive import nt_xent
from ssl_jax.losses.distillation import dino, ressl, update_center
from ssl_jax.losses.masked import masked_lm, masked_patches, normalize_patches
from ssl_jax.losses.masked_siamese import msn, pmsn
from ssl_jax.losses.patches import gram_anchoring, ibot
from ssl_jax.losses.regression import average_layers, byol, data2vec, i_jepa, simsiam
from ssl_jax.losses.sentences import next_sentence
from ssl_jax.losses.sinkhorn import sinkhorn_knopp

__all__ = [
    "average_layers",
    "byol",
    "data2vec",
    "dino",
    "gram_anchoring",
    "i_jepa",
    "ibot",
    "masked_lm",
    "masked_patches",
    "msn",
    "next_sentence",
    "normalize_patches",
    "nt_xent",
    "pmsn",
    "ressl",
    "simsiam",
    "sinkhorn_knopp",
    "update_center",
]
