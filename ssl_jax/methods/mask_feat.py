"""MaskFeat: Wei et al. 2022, Masked Feature Prediction for Self-Supervised Visual Pre-Training, arXiv:2112.09133."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.models import settings
from ssl_jax.models.hiding import blocks_hidden, hidden_states, hide_blocks
from ssl_jax.models.patches import take_patches
from ssl_jax.models.pooling import target_metrics
from ssl_jax.models.requirements import check_patches


class MaskFeat(nnx.Module):
    """A ViT that sees a mask token in place of hidden blocks, and a linear layer that predicts their gradients' HOG."""

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        mask_ratio: float = 0.4,
        cell: int = 8,
        bins: int = 9,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: a ViT.
          view: draws one view of one image (`augment.VIEWS`).
          mask_ratio: share of the patches that is hidden, in blocks (`masking.exact_blocks`).
          cell: side of a cell of a histogram in pixels; patches are a multiple.
          bins: of orientations.
          rngs: source of the parameters.

        Raises:
          ValueError: the backbone is no ViT, sizes do not fit, or nothing would be hidden or visible.
        """
        check_patches("MaskFeat", backbone)
        settings.at_least(1, bins=bins)
        settings.divisible("model.patch_size", backbone.patch_size, "cell", cell)
        self.backbone, self.view, self.cell, self.bins = backbone, view, cell, bins
        self.count = blocks_hidden(backbone, mask_ratio)
        start, features = nnx.initializers.normal(0.02), backbone.features
        self.mask_token = nnx.Param(start(rngs.params(), (features,)))
        numbers = backbone.channels * bins * (backbone.patch_size // cell) ** 2
        make = dict(kernel_init=start, dtype=settings.computation_dtype(backbone.dtype), rngs=rngs)
        self.prediction = nnx.Linear(features, numbers, **make)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """One view of each image, and what of it is hidden (`models.hiding.hide_some`)."""
        view_key, mask_key = jax.random.split(key)
        smallest = max(self.count // 5, 1)  # as in the official code
        images = augment.per_example(self.view.train, view_key, batch)
        return hide_blocks(self.backbone, mask_key, images, self.count, min_block=smallest)

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Mean squared error of the hidden patches' histograms (section 3), and how it compares (`target_metrics`)."""
        predicted = self.prediction(hidden_states(self.backbone, views, self.mask_token[...], train=train, key=key))
        hog = losses.hog(views["image"], patch_size=self.backbone.patch_size, cell=self.cell, bins=self.bins)
        targets, all_count = take_patches(hog, views["places"]), jnp.ones(predicted.shape[:2])
        loss = losses.mask_feat(predicted, targets, all_count)
        return loss, {"target_skill": target_metrics(predicted, targets, all_count)["target_skill"]}

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of whole images (nothing hidden), pooled as the ViT pools: [B, F]."""
        return self.backbone(jax.vmap(self.view.evaluate)(inputs))
