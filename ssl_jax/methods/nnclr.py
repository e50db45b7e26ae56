"""NNCLR: Dwibedi et al. 2021, With a Little Help from My Friends, arXiv:2104.14548."""

from typing import Any

import jax
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.losses.rows import unit_length
from ssl_jax.models import heads, normalize_apart, queues, settings


class NNCLR(nnx.Module):
    """The positive of a view is the nearest neighbour, among earlier examples, of the other view (equation 3).

    Only the first views' projections enter the support set (algorithm 1), as in solo-learn; lightly's benchmark enters
    those of the second. As there, it begins with random directions. The projector's last normalisation has no offset,
    as in SimCLR; theirs has one.
    """

    least_batch = 2
    collapse_causes = "the support set is too short for the batch, or the learning rate too high"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        temperature: float = 0.1,
        queue_size: int = 98304,
        projector_layers: int = 3,
        projector_hidden: int = 2048,
        projector_out: int = 256,
        predictor_hidden: int = 4096,
        batch_size: int,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: images [B, H, W, C] -> features [B, F]; has `features` = F.
          view: draws views of one image (`augment.VIEWS`).
          temperature: tau of equation 3.
          queue_size: number of earlier examples among which neighbours are sought, the support set.
          projector_layers: every one is followed by batch normalisation; 3 in the paper.
          projector_hidden: width of the projector's hidden layers.
          projector_out: width of the space in which views are compared.
          predictor_hidden: width of the predictor's hidden layer; its last layer is not normalised.
          batch_size: of the run.
          rngs: source of the parameters and of the first support set.

        Raises:
          ValueError: a temperature that is not positive, a width or depth below 1, a support set shorter than a batch.
        """
        settings.positive(temperature=temperature)
        settings.at_least(batch_size, queue_size=queue_size)
        settings.at_least(
            1,
            projector_layers=projector_layers,
            projector_hidden=projector_hidden,
            projector_out=projector_out,
            predictor_hidden=predictor_hidden,
        )
        self.backbone, self.view, self.temperature = backbone, view, temperature
        sizes = dict(hidden=projector_hidden, out=projector_out, layers=projector_layers)
        self.projector = heads.Projector(backbone.features, **sizes, rngs=rngs)
        sizes = dict(hidden=predictor_hidden, out=projector_out, last_batch_norm=False)
        self.predictor = heads.Projector(projector_out, **sizes, rngs=rngs)
        self.queue = queues.random_queue(queue_size, projector_out, rngs=rngs)
        normalize_apart(self, views=2)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Two views of each image: {'image': float32 [B, 2, S, S, C]}."""
        return {"image": augment.two_views(self.view, key, batch)}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Equation 3, both ways, with neighbours among earlier batches; in training, the first views enter them then.

        Each view is normalised by itself, as each is a pass of its own in algorithm 1.
        """
        project = lambda images: self.projector(self.backbone(images, train=train, key=key), train=train)
        z = augment.each_view(project, views["image"])
        p = augment.each_view(lambda x: self.predictor(x, train=train), z)
        loss = losses.nnclr(z[:, 0], z[:, 1], p[:, 0], p[:, 1], self.queue[...], temperature=self.temperature)
        if train:
            self.queue[...] = losses.update_queue(self.queue[...], unit_length(z[:, 0]))
        return loss, {}

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of the backbone of images as they are: [B, F]."""
        return self.backbone(jax.vmap(self.view.evaluate)(inputs))

    def project(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """What neighbours are sought by, of images as they are, for the diagnosis of collapse: [B, P]."""
        return self.projector(self.embed(inputs))
