"""The predictor of CAPI and its clustering (Darcet et al. 2025, Cluster and Predict Latent Patches)."""

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.losses.rows import unit_length
from ssl_jax.models import settings
from ssl_jax.models.normalization import rms_norm
from ssl_jax.models.rotary import EPSILON, Beside, RotaryBlock
from ssl_jax.models.transformer import Remat, Stack


class CAPIPredictor(nnx.Module):
    """Blocks of cross attention: from a mask token at each place that is asked for, to what an encoder made of others.

    Places do not see each other, so that few or many can be asked for. As `RotaryViT` in all else; the mask token
    starts normal with deviation 0.02.

    Args:
      features: width of the encoder's states, and of the predictor.
      depth, heads, mlp_dim: sizes of the blocks.
      drop_path: stochastic depth, of all blocks alike.
      scan, remat, accumulate: as for `Stack`.
      dtype: of the computation; parameters are float32.
      rngs: stream `params`.

    Raises:
      ValueError: a dtype that is not float32 or bfloat16, `features` that are no multiple of 4 times `heads`, or what
        `Stack` refuses.
    """

    def __init__(
        self,
        features: int,
        *,
        depth: int,
        heads: int,
        mlp_dim: int,
        drop_path: float = 0.0,
        scan: bool = False,
        remat: Remat = False,
        accumulate: int = 1,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        self.drop_path, self.dtype = drop_path, settings.computation_dtype(dtype)
        self.mask_token = nnx.Param(nnx.initializers.normal(0.02)(rngs.params(), (features,)))

        def block(rngs):
            shape = dict(heads=heads, mlp_dim=mlp_dim, context_width=features)
            return RotaryBlock(features, **shape, dtype=dtype, rngs=rngs)

        run = dict(scan=scan, remat=remat, accumulate=accumulate, drop_path=drop_path, drop_path_uniform=True)
        self.stack = Stack(block, depth=depth, rngs=rngs, **run)
        self.norm = rms_norm(features, epsilon=EPSILON, scaled=False, rngs=rngs)

    def __call__(
        self,
        context: jax.Array,
        context_places: jax.Array,
        places: jax.Array,
        *,
        train: bool = False,
        key: jax.Array | None = None,
    ) -> jax.Array:
        """States of the patches at `places`.

        Args:
          context: states of what is seen, [B, n, features].
          context_places: their coordinates, float32 [B or 1, n, 2].
          places: coordinates that are asked for, [B, M, 2].
          train: drop.
          key: of the drawing; needed when training with drop_path.

        Returns:
          [B, M, features], normalised.

        Raises:
          ValueError: training with `drop_path` and no key.
        """
        key = settings.training_key(train, key, drop_path=self.drop_path)
        tokens = jnp.broadcast_to(self.mask_token[...].astype(self.dtype), (*places.shape[:2], len(self.mask_token)))
        beside = Beside(places, context.astype(self.dtype), context_places)
        return self.norm(self.stack(tokens, beside, key)).astype(self.dtype)


class OnlineClustering(nnx.Module):
    """Scores for clusters: a linear layer on directions, whose columns may have any length.

    Args:
      features: width of what is clustered.
      clusters: K.
      dtype: of the computation.
      rngs: stream `params`; the matrix starts normal with deviation 1, biases at 0.

    Raises:
      ValueError: a size below 1, or a dtype that is not float32 or bfloat16.
    """

    def __init__(self, features: int, clusters: int, *, dtype: str = "float32", rngs: nnx.Rngs):
        settings.at_least(1, features=features, clusters=clusters)
        self.dtype = settings.computation_dtype(dtype)
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), (features, clusters)))
        self.bias = nnx.Param(jnp.zeros((clusters,), jnp.float32))

    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., features] -> float32 [..., K]."""
        operands = unit_length(x).astype(self.dtype), self.kernel[...].astype(self.dtype)
        scores = jnp.einsum("...i,io->...o", *operands, preferred_element_type=jnp.float32)
        return scores + self.bias[...].reshape(*(1,) * (scores.ndim - 1), -1)
