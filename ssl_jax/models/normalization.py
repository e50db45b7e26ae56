"""Batch normalisation with the backward pass in closed form, and the normalisations of the transformers.

Autodiff of batch normalisation followed by ReLU stores several activation-sized arrays and walks over them many times.
The closed form keeps the layer's input and two vectors, and rebuilds the rest.
"""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.models import settings


class BatchNorm(nnx.Module):
    """Batch normalisation over all axes but the last (Ioffe and Szegedy, 2015), optionally followed by ReLU.

    Under `jax.jit` the statistics are those of the global batch, however it is sharded over a mesh. Inside `jax.pmap`
    or `jax.shard_map`, where a function sees one device's rows, `axis_name` makes them so; every device must hold
    equally many.

    The running averages use the biased variance of the batch, as TensorFlow and Flax do; PyTorch uses the unbiased one
    there. No gradient flows through the running averages.

    Where several views of each example come in one pass (`augment.each_view`), `views` says how many are normalised
    apart, each by the statistics of its own rows (`normalize_apart`). Running averages then move once for each view, in
    their order, as in so many passes.

    Args:
      features: size of the last axis.
      momentum: weight of the old running average at each training step.
      epsilon: added to the variance.
      use_bias: whether there is an offset; SimCLR's last projector layer has none.
      use_scale: whether there is a scale; SimSiam's last projector layer has neither.
      scale_init: initial scale; 0 in the last normalisation of a residual branch.
      axis_name: the mapped axis or axes to average over under `jax.pmap` or `jax.shard_map`.
      rngs: unused; taken so that all layers are built alike.

    Attributes:
      views: number of views in the rows [B * views, ...] of training that are normalised apart; 1 at first.
      scale, bias: nnx.Param float32 [features] (None without `use_scale`, without `use_bias`).
      mean, var: nnx.BatchStat float32 [features], the running averages.

    Raises:
      ValueError: `features` below 1, or a momentum outside 0 <= momentum < 1.
    """

    def __init__(
        self,
        features: int,
        *,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        use_bias: bool = True,
        use_scale: bool = True,
        scale_init: float = 1.0,
        axis_name: str | tuple[str, ...] | None = None,
        rngs: nnx.Rngs | None = None,
    ):
        settings.at_least(1, features=features)
        settings.probability(momentum=momentum)
        self.views = 1
        self.momentum = momentum
        self.epsilon = epsilon
        self.axis_name = axis_name
        self.scale = nnx.Param(jnp.full((features,), scale_init, jnp.float32)) if use_scale else nnx.data(None)
        self.bias = nnx.Param(jnp.zeros((features,), jnp.float32)) if use_bias else nnx.data(None)
        self.mean = nnx.BatchStat(jnp.zeros((features,), jnp.float32))
        self.var = nnx.BatchStat(jnp.ones((features,), jnp.float32))

    def __call__(self, x: jax.Array, *, train: bool = False, relu: bool = False) -> jax.Array:
        """Normalises by the batch's statistics when training, else by the running averages.

        Args:
          x: [..., features], any float dtype; at least two axes. In training the first is B * `views` long, the views
            of an example one after another.
          train: use the batch's statistics and update the running averages.
          relu: return max(0, normalised).

        Returns:
          The same shape and dtype as `x`; arithmetic is in float32.

        Raises:
          ValueError: rows that are no multiple of `views`, in training.
        """
        scale = jnp.ones_like(self.mean[...]) if self.scale is None else self.scale[...]
        bias = jnp.zeros_like(scale) if self.bias is None else self.bias[...]
        if not train:
            return _affine(x, self.mean[...], _rsqrt(self.var[...], self.epsilon), scale, bias, relu)
        if len(x) % self.views:
            raise ValueError(f"{len(x)} rows are not {self.views} views of each example, which this BatchNorm expects")
        y, mean, var = batch_normalize(
            x, scale, bias, views=self.views, epsilon=self.epsilon, relu=relu, axis_name=self.axis_name
        )
        for view in range(self.views):
            self.mean[...] = self.momentum * self.mean[...] + (1 - self.momentum) * mean[view]
            self.var[...] = self.momentum * self.var[...] + (1 - self.momentum) * var[view]
        return y


def normalize_apart(module: nnx.Module, views: int) -> None:
    """Every `BatchNorm` in `module` normalises each of `views` views by itself from now on; changed in place.

    In training, rows must then lie as `augment.each_view` lays them: a layer sees only whether their number is a
    multiple. A network that goes on elsewhere is told `views=1` again.

    Raises:
      ValueError: views below 1.
      TypeError: a layer of Flax's own batch normalisation, which knows no views.
    """
    settings.at_least(1, views=views)
    if any(isinstance(node, nnx.BatchNorm) for _, node in nnx.iter_graph(module)):
        raise TypeError(
            f"{type(module).__name__} normalises each view by itself, which an nnx.BatchNorm cannot do in one pass of "
            "all views; build the network with ssl_jax.models.BatchNorm"
        )
    module.set_attributes(BatchNorm, views=views, raise_if_not_found=False)


def batch_normalize(
    x: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    *,
    views: int = 1,
    epsilon: float = 1e-5,
    relu: bool = False,
    axis_name: str | tuple[str, ...] | None = None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """relu?((x - mean) / sqrt(var + epsilon) * scale + bias) with mean and var of the batch, or of each view's rows.

    With `axis_name` the gradient with respect to `x` is that of the sum of the devices' losses; that with respect to
    `scale` and `bias` is this device's share of it, which JAX adds up where it knows them to be shared
    (`jax.shard_map`) and the caller does under `jax.pmap`. The statistics that are returned carry no gradient.

    Args:
      x: [B * views, ..., C], the views of an example one after another.
      scale, bias: float32 [C].
      views: how many are normalised apart.
      epsilon: added to the variance.
      relu: clip the result at 0.
      axis_name: mapped axis (or axes) over which the batch is spread.

    Returns:
      The normalised array, like `x`; mean and biased variance, float32 [views, C].
    """
    if axis_name is not None:
        # One device's gradient of a shared vector is its share only; the transpose of the cast adds the shares up.
        scale, bias = (_varying(vector, axis_name) for vector in (scale, bias))
    apart, axes = x, tuple(range(x.ndim - 1))
    if views > 1:
        apart, axes = x.reshape(-1, views, *x.shape[1:]), (0, *range(2, x.ndim))
        scale, bias = scale[None], bias[None]
    y, mean, var = _batch_normalize(apart, scale, bias, axes, epsilon, relu, axis_name)
    mean, var = (jax.lax.stop_gradient(moment).reshape(views, -1) for moment in (mean, var))
    return y.reshape(x.shape), mean, var


@partial(jax.custom_vjp, nondiff_argnums=(3, 4, 5, 6))
def _batch_normalize(x, scale, bias, axes, epsilon, relu, axis_name):
    """Of x [..., C], or of [B, views, ..., C] with scale and bias [1, C]; `axes` are those of the batch."""
    mean, var = _statistics(x, axes, axis_name)
    return _affine(x, mean, _rsqrt(var, epsilon), scale, bias, relu), mean, var


def _forward(x, scale, bias, axes, epsilon, relu, axis_name):
    mean, var = _statistics(x, axes, axis_name)
    inverse = _rsqrt(var, epsilon)
    return (_affine(x, mean, inverse, scale, bias, relu), mean, var), (x, mean, inverse, scale, bias)


def _backward(axes, epsilon, relu, axis_name, residuals, cotangents):
    x, mean, inverse, scale, bias = residuals
    grad, centred = cotangents[0].astype(jnp.float32), x.astype(jnp.float32) - _rows(mean, x)
    slope = scale * inverse
    if relu:
        grad = jnp.where(centred * _rows(slope, x) + _rows(bias, x) > 0, grad, 0.0)
    grad_bias = jnp.sum(grad, axes)
    grad_scale = jnp.sum(grad * centred, axes) * inverse
    count = x.size // mean.size
    mean_grad = _pmean(grad_bias / count, axis_name)
    mean_product = _pmean(grad_scale / count, axis_name)
    grad_x = _rows(slope, x) * (grad - _rows(mean_grad, x)) - centred * _rows(slope * inverse * mean_product, x)
    if scale.ndim > 1:
        grad_scale, grad_bias = (jnp.sum(gradient, 0, keepdims=True) for gradient in (grad_scale, grad_bias))
    return grad_x.astype(x.dtype), grad_scale, grad_bias


_batch_normalize.defvjp(_forward, _backward)


def _statistics(x, axes, axis_name):
    """Mean and variance, in two passes: E[x^2] - E[x]^2 cancels where the mean is large beside the deviation."""
    x = x.astype(jnp.float32)
    mean = _pmean(jnp.mean(x, axes), axis_name)
    return mean, _pmean(jnp.mean(jnp.square(x - _rows(mean, x)), axes), axis_name)


def _affine(x, mean, inverse, scale, bias, relu):
    y = (x.astype(jnp.float32) - _rows(mean, x)) * _rows(inverse * scale, x) + _rows(bias, x)
    return (jax.nn.relu(y) if relu else y).astype(x.dtype)


def _rsqrt(var, epsilon):
    return jax.lax.rsqrt(var + epsilon)


def _rows(vectors, x):
    """[C], [1, C] or [views, C], to be broadcast with x [..., C] or [B, views, ..., C]."""
    between = (1,) * (x.ndim - vectors.ndim - 1)
    return vectors.reshape(1, *vectors.shape[:-1], *between, vectors.shape[-1])


def _pmean(value, axis_name):
    return value if axis_name is None else jax.lax.pmean(value, axis_name)


def _varying(vector, axis_name):
    """`vector` marked as different on every device: adding the device's number, times 0, casts it."""
    return vector + 0.0 * jax.lax.axis_index(axis_name).astype(vector.dtype)


def layer_norm(features: int, *, epsilon: float, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """Layer normalisation over the last axis, computed and returned in float32 (the next layer casts)."""
    return nnx.LayerNorm(features, epsilon=epsilon, dtype=jnp.float32, use_fast_variance=False, rngs=rngs)


def rms_norm(features: int, *, epsilon: float, scaled: bool = True, rngs: nnx.Rngs) -> nnx.RMSNorm:
    """Division by the root mean square over the last axis, with a learnt scale if `scaled`; in float32, as above."""
    return nnx.RMSNorm(
        features, epsilon=epsilon, use_scale=scaled, dtype=jnp.float32, use_fast_variance=False, rngs=rngs
    )
