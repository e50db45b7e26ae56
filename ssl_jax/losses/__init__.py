"""Training objectives: pure functions of arrays to a float32 scalar.

Each takes `axis_name=None`. With a name it returns, on every device, the loss of the *global* batch, whose rows are
spread in equal parts over that axis of `jax.pmap` or `jax.shard_map`; see `ssl_jax.losses.across` for gradients.
"""

from ssl_jax.losses.autoencoding import logit_laplace, map_pixels, uniform_divergence, unmap_pixels
from ssl_jax.losses.capacity import mmcr
from ssl_jax.losses.clustering import capi, deepcluster_v2, swav
from ssl_jax.losses.contrastive import dcl, dclw, info_nce, moco, moco_v3, nnclr, nt_xent, sim_cse
from ssl_jax.losses.distillation import dino, ressl, update_center
from ssl_jax.losses.evenness import koleo, lejepa, random_directions, sigreg, visreg
from ssl_jax.losses.hog import hog
from ssl_jax.losses.hypersphere import alignment, uniformity
from ssl_jax.losses.image_text import clip, siglip
from ssl_jax.losses.labels import sup_con, triplet
from ssl_jax.losses.masked import beit, mask_feat, masked_patches, normalize_patches, normalize_windows, simmim
from ssl_jax.losses.masked_siamese import msn, pmsn
from ssl_jax.losses.patches import gram_anchoring, ibot
from ssl_jax.losses.pretext import jigsaw, relative_position, rotation
from ssl_jax.losses.quantizers import (
    codebook_diversity,
    codebook_perplexity,
    init_random_projection_quantizer,
    random_projection_quantizer,
)
from ssl_jax.losses.queue import update_queue
from ssl_jax.losses.redundancy import barlow_twins, tico, update_covariance, vicreg
from ssl_jax.losses.regression import average_layers, byol, data2vec, i_jepa, simsiam, v_jepa
from ssl_jax.losses.sentences import next_sentence, sentence_order
from ssl_jax.losses.sequences import apc, cpc
from ssl_jax.losses.sinkhorn import positionwise_sinkhorn, sinkhorn_knopp
from ssl_jax.losses.speech import best_rq, codeword_logits, hubert, wav2vec2
from ssl_jax.losses.tokens import masked_lm, replaced_tokens, span_corruption
from ssl_jax.losses.vicregl import vicregl
from ssl_jax.losses.whitening import w_mse
from ssl_jax.losses.words import keep_probability, skip_gram, unigram_noise

__all__ = [
    "alignment",
    "apc",
    "average_layers",
    "barlow_twins",
    "beit",
    "best_rq",
    "byol",
    "capi",
    "clip",
    "codebook_diversity",
    "codebook_perplexity",
    "codeword_logits",
    "cpc",
    "data2vec",
    "dcl",
    "dclw",
    "deepcluster_v2",
    "dino",
    "gram_anchoring",
    "hog",
    "hubert",
    "i_jepa",
    "ibot",
    "info_nce",
    "init_random_projection_quantizer",
    "jigsaw",
    "keep_probability",
    "koleo",
    "lejepa",
    "logit_laplace",
    "map_pixels",
    "mask_feat",
    "masked_lm",
    "masked_patches",
    "mmcr",
    "moco",
    "moco_v3",
    "msn",
    "next_sentence",
    "nnclr",
    "normalize_patches",
    "normalize_windows",
    "nt_xent",
    "pmsn",
    "positionwise_sinkhorn",
    "random_directions",
    "random_projection_quantizer",
    "relative_position",
    "replaced_tokens",
    "ressl",
    "rotation",
    "sentence_order",
    "siglip",
    "sigreg",
    "sim_cse",
    "simmim",
    "simsiam",
    "sinkhorn_knopp",
    "skip_gram",
    "span_corruption",
    "sup_con",
    "swav",
    "tico",
    "triplet",
    "uniform_divergence",
    "uniformity",
    "unigram_noise",
    "unmap_pixels",
    "update_center",
    "update_covariance",
    "update_queue",
    "v_jepa",
    "vicreg",
    "vicregl",
    "visreg",
    "w_mse",
    "wav2vec2",
]
