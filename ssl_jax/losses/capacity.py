"""Nuclear norms: how many dimensions the views of an image take up, and how many all images."""

import jax
import jax.numpy as jnp
from jax import lax

from ssl_jax.losses.across import AxisName, gather_rows, mean
from ssl_jax.losses.checks import check_range, check_same
from ssl_jax.losses.rows import unit_length


def mmcr(
    views: jax.Array,
    momentum_views: jax.Array | None = None,
    *,
    lambda_: float = 0.0,
    axis_name: AxisName = None,
) -> jax.Array:
    """Maximum manifold capacity representations (MMCR).

    With all embeddings of unit length, `Z_n` the V views of an example, and `C` the centroids of all examples::

        loss = lambda_ * mean_n ||Z_n||_* - ||C||_*

    Source: Yerxa et al., "Learning Efficient Coding of Natural Images with Maximum Manifold Capacity Representations",
    2023, and the authors' code, whose `lambda_` is 0 by default. With momentum views, a centroid is the mean of the
    mean online and the mean momentum view, while `Z_n` are the online views only. lightly takes both into `Z_n`, and
    leaves the scaling to unit length to its caller. The authors' code drops the gradients to other devices' rows;
    here they are those of the global batch.

    The gradient of a nuclear norm is taken to be `U V^T` over singular values above rounding, the subgradient of least
    norm: 0 for a zero matrix, no noise in empty directions, finite for equal singular values. The value is the product
    of that with the matrix, so second derivatives are those of a linear function.

    Args:
      views: embeddings of each example's views, [N, V, D], any float type.
      momentum_views: those of the momentum network, [N, W, D], if there is one.
      lambda_: weight of the local norms, a Python number; they are only computed where it is not 0.
      axis_name: the mapped axis that holds the rest of the batch, if any. Every device then gathers the N centroids.

    Returns:
      The loss of the global batch, a float32 scalar; the norm of the centroids grows with its size.

    Raises:
      ValueError: the shapes do not fit, or `lambda_` is negative.
    """
    check_same("[N, V, D]", views=views)
    check_range(0, float("inf"), lambda_=lambda_)
    views = unit_length(views)
    centroids = jnp.mean(views, axis=1)
    if momentum_views is not None:
        if momentum_views.ndim != 3 or momentum_views.shape[::2] != views.shape[::2]:
            raise ValueError(f"momentum_views must be [N, W, D] like views {views.shape}, not {momentum_views.shape}")
        centroids = 0.5 * (centroids + jnp.mean(unit_length(momentum_views), axis=1))
    loss = -mean(nuclear_norm(gather_rows(centroids, axis_name)), axis_name)  # the mean of equal numbers
    return loss if lambda_ == 0 else loss + lambda_ * mean(nuclear_norm(views), axis_name)


def nuclear_norm(matrices: jax.Array) -> jax.Array:
    """The sum of singular values, with finite gradients everywhere: [..., M, N] -> [...].

    It is the largest `sum(W * A)` over all W without a singular value above 1, and `U V^T` attains it; so W may be
    held fixed in the gradient.
    """
    u, s, vt = jnp.linalg.svd(lax.stop_gradient(matrices), full_matrices=False)
    rounding = max(matrices.shape[-2:]) * jnp.finfo(matrices.dtype).eps * s[..., :1]
    kept = (s > rounding).astype(matrices.dtype)
    largest = jnp.matmul(u * kept[..., None, :], vt, precision=lax.Precision.HIGHEST)
    return jnp.sum(largest * matrices, axis=(-2, -1))
