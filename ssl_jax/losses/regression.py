"""Losses that predict a target network's output by regression.

The target network's weights follow those of the network that learns, so no gradient flows into any `targets` here.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from ssl_jax.losses.across import AxisName, mean
from ssl_jax.losses.checks import check_choice, check_range, check_same, check_shape
from ssl_jax.losses.places import mean_of_places
from ssl_jax.losses.rows import absolute, unit_length


def byol(predictions: jax.Array, targets: jax.Array, *, axis_name: AxisName = None) -> jax.Array:
    """Squared distance of two views on the unit sphere, the loss of BYOL (bootstrap your own latent).

    With both rows of unit length::

        loss = mean_i |p_i - z_i|^2 = mean_i (2 - 2 cos(p_i, z_i))

    BYOL adds this loss with the views exchanged: `byol(p1, z2) + byol(p2, z1)`, the sum and not the mean of the two.

    Source: Grill et al., "Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning", 2020, equation 2.
    The mean over the batch. Like the authors' code it takes the difference of the normalised rows, which stays
    accurate where they nearly agree; solo-learn and PyTorch compute 2 - 2 cos. Rows shorter than 1e-6 count as zeros
    and have no gradient. Of a row of zeros the distance is 1 here (the other row's length), and 2 there.

    Args:
      predictions: the predictor's output for one view, [N, D], any float type.
      targets: the target network's projection of the other view, [N, D]. No gradient flows into it.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar between 0 and 4.

    Raises:
      ValueError: the two differ in shape or are not matrices.
    """
    check_same("[N, D]", predictions=predictions, targets=targets)
    difference = unit_length(predictions) - unit_length(lax.stop_gradient(targets))
    return mean(jnp.sum(jnp.square(difference), axis=1), axis_name)


def simsiam(
    predictions: jax.Array, targets: jax.Array, *, stop_gradient: bool = True, axis_name: AxisName = None
) -> jax.Array:
    """Negative cosine similarity of two views, the loss of SimSiam.

    ::

        loss = -mean_i cos(p_i, z_i)

    SimSiam averages this over both directions: `(simsiam(p1, z2) + simsiam(p2, z1)) / 2`.

    Source: Chen and He, "Exploring Simple Siamese Representation Learning", 2021, equation 1. The mean over the batch,
    as in the authors' code; lightly and solo-learn differ from it only for rows shorter than 1e-6.

    Args:
      predictions: the predictor's output for one view, [N, D], any float type.
      targets: the projection of the other view, [N, D]. No gradient flows into it, which keeps SimSiam from collapse.
      stop_gradient: False lets gradients flow into the targets too: the experiment of section 4.1, which collapses.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar between -1 and 1; rows of zeros count as similarity 0.

    Raises:
      ValueError: the two differ in shape or are not matrices.
    """
    check_same("[N, D]", predictions=predictions, targets=targets)
    targets = lax.stop_gradient(targets) if stop_gradient else targets
    cosines = jnp.sum(unit_length(predictions) * unit_length(targets), axis=1)
    return -mean(cosines, axis_name)


def data2vec(
    predictions: jax.Array,
    targets: jax.Array,
    mask: jax.Array,
    *,
    beta: float = 2.0,
    axis_name: AxisName = None,
) -> jax.Array:
    """Smooth L1 distance to a teacher's averaged layers at the hidden positions, the loss of data2vec.

    With d the difference of a prediction and its target::

        loss = mean of  d^2 / (2 beta) where |d| <= beta,  |d| - beta / 2 elsewhere

    Make the targets from the teacher's blocks with `average_layers`.

    Source: Baevski et al., "data2vec: A General Framework for Self-supervised Learning in Speech, Vision and Language",
    2022, section 3.4. The mean over the D values, then over all hidden positions of the global batch, as in the
    authors' code for images. Their code for speech and text (fairseq) sums over the D values and multiplies by
    `loss_scale`, or by 1 / sqrt(D) where that is not set, so it is sqrt(D) times this value by default. `beta=0` means
    the squared error d^2 as in fairseq (PyTorch's smooth L1 takes it for |d|). The authors set beta to 2 for images
    and to 4 for text, and use the squared error for speech.

    Args:
      predictions: the student's output for every position, [N, T, D], any float type.
      targets: the teacher's, [N, T, D]. No gradient flows into them.
      mask: 1 (or True) where the position was hidden from the student and counts, 0 elsewhere, [N, T].
      beta: where the square turns into a line, a Python number; 0: squared error.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar; 0 where nothing is hidden.

    Raises:
      ValueError: the shapes do not fit, or `beta` is negative.
    """
    check_same("[N, T, D]", predictions=predictions, targets=targets)
    check_shape("mask", mask, predictions.shape[:2])
    check_range(0, float("inf"), beta=beta)
    return _masked_smooth_l1(predictions, targets, mask, beta, axis_name)


def average_layers(
    layers: Sequence[jax.Array],
    *,
    top: int | None = None,
    normalize: str = "layer",
    normalize_average: bool = False,
    weights: jax.Array | None = None,
) -> jax.Array:
    """data2vec's targets: the mean of a teacher's last blocks, each normalised first.

    Source: Baevski et al., "data2vec: A General Framework for Self-supervised Learning in Speech, Vision and Language",
    2022, section 3.3. Normalising is `(x - mean) / sqrt(variance + 1e-5)` with the biased variance and without learned
    scales. The authors normalise each layer over its values for images (and then the mean once more) and text, and
    over time for speech; they average 6 blocks for ViT-B, 10 for text and 8 for speech. Over time, fairseq counts all T
    positions, padding too, and so does this without `weights`.

    Args:
      layers: the blocks' outputs, first to last, each [N, T, D], any float type.
      top: how many of the last ones are averaged; None: all.
      normalize: "layer": each position over its D values; "instance": each of the D values over the T positions of
        its example; "none".
      normalize_average: whether each position of the mean is normalised over its D values again.
      weights: for "instance": 1 (or True) at positions that count in means and variances, 0 for padding, [N, T];
        None: all do.

    Returns:
      float32 [N, T, D].

    Raises:
      ValueError: the layers or weights differ in shape, there are fewer than `top`, or `normalize` is none of these.
    """
    check_choice(("layer", "instance", "none"), normalize=normalize)
    top = len(layers) if top is None else top
    if not 1 <= top <= len(layers):
        raise ValueError(f"the last {top} of {len(layers)} layers cannot be averaged")
    check_same("[N, T, D]", **{f"layer {i}": layer for i, layer in enumerate(layers)})
    layers = [layer.astype(jnp.float32) for layer in layers[-top:]]
    if weights is not None:
        check_shape("weights", weights, layers[0].shape[:2])
    if normalize == "layer":
        layers = [_standardized(layer, axis=2) for layer in layers]
    elif normalize == "instance":
        layers = [_over_time(layer, weights) for layer in layers]
    average = sum(layers) / top
    return _standardized(average, axis=2) if normalize_average else average


def i_jepa(
    predictions: jax.Array,
    targets: jax.Array,
    mask: jax.Array | None = None,
    *,
    normalize_targets: bool = True,
    beta: float = 1.0,
    axis_name: AxisName = None,
) -> jax.Array:
    """Distance of predicted patch features from a target encoder's, the loss of I-JEPA.

    The default is the authors' code: the smooth L1 distance (see `data2vec`) of beta 1 to targets that are normalised
    over their D values by `(x - mean) / sqrt(variance + 1e-5)`, averaged over all values.

    Source: Assran et al., "Self-Supervised Learning from Images with a Joint-Embedding Predictive Architecture", 2023,
    section 3, where the loss is the squared L2 distance, summed over the patches of a target block and averaged over
    the blocks, of targets that are not said to be normalised. `beta=0` is that squared error, up to the factor: here,
    it is always the mean over D values and over patches.

    Args:
      predictions: the predictor's output, [N, T, D], any float type: the patches of a target block, or of all.
      targets: the target encoder's output for the same patches, [N, T, D]. No gradient flows into it.
      mask: 1 (or True) where a patch is in a target block and counts, 0 elsewhere, [N, T]; None: all count. Blocks
        that overlap, each with predictions of its own, are rows of their own: [N * blocks, T, D].
      normalize_targets: whether the targets are normalised.
      beta: where the square turns into a line, a Python number; 0: squared error.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      The mean over all patches that count in the global batch, a float32 scalar; 0 where none counts.

    Raises:
      ValueError: the shapes do not fit, or `beta` is negative.
    """
    check_same("[N, T, D]", predictions=predictions, targets=targets)
    check_range(0, float("inf"), beta=beta)
    mask = jnp.ones(predictions.shape[:2]) if mask is None else mask
    check_shape("mask", mask, predictions.shape[:2])
    targets = targets.astype(jnp.float32)
    targets = _standardized(targets, axis=2) if normalize_targets else targets
    return _masked_smooth_l1(predictions, targets, mask, beta, axis_name)


def v_jepa(
    predictions: jax.Array,
    targets: jax.Array,
    mask: jax.Array | None = None,
    *,
    normalize_targets: bool = True,
    axis_name: AxisName = None,
) -> jax.Array:
    """Absolute distance of predicted patch features of a clip from a target encoder's, the loss of V-JEPA.

    Source: Bardes et al., "Revisiting Feature Prediction for Learning Visual Representations from Video", 2024,
    section 3.1, equation 1, and the authors' code (`loss_exp` 1), which normalises the targets over their D values by
    `(x - mean) / sqrt(variance + 1e-5)` and takes the mean over all values. It cuts all clips of a batch to as many
    predicted patches; here clips may have different numbers, and each patch counts alike. The loss of several masks of
    a clip is the mean of their losses.

    Args:
      predictions: the predictor's output, [N, T, D], any float type.
      targets: the target encoder's output for the same patches, [N, T, D]. No gradient flows into it.
      mask: 1 (or True) where a patch was hidden and counts, 0 elsewhere, [N, T]; None: all count.
      normalize_targets: whether the targets are normalised.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      The mean over all patches that count in the global batch, a float32 scalar; 0 where none counts.

    Raises:
      ValueError: the shapes do not fit.
    """
    check_same("[N, T, D]", predictions=predictions, targets=targets)
    mask = jnp.ones(predictions.shape[:2]) if mask is None else mask
    check_shape("mask", mask, predictions.shape[:2])
    targets = targets.astype(jnp.float32)
    targets = _standardized(targets, axis=2) if normalize_targets else targets
    distance = lambda prediction, target: jnp.mean(absolute(prediction - target), axis=-1)
    return mean_of_places(distance, (predictions, lax.stop_gradient(targets)), mask > 0, axis_name)


def _masked_smooth_l1(predictions, targets, mask, beta, axis_name):
    """The mean over values, then over positions that count."""
    distance = lambda prediction, target: jnp.mean(_smooth_l1(prediction - target, beta), axis=-1)
    return mean_of_places(distance, (predictions, lax.stop_gradient(targets)), mask > 0, axis_name)


def _smooth_l1(difference, beta):
    if beta == 0:
        return jnp.square(difference)
    size = jnp.abs(difference)
    return jnp.where(size <= beta, jnp.square(difference) / (2 * beta), size - beta / 2)


def _standardized(values, axis):
    centred = values - jnp.mean(values, axis=axis, keepdims=True)
    return centred * lax.rsqrt(jnp.mean(jnp.square(centred), axis=axis, keepdims=True) + 1e-5)


def _over_time(values, weights):
    """[N, T, D] standardised over the positions that count."""
    if weights is None:
        return _standardized(values, axis=1)
    weights = weights.astype(jnp.float32)[:, :, None]
    count = jnp.maximum(jnp.sum(weights, axis=1, keepdims=True), 1.0)
    centred = values - jnp.sum(values * weights, axis=1, keepdims=True) / count
    return centred * lax.rsqrt(jnp.sum(jnp.square(centred) * weights, axis=1, keepdims=True) / count + 1e-5)
