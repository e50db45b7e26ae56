"""The table of methods: a name in `config.method.name`, the class in the file of that name."""

from ssl_jax.methods.bert import BERT
from ssl_jax.methods.byol import BYOL
from ssl_jax.methods.mae import MAE
from ssl_jax.methods.msn import MSN
from ssl_jax.methods.simclr import SimCLR
from ssl_jax.methods.swav import SwAV

METHODS = {
    "bert": BERT,
    "byol": BYOL,
    "mae": MAE,
    "msn": MSN,
    "simclr": SimCLR,
    "swav": SwAV,
}
