"""V-JEPA: Bardes et al. 2024, Revisiting Feature Prediction for Learning Visual Representations from Video,
arXiv:2404.08471."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses, masking
from ssl_jax.models import heads, settings, targets
from ssl_jax.models.pooling import target_metrics
from ssl_jax.models.requirements import check_no_class_token
from ssl_jax.models.teaching import teacher_of


class VJEPA(nnx.Module):
    """From what two masks leave of a clip, predicts what a slowly following encoder makes of the rest (section 3).

    Both masks, of many small blocks and of few large ones, are hidden at all times of the clip (`masking.block_tubes`).
    """

    reads = ("clip",)
    evaluated = "target_backbone"
    collapse_causes = "momentum is too low, the learning rate too high, or too little of a clip is hidden"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        blocks: tuple[int, ...] = (8, 2),
        block_scales: tuple[float, ...] = (0.15, 0.7),
        block_aspect: tuple[float, float] = (0.75, 1.5),
        context_shares: tuple[float, ...] = (0.23, 0.065),
        predicted_shares: tuple[float, ...] = (0.475, 0.7),
        predictor_width: int = 384,
        predictor_depth: int = 12,
        predictor_heads: int = 12,
        momentum: float = 0.998,
        momentum_stretch: float = 1.25,
        steps: int,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: a ViT of clips without a class token.
          view: draws one view of one clip (`augment.VIEWS`).
          blocks: how many blocks each mask has: the short-range one, and the long-range one.
          block_scales: area of a block of each mask, relative to the image's.
          block_aspect: range of a block's height over its width.
          context_shares: of each mask, at most this share of an image's places is seen; of more, some are left out. The
            blocks leave 37 % and 19 % on average of 14 x 14 places, of which the official code keeps as many as there
            are in that clip of a device's batch (24 clips) that has fewest: some 23 % and 6 %.
          predicted_shares: likewise of what is predicted. The blocks hide 63 % and 81 %, of which the official code
            predicts some 47 % and 70 %.
          predictor_width, predictor_depth, predictor_heads: of the predictor (section 3.3 and appendix: 384 wide, 12
            blocks; in the official code as many heads as the encoder has).
          momentum: the target encoder's at the first step; it rises to 1 along a line.
          momentum_stretch: that line ends at this many times the run's length; the run then stops on its way (the
            official configs' `ipe_scale`).
          steps: of the whole run.
          rngs: source of the parameters.

        Raises:
          ValueError: the backbone is no such ViT, or a setting is out of range.
        """
        check_no_class_token("V-JEPA", backbone)
        of_masks = dict(block_scales=block_scales, context_shares=context_shares, predicted_shares=predicted_shares)
        for name, values in of_masks.items():
            if not len(blocks) == len(values) > 0:
                raise ValueError(f"{name} {tuple(values)} and blocks {tuple(blocks)} must be of as many masks")
            for value in values:
                settings.share(**{name: value})
        settings.at_least(1, momentum_stretch=momentum_stretch)
        settings.probability(momentum=momentum)
        self.backbone, self.view = backbone, view
        places = backbone.grid[1] * backbone.grid[2]
        count = lambda share: max(int(places * share), 1)
        self.masks = tuple(zip(blocks, block_scales, map(count, context_shares), map(count, predicted_shares)))
        self.aspect = tuple(block_aspect)
        with settings.called(scale="block_scales", aspect="block_aspect"):
            jax.eval_shape(self._draw, jax.random.key(0))  # so that impossible sizes are refused now
        self.momentum, self.momentum_end_step = momentum, int(momentum_stretch * steps)
        sizes = dict(width=predictor_width, depth=predictor_depth, heads=predictor_heads, kinds=len(blocks))
        self.predictor = heads.predictor_beside(backbone, **sizes, rngs=rngs)
        self.target_backbone = teacher_of(backbone)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """One view of each clip; of mask I 'visible_I', 'seen_I', 'targets_I' and 'counted_I' (`masking.Blocks`)."""
        view_key, mask_key = jax.random.split(key)
        clip = augment.per_example(self.view.train, view_key, batch)
        return {"image": clip, **augment.per_example(lambda k, _: self._draw(k), mask_key, clip)}

    def _draw(self, key):
        drawn = {}
        for kind, k in enumerate(jax.random.split(key, len(self.masks))):
            mask = dict(zip(("blocks", "scale", "most_visible", "most_hidden"), self.masks[kind]))
            found = masking.block_tubes(k, self.backbone.grid, aspect=self.aspect, **mask)
            drawn |= {f"{name}_{kind}": array for name, array in found._asdict().items()}
        return drawn

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The mean over masks of the mean distance of all patches that are predicted (equation 1)."""
        # 1. The target encoder sees the whole clip.
        states = jax.lax.stop_gradient(self.target_backbone.tokens(views["image"])[1])
        truths = losses.average_layers([states], normalize="layer")
        # 2. Of each mask, the encoder sees what is not hidden, and the predictor is told what is.
        embedded, found = self.backbone.embed_patches(views["image"]), []
        for kind, k in enumerate(jax.random.split(key, len(self.masks))):
            blocks = {name: views[f"{name}_{kind}"] for name in masking.Blocks._fields}
            given = (self.backbone, self.predictor, embedded, truths, blocks)
            found.append(heads.predict_blocks(*given, kind=kind, train=train, key=k))
        # 3. Masks count alike, whatever they hide.
        loss = jnp.mean(jnp.stack([losses.v_jepa(*of_mask, normalize_targets=False) for of_mask in found]))
        predicted, truths, counted = (jnp.concatenate(arrays, axis=1) for arrays in zip(*found))
        return loss, target_metrics(predicted, truths, counted.astype(jnp.float32))

    def follow(self, step: jax.Array) -> None:
        """The target encoder follows after step `step` (counted from 0)."""
        targets.follow_all(self, targets.linear_ramp(step, self.momentum_end_step, self.momentum, 1.0))

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Mean of the target encoder's states of all patches, of clips as they are: [B, F]."""
        return self.target_backbone(jax.vmap(self.view.evaluate)(inputs))
