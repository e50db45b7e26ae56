"""The table of methods: a name in `config.method.name`, the class in the file of that name."""

from ssl_jax.methods.albert import ALBERT
from ssl_jax.methods.apc import APC
from ssl_jax.methods.attentive_probe import AttentiveProbe
from ssl_jax.methods.barlow_twins import BarlowTwins
from ssl_jax.methods.beit import BEiT
from ssl_jax.methods.bert import BERT
from ssl_jax.methods.best_rq import BestRQ
from ssl_jax.methods.byol import BYOL
from ssl_jax.methods.capi import CAPI
from ssl_jax.methods.clap import CLAP
from ssl_jax.methods.clip import CLIP
from ssl_jax.methods.cpc import CPC
from ssl_jax.methods.data2vec import Data2Vec
from ssl_jax.methods.data2vec_text import Data2VecText
from ssl_jax.methods.data2vec_vision import Data2VecVision
from ssl_jax.methods.dcl import DCL
from ssl_jax.methods.dino import DINO
from ssl_jax.methods.dinov2 import DINOv2
from ssl_jax.methods.dvae import DVAE
from ssl_jax.methods.electra import ELECTRA
from ssl_jax.methods.hubert import HuBERT
from ssl_jax.methods.i_jepa import IJEPA
from ssl_jax.methods.ibot import IBOT
from ssl_jax.methods.jigsaw import Jigsaw
from ssl_jax.methods.lejepa import LeJEPA
from ssl_jax.methods.mae import MAE
from ssl_jax.methods.mask_feat import MaskFeat
from ssl_jax.methods.moco_v2 import MoCoV2
from ssl_jax.methods.moco_v3 import MoCoV3
from ssl_jax.methods.msn import MSN
from ssl_jax.methods.next_token import NextToken
from ssl_jax.methods.nnclr import NNCLR
from ssl_jax.methods.relative_position import RelativePosition
from ssl_jax.methods.roberta import RoBERTa
from ssl_jax.methods.rotation import Rotation
from ssl_jax.methods.siglip import SigLIP
from ssl_jax.methods.simclr import SimCLR
from ssl_jax.methods.simcse import SimCSE
from ssl_jax.methods.simmim import SimMIM
from ssl_jax.methods.simsiam import SimSiam
from ssl_jax.methods.sup_con import SupCon
from ssl_jax.methods.supervised import Supervised
from ssl_jax.methods.swav import SwAV
from ssl_jax.methods.t5 import T5
from ssl_jax.methods.v_jepa import VJEPA
from ssl_jax.methods.vicreg import VICReg
from ssl_jax.methods.wav2vec2 import Wav2Vec2
from ssl_jax.methods.word2vec import Word2Vec

METHODS = {
    "albert": ALBERT,
    "apc": APC,
    "attentive_probe": AttentiveProbe,
    "barlow_twins": BarlowTwins,
    "beit": BEiT,
    "bert": BERT,
    "best_rq": BestRQ,
    "byol": BYOL,
    "capi": CAPI,
    "clap": CLAP,
    "clip": CLIP,
    "cpc": CPC,
    "data2vec": Data2Vec,
    "data2vec_text": Data2VecText,
    "data2vec_vision": Data2VecVision,
    "dcl": DCL,
    "dino": DINO,
    "dinov2": DINOv2,
    "dvae": DVAE,
    "electra": ELECTRA,
    "hubert": HuBERT,
    "i_jepa": IJEPA,
    "ibot": IBOT,
    "jigsaw": Jigsaw,
    "lejepa": LeJEPA,
    "mae": MAE,
    "mask_feat": MaskFeat,
    "moco_v2": MoCoV2,
    "moco_v3": MoCoV3,
    "msn": MSN,
    "next_token": NextToken,
    "nnclr": NNCLR,
    "relative_position": RelativePosition,
    "roberta": RoBERTa,
    "rotation": Rotation,
    "siglip": SigLIP,
    "simclr": SimCLR,
    "simcse": SimCSE,
    "simmim": SimMIM,
    "simsiam": SimSiam,
    "sup_con": SupCon,
    "supervised": Supervised,
    "swav": SwAV,
    "t5": T5,
    "v_jepa": VJEPA,
    "vicreg": VICReg,
    "wav2vec2": Wav2Vec2,
    "word2vec": Word2Vec,
}
