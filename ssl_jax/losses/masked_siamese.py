"""Losses of masked Siamese networks: an anchor's prototypes against those of its target."""

import jax
import jax.numpy as jnp
from jax import lax

from ssl_jax.losses.across import AxisName, log_sum_exp, mean, size
from ssl_jax.losses.checks import check_positive, check_range, check_shape
from ssl_jax.losses.distillation import soft_cross_entropy
from ssl_jax.losses.rows import unit_length
from ssl_jax.losses.sinkhorn import sinkhorn_knopp


def msn(
    anchors: jax.Array,
    targets: jax.Array,
    prototypes: jax.Array,
    *,
    temperature: float | jax.Array = 0.1,
    target_sharpening: float | jax.Array = 0.25,
    sinkhorn_iterations: int = 3,
    me_max_weight: float | jax.Array = 1.0,
    axis_name: AxisName = None,
) -> jax.Array:
    """Cross entropy of masked views' prototypes with those of the whole view, the loss of masked Siamese networks.

    With all rows of unit length and C the K prototypes::

        p = softmax(anchor C / temperature),   q = softmax(target C / (temperature * target_sharpening))
        loss = mean_{i, v} -sum_k q_ik log p_ivk  +  me_max_weight * (log K - entropy(mean_{i, v} p_iv))

    q may be balanced by Sinkhorn-Knopp. The second term (mean entropy maximisation) is 0 where the batch uses all
    prototypes alike.

    Source: Assran et al., "Masked Siamese Networks for Label-Efficient Learning", 2022, equation 1, which has no
    constant log K. The rest is the authors' code, without its label smoothing and its entropy of single predictions,
    both of weight 0 in their configuration: sharpening is `q^(1 / target_sharpening)`, normalised, and Sinkhorn-Knopp
    begins from these probabilities, 3 iterations. The mean p is that of the global batch; lightly's is of one device.

    Args:
      anchors: the student's projections of V masked views, [N, V, D], any float type.
      targets: the target network's projection of one view, [N, D]. No gradient flows into it.
      prototypes: [K, D], learned, the same on all devices. Their gradient comes through the anchors' predictions only.
      temperature: what similarities are divided by; a positive number or a scalar array.
      target_sharpening: the exponent's inverse, less than 1 to sharpen; a positive number or a scalar array.
      sinkhorn_iterations: how often the targets are balanced; 0: they are not.
      me_max_weight: of the second term.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar in nats.

    Raises:
      ValueError: the shapes do not fit, or a setting is negative or not positive.
    """
    check_range(0, float("inf"), me_max_weight=me_max_weight)
    cost, log_average = _prototype_losses(
        anchors, targets, prototypes, temperature, target_sharpening, sinkhorn_iterations, axis_name
    )
    uniform = -jnp.log(jnp.full_like(log_average, log_average.shape[0]))
    return cost + me_max_weight * _divergence(log_average, uniform)


def pmsn(
    anchors: jax.Array,
    targets: jax.Array,
    prototypes: jax.Array,
    *,
    prior: jax.Array | None = None,
    power_law_exponent: float = 0.25,
    prior_first: bool = False,
    temperature: float | jax.Array = 0.1,
    target_sharpening: float | jax.Array = 0.25,
    sinkhorn_iterations: int = 3,
    prior_weight: float | jax.Array = 1.0,
    axis_name: AxisName = None,
) -> jax.Array:
    """The loss of masked Siamese networks with a prior of one's own for how often prototypes are used (PMSN).

    As `msn`, where the second term is `prior_weight * KL(mean_{i, v} p_iv || prior)`; a uniform prior makes it `msn`.

    Source: Assran et al., "The Hidden Uniform Cluster Prior in Self-Supervised Learning", 2022. It is not in the
    authors' public code of MSN. stable-pretraining has this divergence, too; lightly has KL(prior || mean p),
    `prior_first=True` here, which is not `msn` for a uniform prior.

    Args:
      anchors: the student's projections of V masked views, [N, V, D], any float type.
      targets: the target network's projection of one view, [N, D]. No gradient flows into it.
      prototypes: [K, D], learned, the same on all devices.
      prior: positive numbers, [K], that are scaled to a sum of 1; None: the power law.
      power_law_exponent: the k-th prototype has a prior proportional to `k ** -power_law_exponent`, k from 1.
      prior_first: which way round the divergence is taken.
      temperature: what similarities are divided by; a positive number or a scalar array.
      target_sharpening: the exponent's inverse, less than 1 to sharpen; a positive number or a scalar array.
      sinkhorn_iterations: how often the targets are balanced to equal use of all prototypes; 0: they are not.
      prior_weight: of the second term.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar in nats.

    Raises:
      ValueError: the shapes do not fit, or a setting is negative or not positive.
    """
    check_range(0, float("inf"), power_law_exponent=power_law_exponent, prior_weight=prior_weight)
    cost, log_average = _prototype_losses(
        anchors, targets, prototypes, temperature, target_sharpening, sinkhorn_iterations, axis_name
    )
    k = log_average.shape[0]
    if prior is None:
        log_prior = -power_law_exponent * jnp.log(jnp.arange(1, k + 1, dtype=jnp.float32))
    else:
        check_shape("prior", prior, (k,))
        log_prior = jnp.log(prior.astype(jnp.float32))
    log_prior = jax.nn.log_softmax(log_prior)
    divergence = _divergence(log_prior, log_average) if prior_first else _divergence(log_average, log_prior)
    return cost + prior_weight * divergence


def _prototype_losses(anchors, targets, prototypes, temperature, sharpening, iterations, axis_name):
    """The mean cross entropy with the targets, and the logarithm of the mean prediction, [K]."""
    if anchors.ndim != 3 or targets.shape != anchors.shape[::2]:
        raise ValueError(f"anchors and targets must be [N, V, D] and [N, D], not {anchors.shape} and {targets.shape}")
    check_shape("prototypes", prototypes, (*prototypes.shape[:1], anchors.shape[2]))
    check_positive(temperature=temperature, target_sharpening=sharpening)
    check_range(0, float("inf"), sinkhorn_iterations=iterations)
    prototypes = unit_length(prototypes)
    logits = _logits(anchors, prototypes, temperature)
    q = _targets(
        lax.stop_gradient(targets), lax.stop_gradient(prototypes), temperature * sharpening, iterations, axis_name
    )
    cost = mean(soft_cross_entropy(logits, q[:, None]), axis_name)
    log_p = jax.nn.log_softmax(logits, axis=-1).reshape(-1, logits.shape[-1])
    return cost, log_sum_exp(log_p, 0, axis_name) - jnp.log(float(size(log_p.shape[0], axis_name)))


def _targets(targets, prototypes, temperature, iterations, axis_name):
    log_q = jax.nn.log_softmax(_logits(targets, prototypes, lax.stop_gradient(temperature)), axis=-1)
    if iterations == 0:
        return jnp.exp(log_q)
    return sinkhorn_knopp(log_q, temperature=1.0, iterations=iterations, axis_name=axis_name)


def _logits(rows, prototypes, temperature):
    similarities = jnp.einsum("...d,kd->...k", unit_length(rows), prototypes, precision=lax.Precision.HIGHEST)
    return similarities / temperature


def _divergence(log_p, log_q):
    """KL(p || q) from logarithms, which are finite where probabilities have vanished."""
    return jnp.sum(jnp.exp(log_p) * (log_p - log_q))
