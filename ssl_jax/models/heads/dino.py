"""The head of DINO, iBOT and DINOv2: an MLP to the unit sphere, and scores for prototypes."""

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.losses.rows import unit_length
from ssl_jax.models import settings
from ssl_jax.models.initializers import TORCH_KERNEL
from ssl_jax.models.normalization import BatchNorm
from ssl_jax.models.transformer import Initializer


class DINOHead(nnx.Module):
    """Linear layers with GELU between them, unit length, then a weight-normalised layer of prototypes.

    Source: Caron et al. 2021 (DINO), section 3.1 and the official code's `DINOHead`, as in iBOT and DINOv2: matrices
    normal with deviation 0.02, biases 0. A layer followed by batch normalisation has no bias here; in the official
    code it has one, which changes nothing.

    Args:
      in_features: width of the encoder's features.
      hidden: width of the layers between.
      bottleneck: width of the layer that is scaled to unit length.
      prototypes: K, the number of outputs.
      layers: linear layers before the prototypes.
      batch_norm: normalise before each GELU.
      learn_gains: see `WeightNormLinear`.
      dtype: of the computation.
      rngs: stream `params`.

    Attributes:
      last_layer: the prototypes, a `WeightNormLinear`.

    Raises:
      ValueError: a size below 1, or a dtype that is not float32 or bfloat16.
    """

    def __init__(
        self,
        in_features: int,
        *,
        hidden: int = 2048,
        bottleneck: int = 256,
        prototypes: int = 65536,
        layers: int = 3,
        batch_norm: bool = False,
        learn_gains: bool = False,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        settings.at_least(1, in_features=in_features, hidden=hidden, bottleneck=bottleneck, layers=layers)
        widths = [in_features] + [hidden] * (layers - 1) + [bottleneck]
        shared = dict(kernel_init=nnx.initializers.normal(0.02), dtype=settings.computation_dtype(dtype), rngs=rngs)
        self.linears, self.norms = nnx.List([]), nnx.List([])
        for index in range(layers):
            norm = batch_norm and index < layers - 1
            self.linears.append(nnx.Linear(widths[index], widths[index + 1], use_bias=not norm, **shared))
            self.norms.append(BatchNorm(widths[index + 1]) if norm else nnx.data(None))
        self.last_layer = WeightNormLinear(bottleneck, prototypes, learn_gains=learn_gains, dtype=dtype, rngs=rngs)

    def sphere(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """[..., in_features] -> float32 [..., bottleneck] of unit length; `train` as for `BatchNorm`."""
        for index, (linear, norm) in enumerate(zip(self.linears, self.norms)):
            x = linear(x)
            x = x if norm is None else norm(x, train=train)
            x = jax.nn.gelu(x, approximate=False) if index < len(self.linears) - 1 else x
        return unit_length(x)

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """[..., in_features] -> logits float32 [..., prototypes]; `train` as for `BatchNorm`."""
        return self.last_layer(self.sphere(x, train=train))


class WeightNormLinear(nnx.Module):
    """A linear layer without bias whose columns have a length of their own (Salimans and Kingma 2016).

    The length (the gain) is 1 at first.

    Args:
      in_features: width of the input.
      out_features: number of columns.
      learn_gains: whether lengths are trained. Not in DINO by default ("norm_last_layer" in the official code); they
        are in its best run of ViT-S, in iBOT's of ViT-S, and always in DINOv2.
      kernel_init: of the directions; by default as PyTorch's linear layers, uniform in +-1 / sqrt(in_features).
      dtype: of the computation.
      rngs: stream `params`.

    Raises:
      ValueError: a size below 1, or a dtype that is not float32 or bfloat16.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        learn_gains: bool = False,
        kernel_init: Initializer = TORCH_KERNEL,
        dtype: str,
        rngs: nnx.Rngs,
    ):
        settings.at_least(1, in_features=in_features, prototypes=out_features)
        self.dtype = settings.computation_dtype(dtype)
        self.kernel = nnx.Param(kernel_init(rngs.params(), (in_features, out_features), jnp.float32))
        self.gain = nnx.Param(jnp.ones((out_features,), jnp.float32)) if learn_gains else nnx.data(None)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., in_features] -> float32 [..., out_features]."""
        kernel = self.kernel[...]
        kernel = kernel * jax.lax.rsqrt(jnp.sum(jnp.square(kernel), axis=0, keepdims=True))
        if self.gain is not None:
            kernel = kernel * self.gain[...][None]
        operands = x.astype(self.dtype), kernel.astype(self.dtype)
        return jnp.einsum("...i,io->...o", *operands, preferred_element_type=jnp.float32)
