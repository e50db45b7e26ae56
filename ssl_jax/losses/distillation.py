"""Losses that match a teacher's distribution over prototypes, or over earlier examples."""

import jax
import jax.numpy as jnp
from jax import lax

from ssl_jax.losses.across import AxisName, mean, total, weighted_mean
from ssl_jax.losses.checks import check_choice, check_positive, check_range, check_same, check_shape
from ssl_jax.losses.rows import unit_length
from ssl_jax.losses.sinkhorn import sinkhorn_knopp


def dino(
    student: jax.Array,
    teacher: jax.Array,
    center: jax.Array | None = None,
    *,
    student_temperature: float | jax.Array = 0.1,
    teacher_temperature: float | jax.Array = 0.04,
    centering: str = "softmax",
    sinkhorn_iterations: int = 3,
    reduction: str = "mean",
    axis_name: AxisName = None,
) -> jax.Array:
    """Cross entropy of a student's views with a teacher's other views of the same image, the loss of DINO.

    Over all pairs of a teacher's view g and a student's view v != g (student's view g is the same crop)::

        q = softmax((teacher - center) / teacher_temperature)          or Sinkhorn-Knopp(teacher / teacher_temperature)
        loss = mean_{i, g, v}  -sum_k q_igk log softmax(student_iv / student_temperature)_k

    Source: Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", 2021, section 3.1 and
    Algorithm 1; the authors' code and lightly also average over the pairs. The DINOLoss module of DINOv2 *adds* the
    pairs (`reduction="sum"`) and its training code then divides by their number, which is the mean again (but it
    divides by 3 in place of 2 where there are no local crops). DINOv2 and DINOv3 use Sinkhorn-Knopp over the rows of
    all teacher's views together, as here, not view by view.

    Args:
      student: logits of V views, [N, V, K], any float type; the first G are the crops that the teacher sees.
      teacher: logits of G views, [N, G, K]. No gradient flows into them.
      center: the running mean of the teacher's logits, [K]; see `update_center`. None with Sinkhorn-Knopp.
      student_temperature: a positive number or a scalar array.
      teacher_temperature: a positive number or a scalar array (when it follows a schedule).
      centering: "softmax" with `center`, or "sinkhorn".
      sinkhorn_iterations: of `sinkhorn_knopp`; not used otherwise.
      reduction: "mean" or "sum" over the pairs of views; over the batch it is always the mean.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar in nats.

    Raises:
      ValueError: the shapes do not fit, no pair of different views is left, a setting is unknown or not positive, or
        there is a center where none is used or none where one is.
    """
    check_choice(("mean", "sum"), reduction=reduction)
    if student.ndim != 3 or teacher.ndim != 3 or (student.shape[0], student.shape[2]) != teacher.shape[::2]:
        raise ValueError(
            f"student and teacher must be [N, V, K] and [N, G, K], not {student.shape} and {teacher.shape}"
        )
    n, views, k = student.shape
    others = ~jnp.eye(views, teacher.shape[1], dtype=bool)
    pairs = views * teacher.shape[1] - min(views, teacher.shape[1])
    if pairs == 0:
        raise ValueError("student and teacher need at least 2 different views between them")
    check_positive(student_temperature=student_temperature)
    targets = teacher_probabilities(
        teacher.reshape(-1, k), center, centering=centering, temperature=teacher_temperature,
        iterations=sinkhorn_iterations, axis_name=axis_name,
    ).reshape(teacher.shape)  # fmt: skip
    log_student = jax.nn.log_softmax(student.astype(jnp.float32) / student_temperature, axis=-1)
    costs = -jnp.einsum("nvk,ngk->nvg", log_student, targets, precision=lax.Precision.HIGHEST)
    per_example = jnp.sum(jnp.where(others[None], costs, 0.0), axis=(1, 2))
    return mean(per_example / pairs if reduction == "mean" else per_example, axis_name)


def teacher_probabilities(
    logits: jax.Array,
    center: jax.Array | None,
    *,
    centering: str,
    temperature: float | jax.Array,
    iterations: int,
    weights: jax.Array | None = None,
    axis_name: AxisName,
) -> jax.Array:
    """The teacher's targets, centred or balanced: [rows, K] -> float32 [rows, K], without gradient.

    Raises:
      ValueError: a centering that does not exist, a temperature that is not positive, or a center that is missing,
        misshapen or of no use.
    """
    check_choice(("softmax", "sinkhorn"), centering=centering)
    check_positive(teacher_temperature=temperature)
    logits = lax.stop_gradient(logits).astype(jnp.float32)
    if centering == "sinkhorn":
        if center is not None:
            raise ValueError("Sinkhorn-Knopp takes no center")
        return sinkhorn_knopp(
            logits, temperature=temperature, iterations=iterations, weights=weights, axis_name=axis_name
        )
    if center is None:
        raise ValueError("centering 'softmax' needs a center (zeros to begin with; see update_center)")
    check_shape("center", center, logits.shape[1:])
    center = lax.stop_gradient(center).astype(jnp.float32)
    return jax.nn.softmax((logits - center[None]) / lax.stop_gradient(jnp.float32(temperature)), axis=-1)


def update_center(
    center: jax.Array,
    teacher: jax.Array,
    *,
    momentum: float | jax.Array = 0.9,
    weights: jax.Array | None = None,
    axis_name: AxisName = None,
) -> jax.Array:
    """The next center of `dino` or `ibot`: `momentum * center + (1 - momentum) * mean of the teacher's logits`.

    Source: Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", 2021, equation 4. The mean over
    all rows of the global batch. The authors use a batch's logits first and update the center after. For patches,
    iBOT averages over all of them; DINOv2 over the hidden ones, first within a device and then over the devices, where
    `weights` here give the mean over the hidden ones of all devices.

    Args:
      center: [K]; zeros to begin with. It is the same on all devices, before and after.
      teacher: the teacher's logits, [..., K], any float type: [N, G, K] for `dino`, [N, T, K] for `ibot`.
      momentum: how much of the old center is kept, from 0 to 1.
      weights: 1 (or True, or how much they count) for rows that count, 0 for others, [...]; None: all count alike.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      float32 [K]; the old center where no row counts. No gradient flows through it.

    Raises:
      ValueError: the shapes do not fit, or the momentum is not between 0 and 1.
    """
    check_shape("center", center, teacher.shape[-1:])
    check_range(0, 1, momentum=momentum)
    weights = jnp.ones(teacher.shape[:-1], jnp.float32) if weights is None else weights
    check_shape("weights", weights, teacher.shape[:-1])
    weights = weights.astype(jnp.float32).reshape(-1)
    center, rows = (lax.stop_gradient(x).astype(jnp.float32) for x in (center, teacher.reshape(-1, center.shape[0])))
    average = jax.vmap(lambda column: weighted_mean(column, weights, axis_name), in_axes=1)(rows)
    moved = momentum * center + (1 - momentum) * average
    return jnp.where(total(weights, axis_name) > 0, moved, center)


def ressl(
    queries: jax.Array,
    keys: jax.Array,
    queue: jax.Array,
    *,
    query_temperature: float | jax.Array = 0.1,
    key_temperature: float | jax.Array = 0.04,
    axis_name: AxisName = None,
) -> jax.Array:
    """Cross entropy of two views' similarities to earlier examples, the loss of ReSSL (relational self-supervision).

    With all rows of unit length and q the queue's rows::

        loss = mean_i  -sum_q softmax_q(k_i . q / key_temperature) log softmax_q(q_i . q / query_temperature)

    Source: Zheng et al., "ReSSL: Relational Self-Supervised Learning with Weak Augmentation", 2021, section 3.2. The
    mean over the batch, as in the authors' code and in solo-learn. The batch's own keys enter the queue afterwards.

    Args:
      queries: the student's projections of the strongly augmented views, [N, D], any float type.
      keys: the teacher's projections of the weakly augmented views, [N, D]. No gradient flows into them.
      queue: keys of earlier batches, [Q, D], the same on all devices. No gradient flows into them.
      query_temperature: the student's; a positive number or a scalar array.
      key_temperature: the teacher's, lower than the student's so that the targets are sharper.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      A float32 scalar in nats.

    Raises:
      ValueError: the shapes do not fit, or a temperature is not positive.
    """
    check_same("[N, D]", queries=queries, keys=keys)
    check_shape("queue", queue, (*queue.shape[:1], queries.shape[1]))
    check_positive(query_temperature=query_temperature, key_temperature=key_temperature)
    queue = unit_length(lax.stop_gradient(queue))
    similarities = lambda rows: jnp.matmul(unit_length(rows), queue.T, precision=lax.Precision.HIGHEST)
    targets = jax.nn.softmax(lax.stop_gradient(similarities(keys) / key_temperature), axis=1)
    return mean(soft_cross_entropy(similarities(queries) / query_temperature, targets), axis_name)


def soft_cross_entropy(logits: jax.Array, probabilities: jax.Array) -> jax.Array:
    """`-sum_k probabilities_k log softmax(logits)_k`: float32 [..., K], [..., K] -> [...]."""
    return -jnp.sum(probabilities * jax.nn.log_softmax(logits, axis=-1), axis=-1)
