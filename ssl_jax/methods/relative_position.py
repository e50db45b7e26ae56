"""Context prediction: Doersch et al. 2015, Unsupervised Visual Representation Learning by Context Prediction,
arXiv:1505.05192."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.models import settings
from ssl_jax.models.pooling import share_right
from ssl_jax.models.requirements import check_any_patches


class RelativePosition(nnx.Module):
    """Tells on which of eight sides of a patch of an image another one lies, both through one network (section 3).

    Between both there is a gap, and each is shifted a little. Against chromatic aberration the paper keeps one colour
    of each patch, or turns green and magenta towards grey: take grey views (`config.views.grayscale`) of photographs.
    """

    collapse_causes = "the learning rate is too high, or patches are so small that nothing is to be seen in them"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        crop_size: int = 96,
        gap: int | None = None,
        jitter: int | None = None,
        pairs: int = 1,
        hidden: int = 4096,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: patches [B, crop_size, crop_size, C] -> features [B, F]; has `features` = F. A vit's `image_size` is
            that of whole images, which it embeds; positions of patches are resized.
          view: draws one view of one image (`augment.VIEWS`), from which both are cut.
          crop_size: height and width of a patch in pixels.
          gap: pixels between both before they are shifted; None: half a patch.
          jitter: each is shifted by at most so many pixels each way; None: 7 for patches of 96.
          pairs: R, drawn of each image.
          hidden: width of the two layers that see both (the paper's fc7 and fc8).
          rngs: source of the parameters.

        Raises:
          ValueError: two such patches do not fit into the view, or a setting is out of range.
        """
        settings.divisible("crop_size", crop_size, "model.patch_size", getattr(backbone, "patch_size", 1))
        settings.at_least(1, crop_size=crop_size, pairs=pairs, hidden=hidden)
        settings.at_least(0, gap=0 if gap is None else gap)
        check_any_patches("relative_position", backbone)
        self.backbone, self.view, self.pairs = backbone, view, pairs
        self.sizes, self.crop_size = dict(patch_size=crop_size, gap=gap, jitter=jitter), crop_size
        augment.draw_patch_pair(jax.random.key(0), view.shape[:2], **self.sizes)  # so that what cannot fit is refused
        self.first = nnx.Linear(2 * backbone.features, hidden, rngs=rngs)
        self.second = nnx.Linear(hidden, hidden, rngs=rngs)
        self.classifier = nnx.Linear(hidden, 8, rngs=rngs)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Pairs of patches, 'image' [B, R, 2, s, s, C], and where the second one lies, 'position' int32 [B, R]."""
        patches, position = augment.per_example(self._pairs, key, batch)
        return {"image": patches, "position": position}

    def _pairs(self, key, example):
        view_key, pair_key = jax.random.split(key)
        image = self.view.train(view_key, example)

        def one(key):
            pair = augment.draw_patch_pair(key, image.shape[:2], **self.sizes)
            return augment.patch_pair(image, pair, patch_size=self.crop_size), pair.position

        return jax.vmap(one)(jax.random.split(pair_key, self.pairs))

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Cross entropy of the side, and the share of pairs that are told right."""
        see = lambda patches: self.backbone(patches, train=train, key=key)
        features = augment.each_view(lambda pair: augment.each_view(see, pair), views["image"]).astype(jnp.float32)
        both = features.reshape(*features.shape[:2], -1)
        logits = self.classifier(jax.nn.relu(self.second(jax.nn.relu(self.first(both)))))
        right = share_right(logits, views["position"])
        return losses.relative_position(logits, views["position"]), {"position_accuracy": right}

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of the backbone of whole images as they are: [B, F]."""
        return self.backbone(jax.vmap(self.view.evaluate)(inputs))
