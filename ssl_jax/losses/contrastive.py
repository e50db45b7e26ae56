"""Losses that tell an image's other view from all other images."""

import jax
import jax.numpy as jnp
from jax import lax

from ssl_jax.losses import pairs
from ssl_jax.losses.across import AxisName, log_sum_exp, mean, row_numbers, size
from ssl_jax.losses.checks import check_positive, check_same
from ssl_jax.losses.rows import unit_length


def nt_xent(
    z1: jax.Array,
    z2: jax.Array,
    *,
    temperature: float | jax.Array = 0.1,
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> jax.Array:
    """Normalised-temperature cross entropy of two views, SimCLR's loss.

    With the 2N projections of unit length, the positive j of i being the other view of the same example, and the
    negatives the other 2N - 2::

        loss = -mean_i log( exp(z_i . z_j / temperature) / sum_{k != i} exp(z_i . z_k / temperature) )

    Source: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", 2020, equation 1 and
    Algorithm 1: the mean over all 2N terms, as in lightly. The authors' TensorFlow code *adds* the means of the two
    views and so is twice this value. Projections shorter than 1e-6 count as zeros and have no gradient, here and in
    all losses that normalise.

    Args:
      z1: projections of the first views, [N, D], any float type. Row i belongs with row i of `z2`.
      z2: projections of the second views, [N, D].
      temperature: what similarities are divided by; a positive number or a scalar array (when it is learned).
      block_size: None, or rows of a block, for memory that grows with N (`ssl_jax.losses.pairs`).
      axis_name: the mapped axis that holds the rest of the batch, if any; negatives then come from all devices.

    Returns:
      The mean over the 2N projections of the global batch, a float32 scalar. One example alone has no negatives: 0.

    Raises:
      ValueError: `z1` and `z2` differ in shape or are not matrices, or a setting is not positive.
    """
    z1, z2, positives = _two_views(z1, z2, temperature)
    number = row_numbers(z1.shape[0], axis_name)
    everything = pairs.log_sum_exp_of_others(
        jnp.concatenate([z1, z2]), (jnp.concatenate([2 * number, 2 * number + 1]),),
        block_size=block_size, axis_name=axis_name,
    )  # fmt: skip
    return mean(everything, axis_name) - mean(positives, axis_name)


def dcl(
    z1: jax.Array,
    z2: jax.Array,
    *,
    temperature: float | jax.Array = 0.1,
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> jax.Array:
    """Decoupled contrastive loss (DCL): `nt_xent` without the positive pair in the denominator.

    With the 2N projections of unit length, j the other view of i, and k over the 2N - 2 views of other examples::

        loss = mean_i( -z_i . z_j / temperature + log sum_k exp(z_i . z_k / temperature) )

    Source: Yeh et al., "Decoupled Contrastive Learning", 2021, equation 6; averaged over the 2N projections. One
    log-sum-exp goes over the other examples' views of both kinds, as in lightly 1.6; some implementations add one for
    each kind of view, which is another loss.

    Args:
      z1: projections of the first views, [N, D], any float type. Row i belongs with row i of `z2`.
      z2: projections of the second views, [N, D].
      temperature: what similarities are divided by; a positive number or a scalar array.
      block_size: None, or rows of a block, for memory that grows with N (`ssl_jax.losses.pairs`).
      axis_name: the mapped axis that holds the rest of the batch, if any; negatives then come from all devices.

    Returns:
      A float32 scalar, which can be negative.

    Raises:
      ValueError: the shapes do not fit, a setting is not positive, or the global batch has one example only.
    """
    z1, z2, positives = _two_views(z1, z2, temperature)
    return _negatives(z1, z2, block_size, axis_name) - mean(positives, axis_name)


def dclw(
    z1: jax.Array,
    z2: jax.Array,
    *,
    temperature: float | jax.Array = 0.1,
    sigma: float | jax.Array = 0.5,
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> jax.Array:
    """Weighted decoupled contrastive loss (DCLW): `dcl` whose pairs count more the less alike they are.

    The positive similarity of example i is multiplied by the negative von Mises-Fisher weight, with the N examples of
    the global batch::

        w_i = 2 - N exp(z1_i . z2_i / sigma) / sum_j exp(z1_j . z2_j / sigma)

    Source: Yeh et al., "Decoupled Contrastive Learning", 2021, the weighted form of equation 6. The weights are
    constants to the gradient, as in lightly.

    Args:
      z1: projections of the first views, [N, D], any float type. Row i belongs with row i of `z2`.
      z2: projections of the second views, [N, D].
      temperature: what similarities are divided by; a positive number or a scalar array.
      sigma: what similarities are divided by for the weights; the smaller, the more the weights differ.
      block_size: None, or rows of a block, for memory that grows with N (`ssl_jax.losses.pairs`).
      axis_name: the mapped axis that holds the rest of the batch, if any; negatives then come from all devices.

    Returns:
      A float32 scalar, which can be negative.

    Raises:
      ValueError: the shapes do not fit, a setting is not positive, or the global batch has one example only.
    """
    check_positive(sigma=sigma)
    z1, z2, positives = _two_views(z1, z2, temperature)
    similarities = lax.stop_gradient(positives * temperature) / sigma
    shares = jnp.exp(similarities - log_sum_exp(similarities, 0, axis_name))
    weights = 2.0 - size(z1.shape[0], axis_name) * shares
    return _negatives(z1, z2, block_size, axis_name) - mean(lax.stop_gradient(weights) * positives, axis_name)


def info_nce(
    queries: jax.Array,
    keys: jax.Array,
    *,
    queue: jax.Array | None = None,
    hard_negatives: jax.Array | None = None,
    temperature: float | jax.Array = 0.1,
    in_batch: bool = True,
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> jax.Array:
    """InfoNCE: each query has to find its own key among all keys.

    With everything of unit length::

        loss = -mean_i log( exp(q_i . k_i / temperature) / sum_j exp(q_i . c_j / temperature) )

    where the candidates c are all keys of the global batch (or i's own alone, with `in_batch=False`), the hard
    negatives and the queue. It is not symmetric: add the loss with queries and keys exchanged where the paper does.

    Source: van den Oord et al., "Representation Learning with Contrastive Predictive Coding", 2018, equation 4, with
    cosine similarities in the place of its log-bilinear model, as all later papers have it.

    Args:
      queries: [N, D], any float type. Row i belongs with row i of `keys`.
      keys: [N, D]. They have gradients; stop them outside where they come from a target network.
      queue: further negatives that every device holds whole, [Q, D].
      hard_negatives: further negatives that are spread as the batch is, [M, D].
      temperature: what similarities are divided by; a positive number or a scalar array.
      in_batch: whether the keys of other examples are negatives.
      block_size: None, or rows of a block, for memory that grows with N (`ssl_jax.losses.pairs`).
      axis_name: the mapped axis that holds the rest of the batch, if any; negatives then come from all devices.

    Returns:
      The mean over the queries of the global batch, a float32 scalar; 0 where there are no negatives at all.

    Raises:
      ValueError: the shapes do not fit, a setting is not positive, or hard negatives are given without `in_batch`.
    """
    check_same("[N, D]", queries=queries, keys=keys)
    check_positive(temperature=temperature)
    queries, keys = unit_length(queries) / temperature, unit_length(keys)
    positives = jnp.sum(queries * keys, axis=1)
    if in_batch:
        if hard_negatives is not None:
            keys = jnp.concatenate([keys, _matching("hard_negatives", hard_negatives, keys)])
        everything = pairs.log_sum_exp(queries, keys, block_size=block_size, axis_name=axis_name)
    elif hard_negatives is not None:
        raise ValueError("hard_negatives are candidates beside the keys of the batch; they need in_batch=True")
    else:
        everything = positives
    if queue is not None:
        queued = pairs.log_sum_exp(queries, _matching("queue", queue, keys), block_size=block_size)
        everything = jnp.logaddexp(everything, queued)
    return mean(everything - positives, axis_name)


def moco(
    queries: jax.Array,
    keys: jax.Array,
    queue: jax.Array,
    *,
    temperature: float | jax.Array = 0.07,
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> jax.Array:
    """The loss of momentum contrast (MoCo, versions 1 and 2): InfoNCE with negatives from a queue alone.

    `info_nce(queries, keys, queue=queue, in_batch=False)`, where no gradient reaches keys and queue.

    Source: He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", 2020, equation 1 and
    Algorithm 1. Version 2 differs in the temperature, 0.2.

    Args:
      queries: [N, D], any float type. Row i belongs with row i of `keys`.
      keys: from the momentum encoder, [N, D].
      queue: keys of earlier batches, which every device holds whole, [Q, D].
      temperature: what similarities are divided by; a positive number or a scalar array.
      block_size: None, or rows of a block, for memory that grows with N + Q (`ssl_jax.losses.pairs`).
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      The mean over the queries of the global batch, a float32 scalar.

    Raises:
      ValueError: the shapes do not fit, or a setting is not positive.
    """
    keys, queue = lax.stop_gradient((keys, queue))
    return info_nce(
        queries, keys, queue=queue, temperature=temperature, in_batch=False, block_size=block_size, axis_name=axis_name
    )


def moco_v3(
    queries1: jax.Array,
    queries2: jax.Array,
    keys1: jax.Array,
    keys2: jax.Array,
    *,
    temperature: float | jax.Array = 0.2,
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> jax.Array:
    """The symmetric loss of MoCo v3, without a queue.

    `2 temperature (info_nce(queries1, keys2) + info_nce(queries2, keys1))`, where no gradient reaches the keys. The
    factor keeps the size of the gradient about the same at any temperature.

    Source: Chen et al., "An Empirical Study of Training Self-Supervised Vision Transformers", 2021, Algorithm 1. The
    two views' losses are added, not averaged.

    Args:
      queries1: predictions from the first views, [N, D], any float type.
      queries2: predictions from the second views, [N, D].
      keys1: projections of the first views by the momentum encoder, [N, D].
      keys2: those of the second views, [N, D].
      temperature: what similarities are divided by; a positive number or a scalar array.
      block_size: None, or rows of a block, for memory that grows with N (`ssl_jax.losses.pairs`).
      axis_name: the mapped axis that holds the rest of the batch, if any; negatives then come from all devices.

    Returns:
      A float32 scalar.

    Raises:
      ValueError: the shapes do not fit, or a setting is not positive.
    """
    keys1, keys2 = lax.stop_gradient((keys1, keys2))
    options = dict(temperature=temperature, block_size=block_size, axis_name=axis_name)
    return 2 * temperature * (info_nce(queries1, keys2, **options) + info_nce(queries2, keys1, **options))


def nnclr(
    z1: jax.Array,
    z2: jax.Array,
    p1: jax.Array,
    p2: jax.Array,
    support: jax.Array,
    *,
    temperature: float | jax.Array = 0.1,
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> jax.Array:
    """The loss of NNCLR: the positive is not the other view, but its nearest neighbour among earlier examples.

    With `nn(z)` the entry of the support set most similar to z, through which no gradient flows::

        loss = (info_nce(nn(z1), p2) + info_nce(nn(z2), p1)) / 2

    Source: Dwibedi et al., "With a Little Help from My Friends: Nearest-Neighbor Contrastive Learning of Visual
    Representations", 2021, equation 3 and Algorithm 1. The denominator goes over the predictions of the batch; the
    paper also speaks of adding the terms whose denominators go over the neighbours, which its algorithm leaves out, as
    solo-learn does and this function.

    Args:
      z1: projections of the first views, [N, D], any float type.
      z2: projections of the second views, [N, D].
      p1: predictions from the first views, [N, D].
      p2: predictions from the second views, [N, D].
      support: projections of earlier examples, which every device holds whole, [Q, D].
      temperature: what similarities are divided by; a positive number or a scalar array.
      block_size: None, or rows of a block, for memory that grows with N + Q (`ssl_jax.losses.pairs`).
      axis_name: the mapped axis that holds the rest of the batch, if any; negatives then come from all devices.

    Returns:
      The mean over the 2N terms of the global batch, a float32 scalar.

    Raises:
      ValueError: the shapes do not fit, or a setting is not positive.
    """
    check_same("[N, D]", z1=z1, z2=z2, p1=p1, p2=p2)
    support = lax.stop_gradient(_matching("support", support, z1))
    near1, near2 = (support[pairs.nearest(unit_length(z), support, block_size=block_size)] for z in (z1, z2))
    options = dict(temperature=temperature, block_size=block_size, axis_name=axis_name)
    return (info_nce(near1, p2, **options) + info_nce(near2, p1, **options)) / 2


def sim_cse(
    z1: jax.Array,
    z2: jax.Array,
    *,
    hard_negatives: jax.Array | None = None,
    temperature: float | jax.Array = 0.05,
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> jax.Array:
    """The loss of SimCSE: each sentence finds its other embedding among those of the batch.

    `info_nce(z1, z2, hard_negatives=hard_negatives)`: unsupervised, z1 and z2 are two passes of one sentence with
    different dropout; supervised, a premise and what it entails, and hard negatives are what contradicts.

    Source: Gao et al., "SimCSE: Simple Contrastive Learning of Sentence Embeddings", 2021, equations 4 and 5. One
    direction only, like the authors' code.

    Args:
      z1: embeddings, [N, D], any float type. Row i belongs with row i of `z2`.
      z2: embeddings, [N, D].
      hard_negatives: embeddings of contradictions, [N, D].
      temperature: what similarities are divided by; a positive number or a scalar array.
      block_size: None, or rows of a block, for memory that grows with N (`ssl_jax.losses.pairs`).
      axis_name: the mapped axis that holds the rest of the batch, if any; negatives then come from all devices.

    Returns:
      The mean over the N sentences of the global batch, a float32 scalar.

    Raises:
      ValueError: the shapes do not fit, or a setting is not positive.
    """
    options = dict(temperature=temperature, block_size=block_size, axis_name=axis_name)
    return info_nce(z1, z2, hard_negatives=hard_negatives, **options)


def _two_views(z1, z2, temperature):
    """Both of unit length over the root of the temperature, so that products are scores; and the positives' scores."""
    check_same("[N, D]", z1=z1, z2=z2)
    check_positive(temperature=temperature)
    scale = lax.rsqrt(jnp.asarray(temperature, jnp.float32))
    z1, z2 = unit_length(z1) * scale, unit_length(z2) * scale
    return z1, z2, jnp.sum(z1 * z2, axis=1)


def _negatives(z1, z2, block_size, axis_name):
    """The mean over all projections of the log-sum-exp over other examples."""
    if size(z1.shape[0], axis_name) < 2:
        raise ValueError("a loss without the positive in the denominator needs at least 2 examples, not 1")
    number = row_numbers(z1.shape[0], axis_name)
    sums = pairs.log_sum_exp_of_others(
        jnp.concatenate([z1, z2]), (jnp.concatenate([number, number]),), block_size=block_size, axis_name=axis_name
    )
    return mean(sums, axis_name)


def _matching(name, rows, like):
    """More rows of the same width, at unit length."""
    if rows.ndim != 2 or rows.shape[1] != like.shape[1] or not rows.shape[0]:
        raise ValueError(f"{name} must be [rows, {like.shape[1]}], not {rows.shape}")
    return unit_length(rows)
