"""SimMIM: Xie et al. 2022, SimMIM: A Simple Framework for Masked Image Modeling, arXiv:2111.09886."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses, masking
from ssl_jax.models import settings
from ssl_jax.models.hiding import hidden_states, hide_some, paint
from ssl_jax.models.initializers import torch_start
from ssl_jax.models.patches import take_patches
from ssl_jax.models.requirements import check_patches


class SimMIM(nnx.Module):
    """A ViT that sees a mask token in place of what is hidden, and one linear layer that predicts its pixels."""

    def __init__(
        self, backbone: nnx.Module, view: Any, *, mask_ratio: float = 0.6, mask_unit: int = 32, rngs: nnx.Rngs
    ):
        """
        Args:
          backbone: a ViT.
          view: draws one view of one image (`augment.VIEWS`).
          mask_ratio: share of the squares that is hidden.
          mask_unit: side of a square in pixels, a multiple of the patches' (section 3.2).
          rngs: source of the parameters.

        Raises:
          ValueError: the backbone is no ViT, the image is not made of such squares, or none or all would be hidden.
        """
        check_patches("SimMIM", backbone)
        settings.divisible("mask_unit", mask_unit, "model.patch_size", backbone.patch_size)
        self.unit = mask_unit // backbone.patch_size
        for side in backbone.grid:
            settings.divisible("model.image_size", side * backbone.patch_size, "mask_unit", mask_unit)
        with settings.called(ratio="mask_ratio", squares=f"squares of mask_unit {mask_unit}"):
            squares = masking.count_hidden_units(backbone.grid, mask_ratio, unit=self.unit)
        self.backbone, self.view = backbone, view
        self.mask_ratio, self.count = mask_ratio, squares * self.unit**2
        narrow = nnx.initializers.truncated_normal(0.02, lower=-1.0, upper=1.0)  # of the authors' ViT
        self.mask_token = nnx.Param(narrow(rngs.params(), (backbone.features,)))
        start = torch_start(backbone.features) | dict(dtype=settings.computation_dtype(backbone.dtype))
        self.prediction = nnx.Linear(backbone.features, backbone.patch_dim, **start, rngs=rngs)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """One view of each image, and what of it is hidden (`models.hiding.hide_some`)."""
        view_key, mask_key = jax.random.split(key)
        return self._hide(augment.per_example(self.view.train, view_key, batch), mask_key)

    def _hide(self, images, key):
        draw = lambda k: masking.unit_patches(k, self.backbone.grid, unit=self.unit, ratio=self.mask_ratio)
        return hide_some(draw, key, images, self.count)

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Mean absolute error of the hidden pixels (section 3.4)."""
        predicted = self.prediction(hidden_states(self.backbone, views, self.mask_token[...], train=train, key=key))
        targets = take_patches(self.backbone.patchify(views["image"]), views["places"])
        return losses.simmim(predicted, targets, jnp.ones(predicted.shape[:2])), {}

    def reconstruct(self, batch: dict[str, jax.Array], key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """For looking at: the images, the same with hidden patches grey, and with hidden patches as predicted.

        Returns:
          Three float32 [B, S, S, C], in the view's normalised units.
        """
        views = self._hide(jax.vmap(self.view.evaluate)(batch), key)
        mask = dict(hidden=views["hidden"], mask_token=self.mask_token[...])
        predicted = self.prediction(self.backbone.tokens(views["image"], **mask)[1]).astype(jnp.float32)
        return paint(self.backbone, views["image"], views["hidden"], predicted)

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of whole images (nothing hidden), pooled as the ViT pools: [B, F]."""
        return self.backbone(jax.vmap(self.view.evaluate)(inputs))
