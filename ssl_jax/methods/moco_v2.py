"""MoCo v2: Chen et al. 2020, Improved Baselines with Momentum Contrastive Learning, arXiv:2003.04297."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.losses.rows import unit_length
from ssl_jax.models import groups, heads, queues, settings, targets


class MoCoV2(nnx.Module):
    """Queries find their keys, from a slowly following encoder, among a queue of earlier keys (MoCo, algorithm 1).

    MoCo is He et al. 2019, arXiv:1911.05722; version 2 adds the MLP head, stronger views and a cosine schedule.
    """

    collapse_causes = (
        "the target's momentum is far too low, the queue is too short, or queries and keys share batch statistics"
    )

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        momentum: float = 0.999,
        temperature: float = 0.2,
        queue_size: int = 65536,
        projector_layers: int = 2,
        projector_hidden: int | None = None,
        projector_out: int = 128,
        symmetric: bool = False,
        statistics_groups: int = 1,
        batch_size: int,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: images [B, H, W, C] -> features [B, F]; has `features` = F.
          view: draws views of one image (`augment.VIEWS`); the first of a pair is the query, the second the key.
          momentum: m of the target encoder (MoCo, equation 2); it stays.
          temperature: what similarities are divided by.
          queue_size: number of earlier keys, the negatives.
          projector_layers: linear layers of the head; 1 is the head of MoCo v1 and of the official code for CIFAR-10.
          projector_hidden: width of the head's hidden layer, None for F (the official code's choice).
          projector_out: width of the space in which views are compared.
          symmetric: both views are queries once; the two losses are added and both views' keys enter the queue, as in
            the official code for CIFAR-10. The paper's loss is of one direction.
          statistics_groups: batch statistics are those of so many parts of a batch, and keys are shuffled between the
            parts, so that a query and its key are normalised with different images ("shuffling BN", MoCo section 3.3).
            8 is the official code on 8 GPUs. 1 takes the whole batch on any number of devices, where shuffling would
            change nothing; so does the official code for CIFAR-10 with `--bn-splits 1`.
          batch_size: of the run.
          rngs: source of the parameters and of the first queue.

        Raises:
          ValueError: a momentum not in [0, 1), a temperature that is not positive, a width below 1, a queue shorter
            than what enters it at a step, or groups that do not divide the batch.
        """
        settings.probability(momentum=momentum)
        settings.positive(temperature=temperature)
        settings.at_least(batch_size * (2 if symmetric else 1), queue_size=queue_size)
        if statistics_groups < 1 or batch_size % statistics_groups:
            raise ValueError(f"statistics_groups {statistics_groups} does not divide the batch of {batch_size}")
        hidden = backbone.features if projector_hidden is None else projector_hidden
        settings.at_least(1, projector_layers=projector_layers, projector_hidden=hidden, projector_out=projector_out)
        self.backbone, self.view, self.momentum, self.temperature = backbone, view, momentum, temperature
        self.symmetric, self.statistics_groups = symmetric, statistics_groups
        sizes = dict(layers=projector_layers, hidden=hidden, out=projector_out)
        self.projector = heads.Projector(backbone.features, **sizes, batch_norm=False, last_batch_norm=False, rngs=rngs)
        self.target_backbone = targets.target_copy(self.backbone)
        self.target_projector = targets.target_copy(self.projector)
        self.queue = queues.random_queue(queue_size, projector_out, rngs=rngs)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Two views of each image: {'image': float32 [B, 2, S, S, C]}."""
        return {"image": augment.two_views(self.view, key, batch)}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Equation 1 of MoCo, against the queue as earlier batches left it; in training, the keys enter it then."""
        there, back = jax.random.split(key)
        loss, keys = self._one_way(views["image"][:, 0], views["image"][:, 1], there, train)
        if self.symmetric:
            other, other_keys = self._one_way(views["image"][:, 1], views["image"][:, 0], back, train)
            loss, keys = loss + other, jnp.concatenate([other_keys, keys])  # those of the first view come first
        if train:
            self.queue[...] = losses.update_queue(self.queue[...], keys)
        return loss, {}

    def _one_way(self, query_images, key_images, key, train):
        """The loss of one direction, and the keys [B, P]."""
        query_key, target_key, shuffle_key = jax.random.split(key, 3)
        queries = self.projector(self._features(self.backbone, query_images, query_key, train))
        if train and self.statistics_groups > 1:
            order = jax.random.permutation(shuffle_key, len(key_images))
            keys = self._keys(key_images[order], target_key, train)[jnp.argsort(order)]
        else:
            keys = self._keys(key_images, target_key, train)
        return losses.moco(queries, keys, self.queue[...], temperature=self.temperature), keys

    def _keys(self, images, key, train):
        return unit_length(self.target_projector(self._features(self.target_backbone, images, key, train)))

    def _features(self, backbone, images, key, train):
        if not train:
            return backbone(images)
        call = lambda module, rows, k: module(rows, train=True, key=k)
        return groups.in_groups(call, backbone, images, key, self.statistics_groups)

    def follow(self, step: jax.Array) -> None:
        """The target follows after each step (MoCo, equation 2), which the official code does before the next one."""
        targets.follow_all(self, self.momentum)

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of the backbone of images as they are: [B, F]."""
        return self.backbone(jax.vmap(self.view.evaluate)(inputs))

    def project(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """What the loss compares, of images as they are, for the diagnosis of collapse: [B, P]."""
        return self.projector(self.embed(inputs))
