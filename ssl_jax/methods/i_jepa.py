"""I-JEPA: Assran et al. 2023, Self-Supervised Learning from Images with a Joint-Embedding Predictive Architecture,
arXiv:2301.08243."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses, masking
from ssl_jax.models import heads, settings, targets
from ssl_jax.models.pooling import target_metrics
from ssl_jax.models.requirements import check_any_patches, check_no_class_token
from ssl_jax.models.teaching import teacher_of


class IJEPA(nnx.Module):
    """From a large block of an image, predicts what a slowly following encoder makes of smaller blocks (section 3)."""

    evaluated = "target_backbone"
    collapse_causes = "momentum is too low, the learning rate too high, or the target blocks are too small"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        targets_per_image: int = 4,
        target_scale: tuple[float, float] = (0.15, 0.2),
        target_aspect: tuple[float, float] = (0.75, 1.5),
        context_scale: tuple[float, float] = (0.85, 1.0),
        context_share: float = 0.27,
        least_visible: int = 11,
        predictor_width: int = 384,
        predictor_depth: int = 6,
        predictor_heads: int = 12,
        momentum: float = 0.996,
        normalize_targets: bool = True,
        beta: float = 1.0,
        steps: int,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: a ViT without a class token.
          view: draws one view of one image (`augment.VIEWS`); a crop, and no colour.
          targets_per_image: target blocks of an image.
          target_scale, target_aspect, context_scale: sizes of blocks (`masking.multi_block`).
          context_share: at most this share of all patches is seen; of more, some are left out. The blocks leave 43 % on
            average of 16 x 16 patches, of which the official code keeps as many as there are in that image of a
            device's batch (128 images) that has fewest: some 27 %.
          least_visible: a context of fewer patches is drawn again.
          predictor_width, predictor_depth, predictor_heads: of the predictor (appendix A.1: 384 wide, 6 blocks for
            ViT-B, 12 for larger ones; as many heads as the backbone).
          momentum: the target encoder's at the first step; it rises to 1 along a line.
          normalize_targets, beta: of the loss (`losses.i_jepa`); the defaults are the official code's.
          steps: of the whole run.
          rngs: source of the parameters.

        Raises:
          ValueError: the backbone is no ViT or has a class token, or a setting is out of range.
        """
        check_no_class_token("I-JEPA", backbone)
        check_any_patches("I-JEPA", backbone)
        settings.share(context_share=context_share)
        settings.at_least(0, beta=beta)
        settings.probability(momentum=momentum)
        self.backbone, self.view = backbone, view
        most_visible = max(int(backbone.num_patches * context_share), 1)
        if least_visible > most_visible:
            of = f"of {backbone.num_patches} patches are {most_visible}, fewer than least_visible {least_visible}"
            raise ValueError(f"context_share {context_share} {of}; lower that, or raise the share")
        visible = dict(most_visible=most_visible, least_visible=least_visible)
        sizes = dict(target_scale=target_scale, target_aspect=target_aspect, context_scale=context_scale)
        self.blocks = dict(targets=targets_per_image, **visible, **sizes)
        with settings.called(targets="targets_per_image"):
            jax.eval_shape(self._blocks, jax.random.key(0))  # so that impossible sizes are refused now
        self.normalize_targets, self.beta, self.momentum, self.steps = normalize_targets, beta, momentum, steps
        sizes = dict(width=predictor_width, depth=predictor_depth, heads=predictor_heads)
        self.predictor = heads.predictor_beside(backbone, **sizes, rngs=rngs)
        self.target_backbone = teacher_of(backbone)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """One view of each image; of `masking.multi_block` 'visible', 'seen', 'targets' and 'counted'."""
        view_key, mask_key = jax.random.split(key)
        image = augment.per_example(self.view.train, view_key, batch)
        blocks = augment.per_example(lambda k, _: self._blocks(k), mask_key, image)
        return {"image": image, **blocks._asdict()}

    def _blocks(self, key):
        return masking.multi_block(key, self.backbone.grid, **self.blocks)

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The mean distance of all patches of all target blocks."""
        # 1. The target encoder sees the whole image.
        truths = jax.lax.stop_gradient(self.target_backbone.tokens(views["image"])[1])
        # 2. The encoder sees the context, and the predictor is told where each block is.
        embedded = self.backbone.embed_patches(views["image"])
        given = (self.backbone, self.predictor, embedded, truths, views)
        predicted, truths, counted = heads.predict_blocks(*given, train=train, key=key)
        if self.normalize_targets:
            truths = losses.average_layers([truths], normalize="layer")
        loss = losses.i_jepa(predicted, truths, counted, normalize_targets=False, beta=self.beta)
        return loss, target_metrics(predicted, truths, counted.astype(jnp.float32))

    def follow(self, step: jax.Array) -> None:
        """The target encoder follows after step `step` (counted from 0)."""
        targets.follow_all(self, targets.linear_ramp(step, self.steps, self.momentum, 1.0))

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Mean of the target encoder's states of all patches, of images as they are, as in section 5: [B, F]."""
        return self.target_backbone(jax.vmap(self.view.evaluate)(inputs))
