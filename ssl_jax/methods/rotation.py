"""RotNet: Gidaris et al. 2018, Unsupervised Representation Learning by Predicting Image Rotations, arXiv:1803.07728."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.models.pooling import share_right


class Rotation(nnx.Module):
    """Tells by how many quarter turns an image was turned; a batch holds all four copies of each (section 3)."""

    collapse_causes = "the learning rate is too high, or objects have no upright position in these pictures"

    def __init__(self, backbone: nnx.Module, view: Any, *, rngs: nnx.Rngs):
        """
        Args:
          backbone: images [B, S, S, C] -> features [B, F]; has `features` = F.
          view: draws one view of one image (`augment.VIEWS`).
          rngs: source of the parameters.

        Raises:
          ValueError: views are not square.
        """
        if view.shape[0] != view.shape[1]:
            raise ValueError(f"rotation turns views by 90 degrees, so they must be square, not {view.shape[:2]}")
        self.backbone, self.view = backbone, view
        self.classifier = nnx.Linear(backbone.features, 4, rngs=rngs)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """One view of each image, turned in four ways: 'image' [B, 4, S, S, C], 'turns' int32 [B, 4]."""
        images, turns = jax.vmap(augment.quarter_turns)(augment.per_example(self.view.train, key, batch))
        return {"image": images, "turns": turns}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Equations 2 and 3, and the share of copies that are told right."""
        tell = lambda images: self.classifier(self.backbone(images, train=train, key=key).astype(jnp.float32))
        logits = augment.each_view(tell, views["image"])
        return losses.rotation(logits, views["turns"]), {"rotation_accuracy": share_right(logits, views["turns"])}

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of the backbone of images as they are: [B, F]."""
        return self.backbone(jax.vmap(self.view.evaluate)(inputs))
