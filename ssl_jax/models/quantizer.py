"""Vector quantization with codes that are drawn: the Gumbel softmax of wav2vec 2.0."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.models import settings


class Quantized(NamedTuple):
    """What a `GumbelQuantizer` gives.

    Attributes:
      vectors: the chosen codes' entries, side by side, float32 [B, T, width].
      probabilities: softmax over each codebook, without noise, float32 [B, T, G, V].
      codes: which entry was chosen, int32 [B, T, G].
    """

    vectors: jax.Array
    probabilities: jax.Array
    codes: jax.Array


class GumbelQuantizer(nnx.Module):
    """Product quantization by the straight-through Gumbel softmax (Baevski et al. 2020, section 2, equation 1).

    Computes in float32. Logits start with deviation 1 a feature, as in fairseq.

    Args:
      features: of what is quantized.
      groups: G, number of codebooks.
      codes: V, entries of each.
      width: of what comes out; a multiple of `groups`.
      start: of the entries: 'uniform' in [0, 1), as in fairseq, where all are much alike (their cosines are about 3/4)
        until training has moved them apart, or 'normal', where they are not.
      rngs: stream `params`.

    Attributes:
      codevectors: float32 [G * V, width / G], the entries of one codebook after those of the other.

    Raises:
      ValueError: a size below 1, a `start` that does not exist, or a `width` that is no multiple of `groups`.
    """

    def __init__(
        self,
        features: int,
        *,
        groups: int,
        codes: int,
        width: int,
        start: Literal["uniform", "normal"] = "uniform",
        rngs: nnx.Rngs,
    ):
        settings.at_least(1, codes=codes, width=width)
        settings.one_of("start", start, ("uniform", "normal"))
        settings.divisible("width", width, "groups", groups)
        self.groups, self.codes, self.width = groups, codes, width
        self.logits = nnx.Linear(features, groups * codes, kernel_init=nnx.initializers.normal(1.0), rngs=rngs)
        draw = jax.random.uniform if start == "uniform" else jax.random.normal
        self.codevectors = nnx.Param(draw(rngs.params(), (groups * codes, width // groups)))

    def __call__(
        self, x: jax.Array, *, temperature: float | jax.Array = 1.0, key: jax.Array | None = None
    ) -> Quantized:
        """Quantizes x [B, T, features].

        Args:
          x: any float type.
          temperature: of the softmax that gradients take for the choice.
          key: of the Gumbel noise; None: the likeliest code is chosen, and no gradient reaches the logits by it.
        """
        shape = (*x.shape[:2], self.groups, self.codes)
        logits = self.logits(x.astype(jnp.float32)).reshape(shape)
        noisy = logits if key is None else logits + jax.random.gumbel(key, shape)
        codes = jnp.argmax(noisy, -1).astype(jnp.int32)
        choice = jax.nn.one_hot(codes, self.codes)
        if key is not None:
            soft = jax.nn.softmax(noisy / temperature)
            choice = choice + (soft - jax.lax.stop_gradient(soft))
        entries = self.codevectors[...].reshape(self.groups, self.codes, -1)
        vectors = jnp.einsum("btgv,gvd->btgd", choice, entries, precision=jax.lax.Precision.HIGHEST)
        return Quantized(vectors.reshape(*x.shape[:2], self.width), jax.nn.softmax(logits), codes)
