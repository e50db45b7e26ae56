"""Multi-layer heads on pooled features: projectors and predictors."""

from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.models import settings
from ssl_jax.models.initializers import torch_start
from ssl_jax.models.normalization import BatchNorm


class Projector(nnx.Module):
    """Linear layers with ReLU between them: SimCLR's projection head (Chen et al. 2020, section 4.2), in float32.

    A layer followed by normalisation has no bias; a normalisation at the end has no offset, as in the official code.

    Args:
      in_features: width of the encoder's features.
      hidden: width of the layers between.
      out: width of the last layer.
      layers: number of linear layers: 2 in SimCLR, 3 in SimCLR v2; 1 is a linear projection.
      batch_norm: normalise before each ReLU.
      activation: 'relu', or 'gelu' (exact) in its place, as in MSN.
      last_batch_norm: normalise the output too.
      last_bias: whether the last layer has a bias, where it is not normalised.
      last_scale: whether the last normalisation has a scale; SimSiam's and MoCo v3's have none.
      kernel_init: of all matrices, with biases of 0; None: both start as PyTorch's linear layers do, which is what most
        official codes leave them at.
      axis_name: for `BatchNorm` under `jax.pmap` or `jax.shard_map`.
      rngs: stream `params`.

    Attributes:
      features: `out`.

    Raises:
      ValueError: a size below 1, or an `activation` that does not exist.
    """

    def __init__(
        self,
        in_features: int,
        *,
        hidden: int = 2048,
        out: int = 128,
        layers: int = 2,
        batch_norm: bool = True,
        activation: Literal["relu", "gelu"] = "relu",
        last_batch_norm: bool = True,
        last_bias: bool = True,
        last_scale: bool = True,
        kernel_init: nnx.Initializer | None = None,
        axis_name: str | None = None,
        rngs: nnx.Rngs,
    ):
        settings.at_least(1, in_features=in_features, hidden=hidden, out=out, layers=layers)
        settings.one_of("activation", activation, ("relu", "gelu"))
        self.features, self.activation = out, activation
        widths = [in_features] + [hidden] * (layers - 1) + [out]
        normed = [batch_norm] * (layers - 1) + [last_batch_norm]
        self.linears, self.norms = nnx.List([]), nnx.List([])
        for index, norm in enumerate(normed):
            inputs, outputs, last = widths[index], widths[index + 1], index == layers - 1
            bias = not norm and (last_bias or not last)
            start = torch_start(inputs) if kernel_init is None else dict(kernel_init=kernel_init)
            self.linears.append(nnx.Linear(inputs, outputs, use_bias=bias, dtype=jnp.float32, **start, rngs=rngs))
            affine = dict(use_bias=not last, use_scale=last_scale or not last)
            self.norms.append(BatchNorm(outputs, **affine, axis_name=axis_name) if norm else nnx.data(None))

    def __call__(self, x: jax.Array, *, train: bool = False, layers: int | None = None) -> jax.Array:
        """[B, in_features] -> [B, out]; `train` as for `BatchNorm`.

        With `layers`, only so many layers from the first on, each with its normalisation and ReLU: [B, hidden], or `x`
        itself for 0.
        """
        last = len(self.linears) - 1
        for index, (linear, norm) in enumerate(list(zip(self.linears, self.norms))[:layers]):
            x, relu = linear(x), index < last and self.activation == "relu"
            if norm is not None:
                x = norm(x, train=train, relu=relu)
            elif relu:
                x = jax.nn.relu(x)
            if index < last and self.activation == "gelu":
                x = jax.nn.gelu(x, approximate=False)
        return x
