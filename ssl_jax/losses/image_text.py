"""Losses that match two kinds of data, such as images and their captions."""

import jax
import jax.numpy as jnp

from ssl_jax.losses import pairs
from ssl_jax.losses.across import AxisName, mean, row_numbers
from ssl_jax.losses.checks import check_positive, check_same
from ssl_jax.losses.rows import unit_length


def clip(
    images: jax.Array,
    texts: jax.Array,
    *,
    temperature: float | jax.Array = 0.07,
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> jax.Array:
    """The symmetric softmax loss of CLIP: each image finds its text, and each text its image.

    With embeddings of unit length::

        loss = -mean_i( log softmax_j(x_i . y_j / temperature)[i] + log softmax_j(x_j . y_i / temperature)[i] ) / 2

    Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021, figure 3. The
    paper learns the logarithm of `1 / temperature` and keeps it below log 100: pass
    `temperature=exp(-minimum(scale, log(100)))`.

    Args:
      images: embeddings of images, [N, D], any float type. Row i belongs with row i of `texts`.
      texts: embeddings of texts, [N, D].
      temperature: what similarities are divided by; a positive number or a scalar array (when it is learned).
      block_size: None, or rows of a block, for memory that grows with N (`ssl_jax.losses.pairs`).
      axis_name: the mapped axis that holds the rest of the batch, if any; negatives then come from all devices.

    Returns:
      The mean over the pairs of the global batch, a float32 scalar; 0 for a single pair.

    Raises:
      ValueError: the shapes do not fit, or a setting is not positive.
    """
    check_same("[N, D]", images=images, texts=texts)
    check_positive(temperature=temperature)
    x, y = unit_length(images) / temperature, unit_length(texts)
    of_images, of_texts = pairs.log_sum_exp_of_both(x, y, block_size=block_size, axis_name=axis_name)
    return mean(0.5 * (of_images + of_texts) - jnp.sum(x * y, axis=1), axis_name)


def siglip(
    images: jax.Array,
    texts: jax.Array,
    *,
    temperature: float | jax.Array = 0.1,
    bias: float | jax.Array = -10.0,
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> jax.Array:
    """The sigmoid loss of SigLIP: of each pair of an image and a text by itself, do they belong together?

    With embeddings of unit length, and t_ij = 1 where i = j and -1 elsewhere::

        loss = -1/N sum_ij log sigmoid(t_ij (x_i . y_j / temperature + bias))

    Source: Zhai et al., "Sigmoid Loss for Language Image Pre-Training", 2023, section 3.2 and Algorithm 1: the sum over
    all pairs, divided by the number of images. The paper learns the logarithm of `1 / temperature` and the bias, from
    the defaults here.

    Args:
      images: embeddings of images, [N, D], any float type. Row i belongs with row i of `texts`.
      texts: embeddings of texts, [N, D].
      temperature: what similarities are divided by; a positive number or a scalar array (when it is learned).
      bias: added to all of them; a number or a scalar array.
      block_size: None, or rows of a block, for memory that grows with N (`ssl_jax.losses.pairs`).
      axis_name: the mapped axis that holds the rest of the batch, if any; negatives then come from all devices.

    Returns:
      A float32 scalar.

    Raises:
      ValueError: the shapes do not fit, or a setting is not positive.
    """
    check_same("[N, D]", images=images, texts=texts)
    check_positive(temperature=temperature)
    x, y = unit_length(images) / temperature, unit_length(texts)
    ones = jnp.ones((x.shape[0], 1), jnp.float32)
    x, y = jnp.concatenate([x, ones * bias], axis=1), jnp.concatenate([y, ones], axis=1)  # x . y includes the bias
    tags = (row_numbers(x.shape[0], axis_name),)
    losses = pairs.total_of(x, y, tags, tags, score=_surprise, block_size=block_size, axis_name=axis_name)
    return mean(losses, axis_name)


def _surprise(scores, row, column):
    """-log of the probability of the truth."""
    return jax.nn.softplus(jnp.where(row[0] == column[0], -scores, scores))
