"""Which parameters weight decay leaves alone."""

import jax
import optax

from ssl_jax.models.paths import path_name

NOT_DECAYED = ("bias", "recurrent_bias", "scale", "scale1", "scale2", "log_scale", "prototypes")


def decay_mask(params: optax.Params) -> optax.Params:
    """True where weight decay applies: not to biases, scales of normalisations, layers and logits, MSN's prototypes.

    By name, not by rank, so that layers stacked for `lax.scan` are treated like layers on their own.
    """

    def decays(path: tuple, _: jax.Array) -> bool:
        return path_name(path).rpartition(".")[2] not in NOT_DECAYED

    return jax.tree_util.tree_map_with_path(decays, params)
