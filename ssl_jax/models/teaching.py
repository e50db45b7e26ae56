"""How the teachers of DINO, iBOT and DINOv2 follow their students, and how their output is centred and sharpened."""

import dataclasses

import jax
from flax import nnx

from ssl_jax import losses
from ssl_jax.models import settings, targets


@dataclasses.dataclass(frozen=True, kw_only=True)
class Teaching:
    """The numbers of one teacher over a run, and what is done with them.

    Fields are called as the methods' arguments, so that what is wrong with one is said of the argument.

    Source: Caron et al. 2021, DINO, section 3.1 and equation 4.

    Args:
      student_temperature: tau_s.
      teacher_temperature: tau_t after its warm-up.
      warmup_teacher_temperature: tau_t at the first step; it rises along a line.
      warmup_teacher_steps: length of that warm-up.
      center_momentum: how much of the old centre is kept.
      momentum: of the teacher's weights at the first step; it rises to 1 along a cosine.
      steps: of the whole run.

    Raises:
      ValueError: a temperature that is not positive, a warm-up below 0, or a momentum not in [0, 1).
    """

    student_temperature: float
    teacher_temperature: float
    warmup_teacher_temperature: float
    warmup_teacher_steps: int
    center_momentum: float
    momentum: float
    steps: int

    def __post_init__(self):
        settings.positive(
            student_temperature=self.student_temperature,
            teacher_temperature=self.teacher_temperature,
            warmup_teacher_temperature=self.warmup_teacher_temperature,
        )
        settings.at_least(0, warmup_teacher_steps=self.warmup_teacher_steps)
        settings.probability(momentum=self.momentum, center_momentum=self.center_momentum)

    def temperatures(self, done: targets.StepCount) -> dict[str, float | jax.Array]:
        """Those of student and teacher when so many steps are done, under the names that losses have for them."""
        start, end = self.warmup_teacher_temperature, self.teacher_temperature
        now = targets.linear_ramp(done[...], self.warmup_teacher_steps, start, end)
        return {"student_temperature": self.student_temperature, "teacher_temperature": now}

    def assign(self, logits: jax.Array, center: targets.Center, done: targets.StepCount) -> jax.Array:
        """The teacher's probabilities [B, K] of its logits [B, K], centred and sharpened as its targets are."""
        temperature = self.temperatures(done)["teacher_temperature"]
        return jax.nn.softmax((logits - center[...][None]) / temperature, axis=-1)

    def move(self, center: targets.Center, logits: jax.Array, weights: jax.Array | None = None) -> None:
        """The centre goes towards the mean of the teacher's logits [..., K]; `weights` as for `update_center`."""
        center[...] = losses.update_center(center[...], logits, momentum=self.center_momentum, weights=weights)

    def follow(self, method: nnx.Module, step: jax.Array) -> None:
        """All that `method` calls `target_` follows after step `step` (from 0), which `method.done` counts as done."""
        targets.follow_all(method, targets.cosine_ramp(step, self.steps, self.momentum, 1.0))
        method.done[...] = step + 1


def teacher_of(student: nnx.Module | None) -> nnx.Module | None:
    """A copy of `student` that is not trained and never drops; none of none."""
    return nnx.data(None) if student is None else targets.never_dropping(targets.target_copy(student))
