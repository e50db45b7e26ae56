"""MAE: He et al. 2021, Masked Autoencoders Are Scalable Vision Learners, arXiv:2111.06377."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses, masking
from ssl_jax.models import heads, settings
from ssl_jax.models.hiding import paint
from ssl_jax.models.patches import take_patches
from ssl_jax.models.requirements import check_any_patches, check_patches
from ssl_jax.models.transformer import how_it_runs


class MAE(nnx.Module):
    """A ViT that sees the visible patches only, and a light decoder that paints the hidden ones."""

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        mask_ratio: float = 0.75,
        normalize_targets: bool = True,
        decoder_width: int = 512,
        decoder_depth: int = 8,
        decoder_heads: int = 16,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: a ViT.
          view: draws one view of one image (`augment.VIEWS`).
          mask_ratio: share of the patches that is hidden.
          normalize_targets: whether each patch is normalised by its own mean and variance before it is predicted.
          decoder_width: width of the decoder's tokens.
          decoder_depth: its number of blocks.
          decoder_heads: its number of attention heads.
          rngs: source of the parameters.

        Raises:
          ValueError: the backbone is no ViT, or no patch would be hidden or visible.
        """
        check_patches("MAE", backbone)
        check_any_patches("MAE", backbone)
        count = backbone.num_patches
        if not 0 < mask_ratio < 1 or masking.count_visible(count, mask_ratio) == count:
            raise ValueError(f"mask_ratio {mask_ratio} leaves nothing to see or to predict of {count} patches")
        self.backbone, self.view = backbone, view
        self.mask_ratio, self.normalize_targets = mask_ratio, normalize_targets
        form = dict(grid=backbone.grid, patch_dim=backbone.patch_dim, class_token=backbone.class_token is not None)
        sizes = dict(width=decoder_width, depth=decoder_depth, heads=decoder_heads)
        with settings.called_after("decoder", "width", "depth", "heads"):
            self.decoder = heads.MAEDecoder(backbone.features, **form, **sizes, **how_it_runs(backbone), rngs=rngs)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """One view of each image, and which of its patches are hidden (`masking.random_patches`)."""
        view_key, mask_key = jax.random.split(key)
        image = augment.per_example(self.view.train, view_key, batch)
        return {"image": image, **self._masks(mask_key, len(image))}

    def _masks(self, key: jax.Array, count: int) -> dict[str, jax.Array]:
        draw = lambda k, _: masking.random_patches(k, self.backbone.num_patches, ratio=self.mask_ratio)
        return augment.per_example(draw, key, jnp.arange(count))

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Mean squared error on the hidden patches (section 3)."""
        predicted = self.predict(views, key, train=train)
        targets = self.backbone.patchify(views["image"])
        loss = losses.masked_patches(predicted, targets, views["mask"], normalize_targets=self.normalize_targets)
        return loss, {}

    def predict(self, views: dict[str, jax.Array], key: jax.Array, *, train: bool) -> jax.Array:
        """Predicted pixels of every patch, in the computation dtype: [B, N, P]."""
        patches = self.backbone.embed_patches(views["image"])
        visible = take_patches(patches, views["visible"])
        latent = self.backbone.encode(visible, train=train, key=key)
        return self.decoder(latent, views["restore"])

    def reconstruct(self, batch: dict[str, jax.Array], key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """For looking at: the images, the same with hidden patches grey, and with hidden patches as predicted.

        Where targets are normalised, the true mean and variance of a patch give its prediction a scale.

        Returns:
          Three float32 [B, S, S, C], in the view's normalised units.
        """
        image = jax.vmap(self.view.evaluate)(batch)
        views = {"image": image, **self._masks(key, len(image))}
        patches, predicted = self.backbone.patchify(image), self.predict(views, key, train=False)
        if self.normalize_targets:
            mean = patches.mean(-1, keepdims=True)
            predicted = predicted * jnp.sqrt(patches.var(-1, keepdims=True, ddof=1) + 1e-6) + mean
        return paint(self.backbone, image, views["mask"], predicted)

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of whole images (nothing hidden), pooled as the ViT pools: [B, F]."""
        return self.backbone(jax.vmap(self.view.evaluate)(inputs))
