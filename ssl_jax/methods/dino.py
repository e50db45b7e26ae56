"""DINO: Caron et al. 2021, Emerging Properties in Self-Supervised Vision Transformers, arXiv:2104.14294."""

from typing import Any, Literal

import jax
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.models import heads, settings, targets
from ssl_jax.models.teaching import Teaching, teacher_of


class DINO(nnx.Module):
    """A student predicts, from any crop, what a slowly following teacher makes of the large ones (algorithm 1)."""

    evaluated = "target_backbone"
    collapse_causes = (
        "the teacher's output is not centred (one prototype takes all) or not sharpened (all become alike: "
        "teacher_temperature too high), or momentum is too low"
    )

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        prototypes: int = 65536,
        head_hidden: int = 2048,
        head_bottleneck: int = 256,
        head_batch_norm: bool = False,
        learn_gains: bool = False,
        student_temperature: float = 0.1,
        teacher_temperature: float = 0.04,
        warmup_teacher_temperature: float = 0.04,
        warmup_teacher_steps: int = 0,
        centering: Literal["softmax", "sinkhorn", "none"] = "softmax",
        center_momentum: float = 0.9,
        momentum: float = 0.996,
        steps: int,
        rngs: nnx.Rngs,
    ):
        """
        The last layer rests during the first epoch in the paper's runs: `config.optimizer.late` does that.

        Args:
          backbone: images [B, H, W, C] of two sizes -> features [B, F]; has `features` = F.
          view: draws two large views and `view.local_crops` small ones of one image ('dino' in `augment.VIEWS`).
          prototypes: K, what the head gives scores for.
          head_hidden: width of the head's hidden layers.
          head_bottleneck: width of its layer before the prototypes.
          head_batch_norm: whether the head normalises over the batch.
          learn_gains: whether the lengths of the prototypes are trained (`heads.WeightNormLinear`).
          student_temperature: tau_s.
          teacher_temperature: tau_t after its warm-up.
          warmup_teacher_temperature: tau_t at the first step of a warm-up; it rises along a line.
          warmup_teacher_steps: length of that warm-up; 0 for none. The official code raises tau_t once an epoch.
          centering: 'softmax' subtracts the running mean of the teacher's logits (equation 4), 'sinkhorn' balances
            the batch (table 7 of the paper; DINOv2) and 'none' does neither, which collapses (section 5.3).
          center_momentum: how much of the old mean is kept, m in equation 4; of 'softmax'.
          momentum: lambda, the teacher's momentum at the first step; it rises to 1 along a cosine (section 3.1).
          steps: of the whole run.
          rngs: source of the parameters.

        Raises:
          ValueError: a temperature that is not positive, a momentum not in [0, 1), a width below 1,
            a single prototype, or an unknown centering.
        """
        settings.one_of("centering", centering, ("softmax", "sinkhorn", "none"))
        settings.at_least(1, head_hidden=head_hidden, head_bottleneck=head_bottleneck)
        settings.at_least(2, prototypes=prototypes)
        self.teaching = Teaching(
            student_temperature=student_temperature,
            teacher_temperature=teacher_temperature,
            warmup_teacher_temperature=warmup_teacher_temperature,
            warmup_teacher_steps=warmup_teacher_steps,
            center_momentum=center_momentum,
            momentum=momentum,
            steps=steps,
        )
        self.backbone, self.view, self.centering = backbone, view, centering
        self.head = heads.DINOHead(
            backbone.features,
            hidden=head_hidden,
            bottleneck=head_bottleneck,
            prototypes=prototypes,
            batch_norm=head_batch_norm,
            learn_gains=learn_gains,
            dtype=backbone.dtype,
            rngs=rngs,
        )
        self.target_backbone, self.target_head = teacher_of(self.backbone), teacher_of(self.head)
        self.center, self.done = targets.center(prototypes), targets.step_count()

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Two large views of each image, 'image' [B, 2, S, S, C], and L small ones, 'local' [B, L, s, s, C]."""
        return augment.multi_crop(self.view, key, batch)

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Cross entropy of every view with the teacher's other large views.

        Views of one size are one pass through a backbone; then all are one pass through the head, as in the official
        code.
        """
        teacher = augment.each_view(lambda x: self._teacher(x, train), views["image"])
        features = augment.all_crops(lambda x, key: self.backbone(x, train=train, key=key), views, key)
        student = augment.each_view(lambda x: self.head(x, train=train), features)
        loss = losses.dino(
            student,
            teacher,
            None if self.centering == "sinkhorn" else self.center[...],
            centering="sinkhorn" if self.centering == "sinkhorn" else "softmax",
            **self.teaching.temperatures(self.done),
        )
        if train and self.centering == "softmax":
            self.teaching.move(self.center, teacher)
        return loss, {}

    def _teacher(self, images, train):
        return self.target_head(self.target_backbone(images, train=train), train=train)

    def follow(self, step: jax.Array) -> None:
        """The teacher follows after step `step` (counted from 0)."""
        self.teaching.follow(self, step)

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of the teacher's backbone, which the official code evaluates, of images as they are: [B, F]."""
        return self.target_backbone(jax.vmap(self.view.evaluate)(inputs))

    def project(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """The teacher's points on the sphere, of which logits are a linear function, of images as they are: [B, P]."""
        return self.target_head.sphere(self.embed(inputs))

    def assign(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """The teacher's probabilities of the prototypes, centred and sharpened as its targets are: [B, K].

        Not balanced where `centering` is 'sinkhorn', which would hide a prototype that takes all.
        """
        return self.teaching.assign(self.target_head(self.embed(inputs)), self.center, self.done)
