"""Contrastive losses that know which examples belong together beyond their views."""

import jax
import jax.numpy as jnp

from ssl_jax.losses import pairs
from ssl_jax.losses.across import AxisName, gather_rows, mean, row_numbers
from ssl_jax.losses.checks import check_positive, check_same, check_shape
from ssl_jax.losses.rows import root, unit_length


def sup_con(
    embeddings: jax.Array,
    labels: jax.Array,
    *,
    temperature: float | jax.Array = 0.07,
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> jax.Array:
    """Supervised contrastive loss (SupCon): all views of all examples of one label are positives.

    With the N V embeddings of unit length, and P(i) those of i's label but i itself::

        s_ij = z_i . z_j / temperature
        loss = -mean_i mean_{p in P(i)} log( exp(s_ip) / sum_{k != i} exp(s_ik) )

    Source: Khosla et al., "Supervised Contrastive Learning", 2020, equation 2 (the sum outside of the logarithm). The
    authors' code multiplies by `temperature / base_temperature`, which is 1 by default. An embedding without any
    positive (one view, and a label of its own) counts as 0 in the mean, as there; pytorch-metric-learning leaves it out
    of the mean.

    Args:
      embeddings: V views of each example, [N, V, D], any float type.
      labels: int [N]. Distinct labels give `nt_xent`, for two views.
      temperature: what similarities are divided by; a positive number or a scalar array.
      block_size: None, or rows of a block, for memory that grows with N (`ssl_jax.losses.pairs`). Every device holds
        the labels of the global batch.
      axis_name: the mapped axis that holds the rest of the batch, if any; positives and negatives then come from all
        devices.

    Returns:
      The mean over the embeddings of the global batch, a float32 scalar; 0 for a single embedding.

    Raises:
      ValueError: the shapes do not fit, or a setting is not positive.
    """
    check_same("[N, V, D]", embeddings=embeddings)
    check_shape("labels", labels, embeddings.shape[:1])
    check_positive(temperature=temperature)
    n, views, width = embeddings.shape
    z = unit_length(embeddings).reshape(n * views, width) / jnp.sqrt(jnp.asarray(temperature, jnp.float32))
    tags = row_numbers(n * views, axis_name), jnp.repeat(labels, views)
    options = dict(block_size=block_size, axis_name=axis_name)
    everything = pairs.log_sum_exp_of_others(z, tags, **options)
    alike = pairs.total_of_others(z, tags, score=_of_equal_label, **options)
    count = jnp.repeat(_count_equal(labels, axis_name) * views - 1, views)
    terms = jnp.where(count > 0, everything - alike / jnp.maximum(count, 1), 0.0)
    return mean(terms, axis_name)


def _of_equal_label(scores, row, column):
    return jnp.where((row[1] == column[1]) & (row[0] != column[0]), scores, 0.0)


def _count_equal(labels, axis_name):
    """How many examples of the global batch have the label of each: float32 [N]."""
    ordered = jnp.sort(gather_rows(labels, axis_name))
    ends = (jnp.searchsorted(ordered, labels, side=side) for side in ("right", "left"))
    last, first = ends
    return (last - first).astype(jnp.float32)


def triplet(
    anchors: jax.Array,
    positives: jax.Array,
    negatives: jax.Array,
    *,
    margin: float = 0.2,
    squared: bool = True,
    normalize: bool = True,
    axis_name: AxisName = None,
) -> jax.Array:
    """Triplet loss: an anchor is nearer to its positive than to its negative, by a margin.

    `mean_i max(0, d(a_i, p_i) - d(a_i, n_i) + margin)`, with d the squared Euclidean distance, at unit length.

    Source: Schroff et al., "FaceNet: A Unified Embedding for Face Recognition and Clustering", 2015, section 3.1,
    there as a sum. PyTorch's TripletMarginLoss does not square, does not normalise, and has a margin of 1.

    Args:
      anchors: [N, D], any float type.
      positives: [N, D].
      negatives: [N, D].
      margin: the difference of distances from which on a triplet costs nothing.
      squared: whether distances are squared.
      normalize: whether embeddings are scaled to unit length first.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      The mean over the triplets of the global batch, a float32 scalar.

    Raises:
      ValueError: the shapes differ or are not matrices.
    """
    check_same("[N, D]", anchors=anchors, positives=positives, negatives=negatives)
    a, p, n = (unit_length(x) if normalize else x.astype(jnp.float32) for x in (anchors, positives, negatives))
    near, far = (jnp.sum(jnp.square(a - other), axis=1) for other in (p, n))
    if not squared:
        near, far = (root(square) for square in (near, far))
    return mean(jnp.maximum(near - far + margin, 0.0), axis_name)
