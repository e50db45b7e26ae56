"""DINOv2: Oquab et al. 2023, DINOv2: Learning Robust Visual Features without Supervision, arXiv:2304.07193."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses, masking
from ssl_jax.models import heads, settings, targets
from ssl_jax.models.hiding import hide_patches, most_hidden
from ssl_jax.models.patches import take_patches
from ssl_jax.models.requirements import check_class_token
from ssl_jax.models.teaching import Teaching, teacher_of


class DINOv2(nnx.Module):
    """DINO on class tokens, iBOT on hidden patches, KoLeo to spread the class tokens (section 4)."""

    least_batch = 2
    evaluated = "target_backbone"
    collapse_causes = (
        "the teacher's output is neither balanced nor centred, or not sharpened (teacher_temperature too high), "
        "or momentum is too low"
    )

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        prototypes: int = 65536,
        patch_prototypes: int | None = 65536,
        head_hidden: int = 2048,
        head_bottleneck: int = 256,
        student_temperature: float = 0.1,
        teacher_temperature: float = 0.07,
        warmup_teacher_temperature: float = 0.04,
        warmup_teacher_steps: int = 0,
        centering: Literal["sinkhorn", "softmax"] = "sinkhorn",
        center_momentum: float = 0.9,
        mask_share: float = 0.5,
        mask_ratio: tuple[float, float] = (0.1, 0.5),
        patch_weight: float = 1.0,
        koleo_weight: float = 0.1,
        momentum: float = 0.992,
        steps: int,
        rngs: nnx.Rngs,
    ):
        """
        Numbers are the defaults of the official code (`ssl_default_config.yaml`), which has a shared head and
        centering by softmax; the paper's models have two heads and Sinkhorn-Knopp (section 4, `train/vitl14.yaml`),
        as the defaults here. Lengths of prototypes are trained, as in that code. Its last layers rest during the first
        epoch: `config.optimizer.late` does that.

        Args:
          backbone: a ViT with a class token.
          view: draws two large views and `view.local_crops` small ones of one image ('dino' in `augment.VIEWS`).
          prototypes: K, of the head for class tokens.
          patch_prototypes: of a head of its own for patches, whose `patch_head.last_layer` is for `optimizer.late` to
            name too; None: the same head.
          head_hidden: width of the heads' hidden layers.
          head_bottleneck: width of their layer before the prototypes.
          student_temperature: of the student.
          teacher_temperature: of the teacher, after the warm-up.
          warmup_teacher_temperature: of the teacher at the first step of a warm-up; it rises along a line.
          warmup_teacher_steps: length of that warm-up; 0 for none.
          centering: 'sinkhorn' balances the batch's assignments (class tokens of both views together; hidden patches
            among themselves), 'softmax' subtracts running means.
          center_momentum: how much of the old means is kept; of 'softmax'. That for patches is of hidden ones.
          mask_share: part of the batch's large views of which something is hidden.
          mask_ratio: then, the range of the part that is hidden, in blocks (`masking.block_patches`).
          patch_weight: weight of the patches' loss.
          koleo_weight: weight of KoLeo, which is added up over the two large views. 0 leaves it out.
          momentum: the teacher's at the first step; it rises to 1 along a cosine.
          steps: of the whole run.
          rngs: source of the parameters.

        Raises:
          ValueError: the backbone is no ViT with a class token, or a setting is out of range.
        """
        check_class_token("DINOv2", backbone)
        settings.positive(patch_weight=patch_weight)
        settings.share(mask_share=mask_share)
        settings.at_least(0, koleo_weight=koleo_weight)
        settings.at_least(1, head_hidden=head_hidden, head_bottleneck=head_bottleneck)
        patch_count = prototypes if patch_prototypes is None else patch_prototypes
        settings.at_least(2, prototypes=prototypes, patch_prototypes=patch_count)
        settings.one_of("centering", centering, ("sinkhorn", "softmax"))
        self.teaching = Teaching(
            student_temperature=student_temperature,
            teacher_temperature=teacher_temperature,
            warmup_teacher_temperature=warmup_teacher_temperature,
            warmup_teacher_steps=warmup_teacher_steps,
            center_momentum=center_momentum,
            momentum=momentum,
            steps=steps,
        )
        self.most_hidden = most_hidden(backbone.num_patches, mask_ratio)
        self.backbone, self.view, self.centering = backbone, view, centering
        self.mask_share, self.mask_ratio = mask_share, mask_ratio
        self.patch_weight, self.koleo_weight = patch_weight, koleo_weight

        def head(count):
            sizes = dict(hidden=head_hidden, bottleneck=head_bottleneck, prototypes=count, dtype=backbone.dtype)
            return heads.DINOHead(backbone.features, learn_gains=True, rngs=rngs, **sizes)

        self.head = head(prototypes)
        self.patch_head = nnx.data(None) if patch_prototypes is None else head(patch_prototypes)
        self.mask_token = nnx.Param(jnp.zeros((backbone.features,), jnp.float32))
        self.target_backbone, self.target_head = teacher_of(self.backbone), teacher_of(self.head)
        self.target_patch_head = teacher_of(self.patch_head)
        self.center, self.patch_center = targets.center(prototypes), targets.center(patch_count)
        self.done = targets.step_count()

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Views as in DINO, and what is hidden of the large ones.

        Returns:
          'image' [B, 2, S, S, C], 'local' [B, L, s, s, C], 'hidden' bool [B, 2, N], and, of the hidden patches,
          'places' int32 [B, 2, M] and 'counted' float32 [B, 2, M], 0 where fewer are hidden.
        """
        view_key, ratio_key, mask_key = jax.random.split(key, 3)
        views = augment.multi_crop(self.view, view_key, batch)
        shape, (low, high) = views["image"].shape[:2], self.mask_ratio
        ratios = masking.spread_ratios(ratio_key, shape[0] * shape[1], share=self.mask_share, low=low, high=high)
        counts = jnp.floor(ratios * self.backbone.num_patches).reshape(shape)
        draw = lambda key, count: masking.block_patches(key, self.backbone.grid, count)
        return views | hide_patches(draw, mask_key, counts, self.most_hidden)

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The three losses, added up."""
        keys, flat = jax.random.split(key), lambda x: x.reshape(-1, *x.shape[2:])
        # 1. The teacher sees all of the large views.
        teacher, teacher_patches = augment.each_view(self._teacher, views["image"], views["places"])
        # 2. The student does not see what is hidden of them; it sees all of the small ones.
        classes, student_patches = augment.each_view(
            lambda *x: self._student(*x, train, keys[0]), views["image"], views["hidden"], views["places"]
        )
        student = augment.each_view(self.head, classes)
        if "local" in views:
            small = lambda x: self.head(self.backbone.tokens(x, train=train, key=keys[1])[0])
            student = jnp.concatenate([student, augment.each_view(small, views["local"])], axis=1)
        # 3. Class tokens predict those of other views, patches those of the same view; class tokens keep apart.
        balance = self.centering == "sinkhorn"
        shared = dict(centering=self.centering, **self.teaching.temperatures(self.done))
        class_loss = losses.dino(student, teacher, None if balance else self.center[...], **shared)
        student_patches, teacher_patches, counted = map(flat, (student_patches, teacher_patches, views["counted"]))
        patch_center = None if balance else self.patch_center[...]
        patch_loss = losses.ibot(student_patches, teacher_patches, counted, patch_center, **shared)
        metrics = {"class_loss": class_loss, "patch_loss": patch_loss}
        loss = class_loss + self.patch_weight * patch_loss
        if self.koleo_weight > 0:
            metrics["koleo_loss"] = losses.koleo(classes[:, 0]) + losses.koleo(classes[:, 1])
            loss += self.koleo_weight * metrics["koleo_loss"]
        # 4. The centres move.
        if train and not balance:
            self.teaching.move(self.center, teacher)
            self.teaching.move(self.patch_center, teacher_patches, weights=counted)
        return loss, metrics

    def _student(self, images, hidden, places, train, key):
        """Class tokens [B, F], and logits of the patches at `places`, [B, M, K]."""
        classes, patches = self.backbone.tokens(
            images, hidden=hidden, mask_token=self.mask_token[...], train=train, key=key
        )
        head = self.head if self.patch_head is None else self.patch_head
        return classes, head(take_patches(patches, places))

    def _teacher(self, images, places):
        """Logits of the class token, [B, K], and of the patches at `places`, [B, M, K]."""
        classes, patches = self.target_backbone.tokens(images)
        head = self.target_head if self.target_patch_head is None else self.target_patch_head
        return self.target_head(classes), head(take_patches(patches, places))

    def follow(self, step: jax.Array) -> None:
        """The teacher follows after step `step` (counted from 0)."""
        self.teaching.follow(self, step)

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """The class token of the teacher's backbone, of images as they are: [B, F]."""
        return self.target_backbone(jax.vmap(self.view.evaluate)(inputs))

    def project(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """The teacher's points on the sphere, of which logits are a linear function, of images as they are: [B, P]."""
        return self.target_head.sphere(self.embed(inputs))

    def assign(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """The teacher's probabilities of the prototypes for class tokens, sharpened, centred by 'softmax': [B, K].

        Not balanced where `centering` is 'sinkhorn', which would hide a prototype that takes all.
        """
        return self.teaching.assign(self.target_head(self.embed(inputs)), self.center, self.done)
