"""iBOT: Zhou et al. 2022, iBOT: Image BERT Pre-Training with Online Tokenizer, arXiv:2111.07832."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses, masking
from ssl_jax.models import heads, settings, targets
from ssl_jax.models.hiding import hide_patches, most_hidden
from ssl_jax.models.patches import take_patches
from ssl_jax.models.requirements import check_class_token
from ssl_jax.models.teaching import Teaching, teacher_of


class IBOT(nnx.Module):
    """DINO on class tokens, and the same for each patch that is hidden from the student (section 3.1, algorithm 1)."""

    evaluated = "target_backbone"
    collapse_causes = (
        "the teacher's output is not sharpened (a teacher temperature too high), the centres move too slowly, or "
        "momentum is too low"
    )

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        prototypes: int = 8192,
        patch_prototypes: int | None = None,
        head_hidden: int = 2048,
        head_bottleneck: int = 256,
        learn_gains: bool = False,
        student_temperature: float = 0.1,
        teacher_temperature: float = 0.04,
        patch_temperature: float = 0.07,
        warmup_teacher_temperature: float = 0.04,
        warmup_teacher_steps: int = 0,
        mask_share: float = 0.5,
        mask_ratio: tuple[float, float] = (0.1, 0.5),
        patch_weight: float = 1.0,
        center_momentum: float = 0.9,
        momentum: float = 0.996,
        steps: int,
        rngs: nnx.Rngs,
    ):
        """
        Numbers that no section is named for are defaults of the official code. The last layer rests during the first
        epoch there: `config.optimizer.late` does that.

        Args:
          backbone: a ViT with a class token.
          view: draws two large views and `view.local_crops` small ones of one image ('dino' in `augment.VIEWS`).
          prototypes: K, what the head gives scores for.
          patch_prototypes: None shares the head between class tokens and patches, as the published models do; a number
            gives patches a last layer of their own with so many outputs, `patch_layer`, which `optimizer.late` should
            name too.
          head_hidden: width of the head's hidden layers.
          head_bottleneck: width of its layer before the prototypes.
          learn_gains: whether the lengths of the prototypes are trained (`heads.WeightNormLinear`).
          student_temperature: of the student.
          teacher_temperature: of the teacher's class tokens, after the warm-up.
          patch_temperature: of the teacher's patches, after the warm-up.
          warmup_teacher_temperature: of both at the first step of a warm-up; they rise along a line.
          warmup_teacher_steps: length of that warm-up; 0 for none. The official code raises them once an epoch.
          mask_share: probability that something is hidden of a large view.
          mask_ratio: then, the range of the part that is hidden, in blocks (`masking.block_patches`).
          patch_weight: weight of the patches' loss.
          center_momentum: how much of the old centres is kept.
          momentum: the teacher's at the first step; it rises to 1 along a cosine.
          steps: of the whole run.
          rngs: source of the parameters.

        Raises:
          ValueError: the backbone is no ViT with a class token, or a setting is out of range.
        """
        check_class_token("iBOT", backbone)
        settings.positive(patch_temperature=patch_temperature, patch_weight=patch_weight)
        settings.share(mask_share=mask_share)
        settings.at_least(1, head_hidden=head_hidden, head_bottleneck=head_bottleneck)
        patch_count = prototypes if patch_prototypes is None else patch_prototypes
        settings.at_least(2, prototypes=prototypes, patch_prototypes=patch_count)
        self.teaching = Teaching(
            student_temperature=student_temperature,
            teacher_temperature=teacher_temperature,
            warmup_teacher_temperature=warmup_teacher_temperature,
            warmup_teacher_steps=warmup_teacher_steps,
            center_momentum=center_momentum,
            momentum=momentum,
            steps=steps,
        )
        self.patch_teaching = dataclasses.replace(self.teaching, teacher_temperature=patch_temperature)
        self.most_hidden = most_hidden(backbone.num_patches, mask_ratio)
        self.backbone, self.view = backbone, view
        self.mask_share, self.mask_ratio, self.patch_weight = mask_share, mask_ratio, patch_weight
        shared = dict(learn_gains=learn_gains, dtype=backbone.dtype, rngs=rngs)
        self.head = heads.DINOHead(
            backbone.features, hidden=head_hidden, bottleneck=head_bottleneck, prototypes=prototypes, **shared
        )
        layer = lambda: heads.WeightNormLinear(head_bottleneck, patch_prototypes, **shared)
        self.patch_layer = nnx.data(None) if patch_prototypes is None else layer()
        self.mask_token = nnx.Param(jnp.zeros((backbone.features,), jnp.float32))
        self.target_backbone, self.target_head = teacher_of(self.backbone), teacher_of(self.head)
        self.target_patch_layer = teacher_of(self.patch_layer)
        self.center, self.patch_center = targets.center(prototypes), targets.center(patch_count)
        self.done = targets.step_count()

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Views as in DINO, and what is hidden of the large ones.

        Returns:
          'image' [B, 2, S, S, C], 'local' [B, L, s, s, C], 'hidden' bool [B, 2, N], and, of the hidden patches,
          'places' int32 [B, 2, M] and 'counted' float32 [B, 2, M], 0 where fewer are hidden.
        """
        view_key, mask_key = jax.random.split(key)
        views = augment.multi_crop(self.view, view_key, batch)
        return views | hide_patches(self._mask, mask_key, views["image"], self.most_hidden)

    def _mask(self, key, _):
        """Of one view, as in the official code's `loader.py`."""
        coin_key, ratio_key, block_key = jax.random.split(key, 3)
        ratio = jax.random.uniform(ratio_key, minval=self.mask_ratio[0], maxval=self.mask_ratio[1])
        ratio = jnp.where(jax.random.uniform(coin_key) < self.mask_share, ratio, 0.0)
        grid = self.backbone.grid
        smallest = max(1, min(grid) // 3) ** 2
        return masking.block_patches(block_key, grid, ratio * self.backbone.num_patches, min_block=smallest)

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Class tokens (equation 2, over all pairs of views) and hidden patches (equation 3)."""
        keys = jax.random.split(key)
        # 1. The teacher sees all of the large views.
        teacher, teacher_patches, average = augment.each_view(self._teacher, views["image"], views["places"])
        # 2. The student does not see what is hidden of them; it sees all of the small ones.
        student, student_patches = augment.each_view(
            lambda *x: self._student(*x, train, keys[0]), views["image"], views["hidden"], views["places"]
        )
        if "local" in views:
            small = lambda x: self.head(self.backbone.tokens(x, train=train, key=keys[1])[0])
            student = jnp.concatenate([student, augment.each_view(small, views["local"])], axis=1)
        # 3. Each predicts the teacher: classes those of other views, patches those of the same view.
        class_loss = losses.dino(
            student,
            teacher,
            self.center[...],
            **self.teaching.temperatures(self.done),
        )
        flat = lambda x: x.reshape(-1, *x.shape[2:])
        patch_loss = losses.ibot(
            flat(student_patches),
            flat(teacher_patches),
            flat(views["counted"]),
            self.patch_center[...],
            **self.patch_teaching.temperatures(self.done),
        )
        # 4. The centres move.
        if train:
            self.teaching.move(self.center, teacher)
            self.patch_teaching.move(self.patch_center, average)
        return class_loss + self.patch_weight * patch_loss, {"class_loss": class_loss, "patch_loss": patch_loss}

    def _student(self, images, hidden, places, train, key):
        """Logits of the class token, [B, K], and of the patches at `places`, [B, M, K]."""
        classes, patches = self.backbone.tokens(
            images, hidden=hidden, mask_token=self.mask_token[...], train=train, key=key
        )
        layer = self.head.last_layer if self.patch_layer is None else self.patch_layer
        return self.head(classes), layer(self.head.sphere(take_patches(patches, places)))

    def _teacher(self, images, places):
        """As for the student, and the mean logits of all patches, [B, K]: those of the mean, as the layer is linear."""
        classes, patches = self.target_backbone.tokens(images)
        patches = self.target_head.sphere(patches)
        layer = self.target_head.last_layer if self.target_patch_layer is None else self.target_patch_layer
        return self.target_head(classes), layer(take_patches(patches, places)), layer(patches.mean(1))

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
        """The teacher's probabilities of the prototypes for class tokens, centred and sharpened: [B, K]."""
        return self.teaching.assign(self.target_head(self.embed(inputs)), self.center, self.done)
