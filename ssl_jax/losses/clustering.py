"""Losses that ask one view for the cluster of another."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from ssl_jax.losses.across import AxisName, mean, size
from ssl_jax.losses.checks import check_positive, check_range, check_same, check_shape
from ssl_jax.losses.distillation import soft_cross_entropy
from ssl_jax.losses.sinkhorn import sinkhorn_knopp
from ssl_jax.losses.tokens import masked_lm


def swav(
    scores: jax.Array,
    *,
    assigning_views: int = 2,
    queue_scores: jax.Array | None = None,
    temperature: float | jax.Array = 0.1,
    epsilon: float = 0.05,
    iterations: int = 3,
    axis_name: AxisName = None,
) -> jax.Array:
    """Swapped prediction of balanced assignments, SwAV's loss.

    The first G views of each example are assigned to prototypes, and each assignment q is predicted from all other
    views, with p the softmax of `scores / temperature`::

        loss = -mean_{n, g < G, v != g} sum_k q_{n,g,k} log p_{n,v,k}

    Source: Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments" (SwAV), 2020,
    section 3, with the authors' code: the mean over the batch and over the G * (V - 1) pairs of views. As there (and
    in lightly and VISSL), each assigning view is balanced by itself, together with its own part of the queue and
    over all devices; balancing the views jointly gives other values. solo-learn lets every view assign, which is
    `assigning_views=V`. lightly's loss balances each device's batch by itself unless told to gather. Assignments
    have no gradient.

    Args:
      scores: dot products of the V views' projections with K prototypes, both of unit length, [N, V, K], any float
        type; the views that assign come first.
      assigning_views: G; in multi-crop, the number of large crops.
      queue_scores: scores of earlier examples (see `update_queue`) with the same prototypes, [Q, G, K], the same on
        all devices. They only take part in the balancing. None: no queue (as in the authors' code until it is full).
      temperature: of the predictions.
      epsilon: of the assignments (the entropy's weight).
      iterations: of Sinkhorn-Knopp; 0: assignments are not balanced but softmax(scores / epsilon), which collapses.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      The mean over the global batch, a float32 scalar.

    Raises:
      ValueError: the shapes do not fit, there are fewer than 2 views, or a setting is impossible.
    """
    if scores.ndim != 3 or scores.shape[1] < 2:
        raise ValueError(f"scores must be [N, V, K] with at least 2 views, not {scores.shape}")
    n, views, k = scores.shape
    if not 1 <= assigning_views <= views:
        raise ValueError(f"assigning_views {assigning_views} is not between 1 and the {views} views")
    check_positive(temperature=temperature, epsilon=epsilon)
    check_range(0, float("inf"), iterations=iterations)
    scores = scores.astype(jnp.float32)
    if iterations == 0:
        soft = jax.nn.softmax(lax.stop_gradient(scores[:, :assigning_views]) / epsilon)
        return _swapped(scores, soft, temperature, axis_name)
    extra, counted = scores[:0, :assigning_views], None
    if queue_scores is not None:
        check_shape("queue_scores", queue_scores, (queue_scores.shape[0], assigning_views, k))
        extra, present = _share(queue_scores.astype(jnp.float32), axis_name)
        counted = jnp.concatenate([jnp.ones(n, jnp.float32), present])
    assignments = [
        sinkhorn_knopp(
            jnp.concatenate([scores[:, view], extra[:, view]]),
            temperature=epsilon,
            iterations=iterations,
            weights=counted,
            axis_name=axis_name,
        )[:n]
        for view in range(assigning_views)
    ]
    return _swapped(scores, jnp.stack(assignments, 1), temperature, axis_name)


def _swapped(scores, assignments, temperature, axis_name):
    """The cross entropy of each assignment, [N, G, K], with the predictions of all other views."""
    assigning_views, views = assignments.shape[1], scores.shape[1]
    log_p = jax.nn.log_softmax(scores / temperature, axis=-1)
    pairs = jnp.einsum("ngk,nvk->ngv", assignments, log_p, precision=lax.Precision.HIGHEST)
    others = ~jnp.eye(assigning_views, views, dtype=bool)
    losses = -jnp.sum(pairs, axis=(1, 2), where=others[None]) / (assigning_views * (views - 1))
    return mean(losses, axis_name)


def _share(rows, axis_name):
    """This device's part of replicated rows, padded to equal parts, and 1 where a row is no padding."""
    if axis_name is None:
        return rows, jnp.ones(rows.shape[0], jnp.float32)
    devices = size(1, axis_name)
    part = -(-rows.shape[0] // devices)
    index = lax.axis_index(axis_name) * part + jnp.arange(part)
    present = index < rows.shape[0]
    return rows[jnp.minimum(index, rows.shape[0] - 1)], present.astype(jnp.float32)


def capi(
    logits: jax.Array,
    assignments: jax.Array,
    *,
    temperature: float | jax.Array = 0.12,
    axis_name: AxisName = None,
) -> jax.Array:
    """Cross entropy of predicted clusters with those that patches are assigned to, both losses of CAPI.

    With p the softmax of `logits / temperature` and q the assignments::

        loss = -mean_{n, m} sum_k q_{n,m,k} log p_{n,m,k}

    The student's logits are those of hidden patches, and q a teacher's patches at the same places; the clustering's own
    loss is of all its logits, which the assignments are made of (`positionwise_sinkhorn`).

    Source: Darcet et al., "Cluster and Predict Latent Patches for Improved Masked Image Modeling", 2025, with the
    authors' code (`do_student` in `train_capi.py`, `OnlineClustering` in `model.py`), which averages over each device's
    patches, of which all devices have as many. lightly's loss does both at once: assignments and cross entropy.

    Args:
      logits: [N, M, K], any float type.
      assignments: probabilities, the same shape. No gradient flows into them.
      temperature: what logits are divided by.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      The mean over all patches of the global batch, a float32 scalar in nats.

    Raises:
      ValueError: the shapes do not fit, or the temperature is not positive.
    """
    check_same("[N, M, K]", logits=logits, assignments=assignments)
    check_positive(temperature=temperature)
    targets = lax.stop_gradient(assignments).astype(jnp.float32)
    return mean(soft_cross_entropy(logits.astype(jnp.float32) / temperature, targets), axis_name)


def deepcluster_v2(
    scores: Sequence[jax.Array],
    assignments: jax.Array,
    *,
    temperature: float | jax.Array = 0.1,
    axis_name: AxisName = None,
) -> jax.Array:
    """Cross entropy with clusters that k-means found before the epoch, for several clusterings at once.

    For each of H heads, the mean over all views of all examples that have a cluster, and then the mean over heads.

    Source: Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments" (SwAV), 2020,
    where DeepCluster-v2 is introduced, with the authors' `main_deepclusterv2.py`. Over several devices theirs
    averages means, which differs where devices hold unequal numbers of unassigned examples.

    Args:
      scores: for each head, dot products of the V views' projections with its centroids, [N, V, K]; K may differ.
      assignments: each example's cluster in each head, int [N, H], 0 to K - 1; negative (-100 in the authors' code,
        -1 in solo-learn) where there is none: such a row does not count in that head.
      temperature: what scores are divided by.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar in nats; a head in which no example has a cluster adds 0.

    Raises:
      ValueError: the shapes do not fit, there is no head, or the temperature is not positive.
    """
    check_positive(temperature=temperature)
    if len(scores) == 0 or any(head.ndim != 3 or head.shape[:2] != scores[0].shape[:2] for head in scores):
        raise ValueError(f"scores must be arrays [N, V, K], one a head, not {[head.shape for head in scores]}")
    check_shape("assignments", assignments, (scores[0].shape[0], len(scores)))
    targets = jnp.broadcast_to(assignments[:, None], (*scores[0].shape[:2], len(scores)))
    losses = [
        masked_lm(head.astype(jnp.float32) / temperature, target, target >= 0, axis_name=axis_name)
        for head, target in zip(scores, jnp.moveaxis(targets, -1, 0), strict=True)
    ]
    return sum(losses) / len(losses)
