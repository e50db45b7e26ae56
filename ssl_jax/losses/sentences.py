"""Losses over the order of sentences."""

import jax

from ssl_jax.losses.across import AxisName
from ssl_jax.losses.tokens import mean_cross_entropy


def next_sentence(logits: jax.Array, labels: jax.Array, *, axis_name: AxisName = None) -> jax.Array:
    """Cross entropy of "does B follow A?", BERT's second objective.

    Source: Devlin et al., "BERT", 2019, section 3.1 (task 2), with the authors' coding of labels (also that of
    transformers).

    Args:
      logits: [B, 2], any float type; [B, R, 2] for R pairs of each text.
      labels: 0 where the second segment follows the first, 1 where it comes from elsewhere, int [B] or [B, R].
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      The mean over the global batch in nats, a float32 scalar.

    Raises:
      ValueError: the shapes do not fit.
    """
    return mean_cross_entropy("labels", logits, labels, 2, axis_name)


def sentence_order(logits: jax.Array, labels: jax.Array, *, axis_name: AxisName = None) -> jax.Array:
    """Cross entropy of "do A and B stand in their order?", ALBERT's second objective.

    Both segments come from one text, so the topic does not tell. The arithmetic is that of `next_sentence`.

    Source: Lan et al., "ALBERT: A Lite BERT for Self-supervised Learning of Language Representations", 2020, section
    3.1, with the authors' coding of labels (also that of transformers).

    Args:
      logits: [B, 2], any float type; [B, R, 2] for R pairs of each text.
      labels: 0 where the segments are in order, 1 where they are swapped, int [B] or [B, R].
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      The mean over the global batch in nats, a float32 scalar.

    Raises:
      ValueError: the shapes do not fit.
    """
    return mean_cross_entropy("labels", logits, labels, 2, axis_name)
