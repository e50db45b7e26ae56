"""Directions that projections are compared with, one a cluster."""

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.losses.rows import unit_length
from ssl_jax.models import settings


class Prototypes(nnx.Module):
    """K learned vectors of unit length (Caron et al. 2020, SwAV, section 3.1).

    They have unit length as drawn; an optimizer changes that, and `normalize` restores it. As in the authors' code the
    gradient is not taken through the normalisation.

    Args:
      features: their width D.
      count: K.
      rngs: stream `params`; directions are uniform.

    Raises:
      ValueError: a size below 1.
    """

    def __init__(self, features: int, count: int, *, rngs: nnx.Rngs):
        settings.at_least(1, features=features, prototypes=count)
        drawn = jax.random.normal(rngs.params(), (count, features))
        self.kernel = nnx.Param(unit_length(drawn).T)

    def __call__(self, rows: jax.Array) -> jax.Array:
        """Dot products with all prototypes: [..., D] -> float32 [..., K]."""
        rows = rows.astype(jnp.float32)
        return jnp.einsum("...d,dk->...k", rows, self.kernel[...], precision=jax.lax.Precision.HIGHEST)

    def normalize(self) -> None:
        """Scales each to unit length, in place."""
        self.kernel[...] = unit_length(self.kernel[...].T).T
