"""Losses that ask for the hidden patches of an image."""

import jax
import jax.numpy as jnp

from ssl_jax.losses.across import AxisName
from ssl_jax.losses.checks import check_same, check_shape
from ssl_jax.losses.places import mean_of_places
from ssl_jax.losses.rows import absolute
from ssl_jax.losses.tokens import masked_lm


def masked_patches(
    predictions: jax.Array,
    targets: jax.Array,
    mask: jax.Array,
    *,
    normalize_targets: bool = True,
    axis_name: AxisName = None,
) -> jax.Array:
    """Mean squared error of the hidden patches, the loss of masked autoencoders (MAE).

    Source: He et al., "Masked Autoencoders Are Scalable Vision Learners", 2022, section 3 and Table 1d; the authors'
    code (also in transformers' ViTMAE): squared errors are averaged over a patch's values, then over the hidden
    patches of the whole batch. Some reimplementations average over an image's hidden patches first, which is the
    same where every image hides as many.

    Args:
      predictions: the decoder's output, [B, N, P], any float type.
      targets: the pixels of each patch, [B, N, P], in the same order.
      mask: 1 (or True) where a patch was hidden and counts, 0 elsewhere, [B, N].
      normalize_targets: whether each patch is first normalised by its own mean and standard deviation
        (`normalize_patches`), which the paper finds better.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar; 0 where nothing is hidden.

    Raises:
      ValueError: the shapes do not fit, or patches of a single value are to be normalised.
    """
    loss = _normalized_squares if normalize_targets else _squares
    return _mean_of_patches(loss, predictions, targets, mask, axis_name)


def normalize_patches(patches: jax.Array) -> jax.Array:
    """Each patch less its mean, over `sqrt(variance + 1e-6)`.

    Source: He et al., "Masked Autoencoders Are Scalable Vision Learners", 2022, section 3. The variance is the unbiased
    one (divided by P - 1), as in the authors' code.

    Args:
      patches: [..., P], any float type.

    Returns:
      float32 [..., P].

    Raises:
      ValueError: a patch has one value only, so no variance.
    """
    if patches.shape[-1] < 2:
        raise ValueError(f"patches of {patches.shape[-1]} value cannot be normalised by their standard deviation")
    patches = patches.astype(jnp.float32)
    mean = jnp.mean(patches, axis=-1, keepdims=True)
    return (patches - mean) * jax.lax.rsqrt(jnp.var(patches, axis=-1, keepdims=True, ddof=1) + 1e-6)


def simmim(predictions: jax.Array, targets: jax.Array, mask: jax.Array, *, axis_name: AxisName = None) -> jax.Array:
    """Mean absolute error of the hidden pixels, the loss of SimMIM.

    With M the hidden pixels and C the channels::

        loss = sum_{i in M} |prediction_i - target_i|_1 / (|M| C)

    Source: Xie et al., "SimMIM: A Simple Framework for Masked Image Modeling", 2022, section 3.4. The mean is over all
    hidden values of the global batch; the authors' code and transformers (Swin, ViT) take it over those of a device's
    batch and add 1e-5 to |M|. They keep images and repeat the mask over each patch's pixels; here the pixels are
    already sorted into patches, in any order, so long as it is the same for predictions and targets. The targets are
    plain (normalised) pixels. The code of Swin V2 also has targets normalised by the window around each pixel, not
    by patch: take them from images of `normalize_windows`.

    Args:
      predictions: [B, N, P], any float type; P values for each patch.
      targets: the pixels of each patch, [B, N, P], in the same order.
      mask: 1 (or True) where a patch was hidden and counts, 0 elsewhere, [B, N].
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar; 0 where nothing is hidden.

    Raises:
      ValueError: the shapes do not fit.
    """
    return _mean_of_patches(_distances, predictions, targets, mask, axis_name)


def normalize_windows(images: jax.Array, *, window: int = 47) -> jax.Array:
    """Each pixel less the mean of the window around it, over `sqrt(variance + 1e-6)`, channel by channel.

    Source: Liu et al., "Swin Transformer V2: Scaling Up Capacity and Resolution", 2022, as in the authors' code
    of SimMIM for that model. Windows are cut off at the border. The variance is the unbiased one, of the pixels
    in the image. The code takes it as a difference of means of squares; here the image's own mean comes off first,
    which changes nothing but the rounding.

    Args:
      images: [B, H, W, C], any type.
      window: side of the window in pixels, odd.

    Returns:
      float32 [B, H, W, C].

    Raises:
      ValueError: the shape does not fit, the window is even, or it holds a single pixel.
    """
    if images.ndim != 4:
        raise ValueError(f"images must be [B, H, W, C], not {images.shape}")
    if window < 3 or window % 2 == 0:
        raise ValueError(f"window {window} is not an odd number of at least 3")
    if images.shape[1] * images.shape[2] < 2:
        raise ValueError("an image of a single pixel cannot be normalised by its standard deviation")
    images = images.astype(jnp.float32)
    images = images - jnp.mean(images, axis=(1, 2), keepdims=True)
    count = _sum_of_window(jnp.ones_like(images), window)
    mean = _sum_of_window(images, window) / count
    variance = (_sum_of_window(jnp.square(images), window) / count - jnp.square(mean)) * count / (count - 1)
    return (images - mean) * jax.lax.rsqrt(jnp.maximum(variance, 0.0) + 1e-6)


def mask_feat(predictions: jax.Array, targets: jax.Array, mask: jax.Array, *, axis_name: AxisName = None) -> jax.Array:
    """Mean squared error of the hidden patches' features, the loss of MaskFeat.

    The features are histograms of oriented gradients of the whole image (`hog`), or any others.

    Source: Wei et al., "Masked Feature Prediction for Self-Supervised Visual Pre-Training", 2022, section 3; as in the
    authors' code, the mean is over all values of all hidden patches, here those of the global batch.

    Args:
      predictions: [B, N, D], any float type.
      targets: the features of each patch, [B, N, D].
      mask: 1 (or True) where a patch was hidden and counts, 0 elsewhere, [B, N].
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar; 0 where nothing is hidden.

    Raises:
      ValueError: the shapes do not fit.
    """
    return _mean_of_patches(_squares, predictions, targets, mask, axis_name)


def beit(logits: jax.Array, tokens: jax.Array, mask: jax.Array, *, axis_name: AxisName = None) -> jax.Array:
    """Cross entropy of the hidden patches' visual tokens, the loss of BEiT.

    Source: Bao et al., "BEiT: BERT Pre-Training of Image Transformers", 2022, section 2.3. The paper sums over an
    image's hidden patches; the authors' code and transformers take the mean over all that are hidden in a batch, as is
    done here over the global batch.

    Args:
      logits: over the V visual tokens, [B, N, V], any float type. N may be all patches or those picked for prediction.
      tokens: the tokenizer's, int [B, N]; of no consequence (so also out of range) where the mask is 0.
      mask: 1 (or True) where a patch was hidden and counts, 0 elsewhere, [B, N].
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar in nats; 0 where nothing is hidden.

    Raises:
      ValueError: the shapes do not fit.
    """
    if logits.ndim != 3:
        raise ValueError(f"logits must be [B, N, V], not {logits.shape}")
    check_shape("tokens", tokens, logits.shape[:2])
    check_shape("mask", mask, logits.shape[:2])
    return masked_lm(logits, tokens, mask > 0, axis_name=axis_name)


def _mean_of_patches(loss, predictions, targets, mask, axis_name):
    check_same("[B, N, P]", predictions=predictions, targets=targets)
    check_shape("mask", mask, predictions.shape[:2])
    return mean_of_places(loss, (predictions, targets), mask > 0, axis_name)


def _squares(predictions, targets):
    return jnp.mean(jnp.square(predictions - targets), axis=-1)


def _distances(predictions, targets):
    return jnp.mean(absolute(predictions - targets), axis=-1)


def _normalized_squares(predictions, targets):
    return _squares(predictions, normalize_patches(targets))


def _sum_of_window(images, window):
    """Sums over a square around each pixel, cut off at the border."""
    half = window // 2
    for axis in (1, 2):
        size = [1, 1, 1, 1]
        padding = [(0, 0)] * 4
        size[axis], padding[axis] = window, (half, half)
        images = jax.lax.reduce_window(images, 0.0, jax.lax.add, size, (1, 1, 1, 1), padding)
    return images
