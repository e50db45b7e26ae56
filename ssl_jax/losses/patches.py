"""Losses that match a teacher patch by patch, or in how patches relate to one another."""

import jax
import jax.numpy as jnp
from jax import lax

from ssl_jax.losses.across import AxisName, gather_rows, mean, weighted_mean
from ssl_jax.losses.checks import check_choice, check_positive, check_same, check_shape
from ssl_jax.losses.distillation import soft_cross_entropy, teacher_probabilities
from ssl_jax.losses.places import only_counted
from ssl_jax.losses.rows import unit_length


def ibot(
    student: jax.Array,
    teacher: jax.Array,
    mask: jax.Array,
    center: jax.Array | None = None,
    *,
    student_temperature: float | jax.Array = 0.1,
    teacher_temperature: float | jax.Array = 0.04,
    centering: str = "softmax",
    sinkhorn_iterations: int = 3,
    reduction: str = "image",
    axis_name: AxisName = None,
) -> jax.Array:
    """Cross entropy with the teacher's distribution for each hidden patch, the masked-image loss of iBOT.

    The teacher sees the whole image, the student the image without the hidden patches. For a hidden patch::

        q = softmax((teacher - center) / teacher_temperature)          or Sinkhorn-Knopp(teacher / teacher_temperature)
        loss = -sum_k q_k log softmax(student / student_temperature)_k

    Source: Zhou et al., "iBOT: Image BERT Pre-Training with Online Tokenizer", 2022, section 3.1. As in the authors'
    code, in DINOv2 and in lightly, the mean over an image's hidden patches comes first, then the mean over all images,
    among which those that hide nothing count as 0. `reduction="patch"` is the plain mean over all hidden patches.
    Sinkhorn-Knopp balances the hidden patches of the global batch, as in DINOv2 and DINOv3.

    Args:
      student: logits of all T patches, [N, T, K], any float type.
      teacher: logits of the same patches, [N, T, K]. No gradient flows into them.
      mask: 1 (or True) where a patch was hidden from the student and counts, 0 elsewhere, [N, T].
      center: the running mean of the teacher's logits for patches, [K]; see `update_center`. None with Sinkhorn-Knopp.
      student_temperature: a positive number or a scalar array.
      teacher_temperature: a positive number or a scalar array. iBOT raises it from 0.04 to 0.07 for patches.
      centering: "softmax" with `center`, or "sinkhorn".
      sinkhorn_iterations: of `sinkhorn_knopp`; not used otherwise.
      reduction: "image" or "patch", what counts alike in the mean.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar in nats; 0 where nothing is hidden.

    Raises:
      ValueError: the shapes do not fit, a setting is unknown or not positive, or there is a center where none is used
        or none where one is.
    """
    check_same("[N, T, K]", student=student, teacher=teacher)
    check_shape("mask", mask, student.shape[:2])
    check_choice(("image", "patch"), reduction=reduction)
    check_positive(student_temperature=student_temperature)
    student, teacher = only_counted(student, mask), only_counted(teacher, mask)
    hidden = (mask > 0).astype(jnp.float32)
    targets = teacher_probabilities(
        teacher.reshape(-1, teacher.shape[2]), center, centering=centering, temperature=teacher_temperature,
        iterations=sinkhorn_iterations, weights=hidden.reshape(-1), axis_name=axis_name,
    ).reshape(teacher.shape)  # fmt: skip
    losses = soft_cross_entropy(student / student_temperature, targets)
    if reduction == "patch":
        return weighted_mean(losses, hidden, axis_name)
    return mean(jnp.sum(losses * hidden, axis=1) / jnp.maximum(jnp.sum(hidden, axis=1), 1.0), axis_name)


def gram_anchoring(
    student: jax.Array,
    teacher: jax.Array,
    *,
    per_image: bool = True,
    normalize: bool = True,
    negatives: str = "keep",
    axis_name: AxisName = None,
) -> jax.Array:
    """Squared difference of two networks' similarities between patches, the Gram anchoring of DINOv3.

    With X the features of an image's patches, of unit length::

        loss = mean over all entries of (X_student X_student^T - X_teacher X_teacher^T)^2

    Source: Siméoni et al., "DINOv3", 2025, section 4.2. The mean over the T x T entries and then over the images, as in
    the authors' code; the paper writes the squared Frobenius norm, T^2 times as much for one image. The published
    configurations that use it compare patches within each image and keep negative similarities.

    Args:
      student: patch features, [N, T, D], any float type.
      teacher: those of the Gram teacher, an earlier teacher, [N, T, D'] (resized where it saw a larger image). No
        gradient flows into them.
      per_image: whether patches are compared within their image only; otherwise, with those of the whole global batch,
        which takes a matrix of (patches on a device) x (patches of the global batch).
      normalize: whether features are scaled to unit length first.
      negatives: "keep"; "drop": negative similarities of both become 0; "drop_teacher": those of the teacher only.
        (The authors' option for the latter is also written to clear those of the student where both are negative,
        but has cleared the teacher's before it looks.)
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar.

    Raises:
      ValueError: the shapes do not fit, or `negatives` is unknown.
    """
    check_choice(("keep", "drop", "drop_teacher"), negatives=negatives)
    if student.ndim != 3 or teacher.ndim != 3 or student.shape[:2] != teacher.shape[:2]:
        raise ValueError(
            f"student and teacher must be [N, T, D] and [N, T, D'], not {student.shape} and {teacher.shape}"
        )
    ours, theirs = (_gram(x, per_image, normalize, axis_name) for x in (student, lax.stop_gradient(teacher)))
    ours = jax.nn.relu(ours) if negatives == "drop" else ours
    theirs = theirs if negatives == "keep" else jax.nn.relu(theirs)
    return mean(jnp.square(ours - theirs), axis_name)


def _gram(features, per_image, normalize, axis_name):
    """Similarities of patches, [N, T, T]; over the batch, of a device's patches with all, [n * T, N * T]."""
    features = unit_length(features) if normalize else features.astype(jnp.float32)
    if per_image:
        return jnp.einsum("ntd,nsd->nts", features, features, precision=lax.Precision.HIGHEST)
    rows = features.reshape(-1, features.shape[-1])
    return jnp.matmul(rows, gather_rows(rows, axis_name).T, precision=lax.Precision.HIGHEST)
