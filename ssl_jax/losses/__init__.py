"""Training objectives: pure functions of arrays to a float32 scalar.

Each takes `axis_name=None`. With a name it returns, on every device, the loss of the *global* batch, whose rows are
spread in equal parts over that axis of `jax.pmap` or `jax.shard_map`; see `ssl_jax.losses.across` for gradients.
"""

from ssl_jax.losses.capacity import mmcr
from ssl_jax.losses.contrastive import nt_xent
from ssl_jax.losses.evenness import koleo, lejepa, random_directions, sigreg, visreg
from ssl_jax.losses.masked import masked_lm, masked_patches, normalize_patches
from ssl_jax.losses.redundancy import barlow_twins, tico, update_covariance, vicreg
from ssl_jax.losses.sentences import next_sentence
from ssl_jax.losses.sinkhorn import sinkhorn_knopp
from ssl_jax.losses.vicregl import vicregl
from ssl_jax.losses.whitening import w_mse

__all__ = [
    "barlow_twins",
    "koleo",
    "lejepa",
    "masked_lm",
    "masked_patches",
    "mmcr",
    "next_sentence",
    "normalize_patches",
    "nt_xent",
    "random_directions",
    "sigreg",
    "sinkhorn_knopp",
    "tico",
    "update_covariance",
    "vicreg",
    "vicregl",
    "visreg",
    "w_mse",
]
