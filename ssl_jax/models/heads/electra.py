"""The head of ELECTRA's discriminator (Clark et al. 2020, section 2 and the released code)."""

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.models import settings
from ssl_jax.models.transformer import GELU


class ReplacedTokenHead(nnx.Module):
    """Whether each token was replaced: linear, GELU, linear to one number.

    Args:
      width: features of the encoder.
      gelu: 'exact', or 'tanh', an approximation.
      initializer_range: deviation of the matrices at the start, truncated normal.
      dtype: of the computation.
      rngs: stream `params`.
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
        settings.one_of("gelu", gelu, ("exact", "tanh"))
        start = nnx.initializers.truncated_normal(initializer_range)
        make = dict(dtype=settings.computation_dtype(dtype), kernel_init=start, rngs=rngs)
        self.gelu = gelu
        self.dense = nnx.Linear(width, width, **make)
        self.prediction = nnx.Linear(width, 1, **make)

    def __call__(self, hidden: jax.Array) -> jax.Array:
        """[B, S, width] -> logits float32 [B, S], above 0 for a replaced token."""
        x = jax.nn.gelu(self.dense(hidden), approximate=self.gelu == "tanh")
        return self.prediction(x)[..., 0].astype(jnp.float32)
