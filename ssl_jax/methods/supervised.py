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

    reads = ("image", "clip")
    learns_labels = True
    collapse_causes = "the learning rate is too high, or all labels are alike"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        label_smoothing: float = 0.0,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        num_classes: int,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: images [B, H, W, C] -> features [B, F]; has `features` = F.
          view: draws one view of one image (`augment.VIEWS`).
          label_smoothing: share of the target that is spread over all classes (Szegedy et al. 2016, arXiv:1512.00567,
            section 7).
          mixup: alpha of mixup (Zhang et al. 2018, arXiv:1710.09412), 0: none. Training alone mixes; where `cutmix` is
            on as well, each row is mixed by one of the two, as a fair coin says (`augment.mix_batch`).
          cutmix: alpha of CutMix (Yun et al. 2019, arXiv:1905.04899), 0: none.
          num_classes: of the data.
          rngs: source of the parameters; the classifier's weights begin normal with deviation 0.01 (Goyal et al. 2017,
            section 5.1).

        Raises:
          ValueError: a smoothing not in [0, 1), an alpha below 0, or fewer than two classes.
        """
        settings.probability(label_smoothing=label_smoothing)
        settings.at_least(0, mixup=mixup, cutmix=cutmix)
        settings.at_least(2, num_classes=num_classes)
        self.backbone, self.view, self.label_smoothing = backbone, view, label_smoothing
        self.mixup, self.cutmix = mixup, cutmix
        start = nnx.initializers.normal(0.01)
        self.classifier = nnx.Linear(backbone.features, num_classes, kernel_init=start, rngs=rngs)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """One view of each image, and its label: {'image': float32 [B, S, S, C], 'label': int32 [B]}."""
        return {"image": augment.per_example(self.view.train, key, batch), "label": batch["label"]}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The mean cross entropy in nats, of mixed images with mixed targets where mixing is on and `train` is true.

        `accuracy` is of the images that the loss sees, the class with the largest target being the right one.
        """
        images, classes = views["image"], self.classifier.out_features
        wanted = optax.smooth_labels(jax.nn.one_hot(views["label"], classes), self.label_smoothing)
        if train and (self.mixup or self.cutmix):
            mix_key, key = jax.random.split(key)
            alphas = dict(mixup_alpha=self.mixup, cutmix_alpha=self.cutmix)
            images, wanted = augment.mix_batch(mix_key, images, wanted, **alphas)
        features = self.backbone(images, train=train, key=key)
        logits = self.classifier(features.astype(jnp.float32))
        accuracy = jnp.mean(logits.argmax(1) == wanted.argmax(1))
        return jnp.mean(optax.softmax_cross_entropy(logits, wanted)), {"accuracy": accuracy}

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of the backbone, before the classifier, of images as they are: [B, F]."""
        return self.backbone(jax.vmap(self.view.evaluate)(inputs))
