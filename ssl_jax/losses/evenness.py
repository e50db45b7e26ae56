"""Losses of how evenly embeddings fill their space."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import ndtri

from ssl_jax.losses import pairs
from ssl_jax.losses.across import AxisName, gather_rows, mean, row_numbers, size
from ssl_jax.losses.checks import check_positive, check_range, check_same, check_shape
from ssl_jax.losses.moments import batch_mean, centered, check_rows
from ssl_jax.losses.rows import root, unit_length


def koleo(z: jax.Array, *, eps: float = 1e-8, block_size: int | None = None, axis_name: AxisName = None) -> jax.Array:
    """Spread by distances to nearest neighbours: the Kozachenko-Leonenko regulariser (KoLeo).

    With rows of unit length::

        loss = -mean_n log( min_{m != n} |z_n - z_m| + eps )

    Source: Sablayrolles et al., "Spreading vectors for similarity search", 2019, and DINOv2's code, which takes the
    neighbours of a device's own rows; here they come from the global batch. DINOv2 sets a row's similarity to itself
    to -1, so that an antipodal pair alone in a batch ties with it; lightly sets it to -2. Here it is minus infinity.
    Both add 1e-8 to each coordinate of the difference, which gives coinciding rows very large gradients;
    here they have distance 0 and no gradient, as there is no direction to leave each other in.

    Args:
      z: embeddings, [N, D], any float type.
      eps: added to the distances.
      block_size: search neighbours for so many rows at a time, in memory that grows with N and not with N^2; None: for
        all at once. The result is the same.
      axis_name: the mapped axis that holds the rest of the batch, if any. Every device then gathers all rows.

    Returns:
      The mean over the global batch, a float32 scalar.

    Raises:
      ValueError: `z` is no matrix or has one row only, or a setting is not positive.
    """
    check_same("[N, D]", z=z)
    check_positive(eps=eps, **({} if block_size is None else {"block_size": block_size}))
    check_rows(2, z.shape[0], axis_name, "one row has no neighbour")
    z = unit_length(z)
    candidates = gather_rows(z, axis_name)
    itself = row_numbers(z.shape[0], axis_name)
    difference = z - candidates[pairs.nearest(z, candidates, but=itself, block_size=block_size)]
    return -mean(jnp.log(root(jnp.sum(jnp.square(difference), axis=1)) + eps), axis_name)


def random_directions(key: jax.Array, dimensions: int, count: int) -> jax.Array:
    """Directions drawn evenly from the sphere, each of length 1, for `sigreg` and `visreg`.

    Source: Balestriero and LeCun, "LeJEPA: Provable and Scalable Self-Supervised Learning Without the Heuristics",
    2025, and the authors' code: standard normal numbers, each column over its length.

    Args:
      key: of this step.
      dimensions: D, those of the embeddings.
      count: K, how many directions.

    Returns:
      float32 [D, K].
    """
    directions = jax.random.normal(key, (dimensions, count), jnp.float32)
    return directions / jnp.linalg.norm(directions, axis=0)[None, :]


def sigreg(
    z: jax.Array, directions: jax.Array, *, points: int = 17, t_max: float = 3.0, axis_name: AxisName = None
) -> jax.Array:
    """Sketched isotropic Gaussian regularisation (SIGReg): how far projections are from a standard normal distribution.

    Along each direction, the Epps-Pulley statistic compares the characteristic function of the N projections with that
    of the normal distribution, with weights `exp(-t^2 / 2)`::

        loss = mean over directions of  N * integral | mean_n exp(i t z_n) - exp(-t^2 / 2) |^2 exp(-t^2 / 2) dt

    Source: Balestriero and LeCun, "LeJEPA: Provable and Scalable Self-Supervised Learning Without the Heuristics",
    2025, and the authors' code (`EppsPulley` with `SlicingUnivariateTest`), also in lightly: the integral is from
    `-t_max` to `t_max`; it is even, so the trapezoidal rule runs over `points` from 0 to `t_max`, and doubles. N is the
    size of the global batch. Several views are tested one by one, and averaged.

    Args:
      z: embeddings, [N, D] or [N, V, D], any float type.
      directions: of length 1, [D, K], the same on all devices: `random_directions`, drawn anew for every step.
      points: of the integration.
      t_max: its upper limit.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      The mean over directions and views of the global batch's statistic, a float32 scalar.

    Raises:
      ValueError: the shapes do not fit, there are fewer than 2 points, or `t_max` is not positive.
    """
    if z.ndim not in (2, 3):
        raise ValueError(f"z must be [N, D] or [N, V, D], not {z.shape}")
    check_shape("directions", directions, (z.shape[-1], *directions.shape[1:2]))
    check_positive(t_max=t_max)
    if points < 2:
        raise ValueError(f"there must be at least 2 points, not {points}")
    projections = _project(z, directions).reshape(z.shape[0], -1)
    t = jnp.linspace(0.0, t_max, points, dtype=jnp.float32)
    normal = jnp.exp(-0.5 * jnp.square(t))
    ends = jnp.ones(points, jnp.float32).at[jnp.array([0, -1])].set(0.5)
    weights = normal * (2 * t_max / (points - 1)) * ends

    @jax.checkpoint  # or the gradient keeps N * K numbers for each point
    def characteristic(at):
        return jnp.mean(jnp.cos(at * projections), axis=0), jnp.mean(jnp.sin(at * projections), axis=0)

    real, imaginary = lax.map(characteristic, t)
    if axis_name is not None:
        real, imaginary = lax.pmean((real, imaginary), axis_name)
    distances = jnp.mean(jnp.square(real - normal[:, None]) + jnp.square(imaginary), axis=1)
    return size(z.shape[0], axis_name) * jnp.sum(weights * distances)


def _project(z, directions):
    return jnp.matmul(z.astype(jnp.float32), directions.astype(jnp.float32), precision=lax.Precision.HIGHEST)


def lejepa(
    views: jax.Array,
    directions: jax.Array,
    *,
    lambda_: float = 0.05,
    global_views: int | None = None,
    points: int = 17,
    t_max: float = 3.0,
    axis_name: AxisName = None,
) -> jax.Array:
    """Views close to their centre, and distributed like a standard normal: LeJEPA.

    ::

        loss = (1 - lambda_) * mean (z_nv - center_n)^2 + lambda_ * sigreg(views, directions)

    The mean is over examples, views and dimensions; `center_n` is the mean of an example's global views.

    Source: Balestriero and LeCun, "LeJEPA: Provable and Scalable Self-Supervised Learning Without the Heuristics",
    2025, and the authors' minimal example, which takes the centre of all views (`global_views=None`) and `lambda_`
    0.02. The paper's algorithm 2 and lightly, with 0.05, take the centre of the global views.

    Args:
      views: projections of all views of each example, global ones first, [N, V, D], any float type.
      directions: of length 1, [D, K], as in `sigreg`.
      lambda_: weight of SIGReg, between 0 and 1.
      global_views: how many of the views make up the centre; None: all.
      points: as in `sigreg`.
      t_max: as in `sigreg`.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      The loss of the global batch, a float32 scalar.

    Raises:
      ValueError: the shapes do not fit, or a setting is out of range.
    """
    check_range(0.0, 1.0, lambda_=lambda_)
    invariance = _distance_to_center(views, global_views, axis_name)
    spread = sigreg(views, directions, points=points, t_max=t_max, axis_name=axis_name)
    return (1 - lambda_) * invariance + lambda_ * spread


def _distance_to_center(views, global_views, axis_name):
    """The mean squared distance of views, [N, V, D], to the mean of the first few."""
    check_same("[N, V, D]", views=views)
    if global_views is not None:
        check_range(1, views.shape[1], global_views=global_views)
    views = views.astype(jnp.float32)
    return mean(jnp.square(views - jnp.mean(views[:, :global_views], axis=1, keepdims=True)), axis_name)


def visreg(
    views: jax.Array,
    directions: jax.Array,
    *,
    lambda_: float = 0.9,
    global_views: int | None = None,
    scale: float = 1.0,
    shape: float = 1.0,
    center: float = 1.0,
    eps: float = 1e-6,
    axis_name: AxisName = None,
) -> jax.Array:
    """Variance-invariance-sketching regularisation (VISReg).

    For each view, with mean and `std = sqrt(Var) + eps` (biased) of each dimension over the batch::

        regularisation = scale * mean_d (std_d - 1)^2 + center * mean_d mean_d^2 + shape * mean_kn (p_kn - q_n)^2
        loss = (1 - lambda_) * mean (z_nv - center_n)^2 + lambda_ * regularisation, averaged over views

    `p_kn` are the sorted projections on direction k of `(z - mean) / stop_gradient(std)`; `q_n` is the standard normal
    distribution's quantile of n / (N + 1). `center_n` is the mean of an example's global views.

    Source: Wu et al., "VISReg: Variance-Invariance-Sketching Regularization for JEPA training", 2026, and the authors'
    code, whose statistics are of the gathered global batch, as here. Its `lambda_` is 0.9 for ViT-B and 0.8 for ViT-L
    on ImageNet, 0.6 on Imagenette. lightly adds eps (1e-4) only where it divides by the standard deviation. In the
    authors' code every device draws directions of its own; here they may be the same or not: the mean over the devices
    is taken.

    Args:
      views: projections of all views of each example, global ones first, [N, V, D], any float type.
      directions: of length 1, [D, K]: `random_directions`, drawn anew for every step.
      lambda_: weight of the regularisation, between 0 and 1.
      global_views: how many of the views make up the centre; None: all.
      scale: weight of the standard deviations.
      shape: weight of the sliced Wasserstein distance.
      center: weight of the means.
      eps: added to the standard deviations. Those of 0 have no gradient.
      axis_name: the mapped axis that holds the rest of the batch, if any. Every device then gathers all rows.

    Returns:
      The loss of the global batch, a float32 scalar.

    Raises:
      ValueError: the shapes do not fit, there is one row only, or a setting is out of range.
    """
    invariance = _distance_to_center(views, global_views, axis_name)
    check_shape("directions", directions, (views.shape[-1], *directions.shape[1:2]))
    check_range(0.0, 1.0, lambda_=lambda_)
    check_range(0, float("inf"), scale=scale, shape=shape, center=center)
    check_positive(eps=eps)
    check_rows(2, views.shape[0], axis_name, "one row has no variance")
    views = views.astype(jnp.float32)
    rest = centered(views, axis_name)
    deviations = root(batch_mean(jnp.square(rest), axis_name)) + eps
    sorted_ = jnp.sort(_project(gather_rows(rest / lax.stop_gradient(deviations)[None], axis_name), directions), axis=0)
    regularisation = scale * jnp.mean(jnp.square(deviations - 1))
    regularisation += center * jnp.mean(jnp.square(batch_mean(views, axis_name)))
    regularisation += shape * mean(jnp.square(sorted_ - _quantiles(len(sorted_))[:, None, None]), axis_name)
    return (1 - lambda_) * invariance + lambda_ * regularisation


def _quantiles(count):
    """Of the standard normal distribution, at 1 / (count + 1) to count / (count + 1)."""
    return ndtri(jnp.arange(1, count + 1, dtype=jnp.float32) / (count + 1))
