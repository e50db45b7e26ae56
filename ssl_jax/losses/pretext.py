"""Losses of the early pretext tasks: which of a few things was done to this image?"""

import jax

from ssl_jax.losses.across import AxisName
from ssl_jax.losses.tokens import mean_cross_entropy


def rotation(logits: jax.Array, labels: jax.Array, *, axis_name: AxisName = None) -> jax.Array:
    """Cross entropy of "by how many quarter turns was this image rotated?", the loss of RotNet.

    Source: Gidaris et al., "Unsupervised Representation Learning by Predicting Image Rotations", 2018, equations 2
    and 3: the mean over the rotated copies of an image (all four of them; `augment.quarter_turns` makes them), and
    over images.

    Args:
      logits: [B, 4], or [B, 4, 4] with the copies of an image on an axis of their own, any float type.
      labels: how many quarter turns, 0 to 3, int, one for each row of logits.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      The mean over all predictions of the global batch in nats, a float32 scalar.

    Raises:
      ValueError: the shapes do not fit.
    """
    return mean_cross_entropy("labels", logits, labels, 4, axis_name)


def jigsaw(logits: jax.Array, permutations: jax.Array, *, axis_name: AxisName = None) -> jax.Array:
    """Cross entropy of "in which of P orders are the tiles of this image?".

    Source: Noroozi and Favaro, "Unsupervised Learning of Visual Representations by Solving Jigsaw Puzzles", 2016,
    section 3; `augment.hamming_permutations` makes the set of orders.

    Args:
      logits: [B, P], any float type; [B, R, P] for R puzzles of each image.
      permutations: number of the permutation in the set, 0 to P - 1, int [B] or [B, R].
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      The mean over all predictions of the global batch in nats, a float32 scalar.

    Raises:
      ValueError: the shapes do not fit.
    """
    return mean_cross_entropy("permutations", logits, permutations, None, axis_name)


def relative_position(logits: jax.Array, positions: jax.Array, *, axis_name: AxisName = None) -> jax.Array:
    """Cross entropy of "on which side of the first patch is the second?", context prediction.

    Source: Doersch et al., "Unsupervised Visual Representation Learning by Context Prediction", 2015, section 3;
    `augment.patch_pair` makes the pairs.

    Args:
      logits: [B, 8], any float type; [B, R, 8] for R pairs of each image.
      positions: of the second patch around the first, row by row, 0 (above, to the left) to 7 (below, to the right),
        int [B] or [B, R].
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      The mean over all predictions of the global batch in nats, a float32 scalar.

    Raises:
      ValueError: the shapes do not fit.
    """
    return mean_cross_entropy("positions", logits, positions, 8, axis_name)
