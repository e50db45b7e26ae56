"""The head of ELECTRA's discriminator (Clark et al. 2020, section 2 and the released code)."""

from typing import get_args

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.models import settings
from ssl_jax.models.transformer import GELU, activation


class ReplacedTokenHead(nnx.Module):
    """Whether each token was replaced: linear, GELU, linear to one number.

    Args:
      width: features of the encoder.
      gelu: 'exact', or an approximation, 'tanh' or 'quick'.
      initializer_range: deviation of the matrices at the start, truncated normal.
      dtype: of the computation.
      rngs: stream `params`.

    Raises:
      ValueError: a `width` below 1, or a `gelu` or dtype that does not exist.
    """

    def __init__(
        self,
        width: int,
        *,
        gelu: GELU = "exact",
        initializer_range: float = 0.02,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        settings.at_least(1, width=width)
        settings.one_of("gelu", gelu, get_args(GELU))
        start = nnx.initializers.truncated_normal(initializer_range)
        make = dict(dtype=settings.computation_dtype(dtype), kernel_init=start, rngs=rngs)
        self.gelu = gelu
        self.dense = nnx.Linear(width, width, **make)
        self.prediction = nnx.Linear(width, 1, **make)

    def __call__(self, hidden: jax.Array) -> jax.Array:
        """[B, S, width] -> logits float32 [B, S], above 0 for a replaced token."""
        x = activation(self.dense(hidden), self.gelu)
        return self.prediction(x)[..., 0].astype(jnp.float32)
