"""Attentive probe: Chen et al. 2022, Context Autoencoder for Self-Supervised Representation Learning, arXiv:2202.03026.

A classifier on a network that stays as it is: what `config.init_from` names, or a random one.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from ssl_jax import augment
from ssl_jax.models import settings
from ssl_jax.models.heads import AttentionPool
from ssl_jax.models.pooling import share_right
from ssl_jax.models.requirements import check_patches
from ssl_jax.models.teaching import teacher_of


class AttentiveProbe(nnx.Module):
    """A learnt query that attends to all states of a frozen ViT, and a linear classifier on what it finds.

    The pooling is `AttentionPool`, of one query and an MLP. Those of papers are other ones: CAE's normalises queries,
    keys and values and has no MLP; CAPI's (Darcet et al. 2025) is the query and one layer of keys and values alone;
    V-JEPA's (Bardes et al. 2024, arXiv:2404.08471) normalises the states first and adds the query to what is found.
    """

    reads = ("image", "clip")
    learns_labels = True
    collapse_causes = "the learning rate is too high, or all labels are alike"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        heads: int = 12,
        mlp_dim: int | None = None,
        label_smoothing: float = 0.0,
        num_classes: int,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: a ViT, rotary or not; it is not trained, and never drops.
          view: draws one view of one image (`augment.VIEWS`).
          heads: of the pooling.
          mlp_dim: hidden features of the pooling's MLP; None: 4 times the width of the backbone.
          label_smoothing: share of the target that is spread over all classes.
          num_classes: of the data.
          rngs: source of the parameters; the classifier's weights begin normal with deviation 0.01.

        Raises:
          ValueError: the backbone is no ViT, its width does not split into such heads, a smoothing not in [0, 1), or
            fewer than two classes.
        """
        check_patches("AttentiveProbe", backbone, "num_patches")
        settings.probability(label_smoothing=label_smoothing)
        settings.at_least(2, num_classes=num_classes)
        self.view, self.label_smoothing = view, label_smoothing
        self.backbone, width = teacher_of(backbone), backbone.features
        hidden = 4 * width if mlp_dim is None else mlp_dim
        self.pool = AttentionPool(width, heads=heads, mlp_dim=hidden, dtype=backbone.dtype, rngs=rngs)
        self.classifier = nnx.Linear(width, num_classes, kernel_init=nnx.initializers.normal(0.01), rngs=rngs)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """One view of each image, and its label: {'image': float32 [B, S, S, C], 'label': int32 [B]}."""
        return {"image": augment.per_example(self.view.train, key, batch), "label": batch["label"]}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The mean cross entropy in nats, and `accuracy`."""
        del key, train  # nothing is drawn or dropped
        logits = self.classifier(self._pooled(views["image"]).astype(jnp.float32))
        wanted = jax.nn.one_hot(views["label"], self.classifier.out_features)
        losses = optax.softmax_cross_entropy(logits, optax.smooth_labels(wanted, self.label_smoothing))
        return jnp.mean(losses), {"accuracy": share_right(logits, views["label"])}

    def _pooled(self, images):
        token, patches = self.backbone.tokens(images)
        states = patches if token is None else jnp.concatenate([token[:, None], patches], axis=1)
        return self.pool(jax.lax.stop_gradient(states))

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """What the pooling gives, before the classifier, of images as they are: [B, F]."""
        return self._pooled(jax.vmap(self.view.evaluate)(inputs))
