"""The table of methods: a name in `config.method.name`, the class in the file of that name."""

from ssl_jax.methods.bert import BERT
from ssl_jax.methods.byol import BYOL
from ssl_jax.methods.mae import MAE
from ssl_jax.methods.moco_v2 import MoCoV2
from ssl_jax.methods.simclr import SimCLR

METHODS = {
    "bert": BERT,
    "byol": BYOL,
    "mae": MAE,
    "moco_v2": MoCoV2,
    "simclr": SimCLR,
}
