"""The supervised baseline: a classifier trained through the same step, views and evaluations as all methods."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from ssl_jax import augment
from ssl_jax.models import settings


class Supervised(nnx.Module):
    """Backbone and linear classifier, and cross entropy with the labels, as in Goyal et al. 2017, arXiv:1706.02677."""

    learns_labels = True
    collapse_causes = "the learning rate is too high, or all labels are alike"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        label_smoothing: float = 0.0,
        num_classes: int,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: images [B, H, W, C] -> features [B, F]; has `features` = F.
          view: draws one view of one image (`augment.VIEWS`).
          label_smoothing: share of the target that is spread over all classes (Szegedy et al. 2016, arXiv:1512.00567,
            section 7).
          num_classes: of the data.
          rngs: source of the parameters; the classifier's weights begin normal with deviation 0.01 (Goyal et al. 2017,
            section 5.1).

        Raises:
          ValueError: a smoothing outside of 0 to 1, or fewer than two classes.
        """
        settings.probability(label_smoothing=label_smoothing)
        settings.at_least(2, num_classes=num_classes)
        self.backbone, self.view, self.label_smoothing = backbone, view, label_smoothing
        start = nnx.initializers.normal(0.01)
        self.classifier = nnx.Linear(backbone.features, num_classes, kernel_init=start, rngs=rngs)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """One view of each image, and its label: {'image': float32 [B, S, S, C], 'label': int32 [B]}."""
        return {"image": augment.per_example(self.view.train, key, batch), "label": batch["label"]}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The mean cross entropy in nats; `accuracy` is of the training views."""
        features = self.backbone(views["image"], train=train, key=key)
        logits = self.classifier(features.astype(jnp.float32))
        wanted = optax.smooth_labels(jax.nn.one_hot(views["label"], logits.shape[1]), self.label_smoothing)
        accuracy = jnp.mean(logits.argmax(1) == views["label"])
        return jnp.mean(optax.softmax_cross_entropy(logits, wanted)), {"accuracy": accuracy}

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of the backbone, before the classifier, of images as they are: [B, F]."""
        return self.backbone(jax.vmap(self.view.evaluate)(inputs))
