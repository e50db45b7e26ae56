"""Barlow Twins: Zbontar et al. 2021, Self-Supervised Learning via Redundancy Reduction, arXiv:2103.03230."""

from typing import Any

import jax
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.models import heads, normalize_apart, settings


class BarlowTwins(nnx.Module):
    """The cross-correlation of two views' projections is held to the identity (algorithm 1).

    As in the authors' code, no layer of the projector has a bias, networks normalise each view by itself, and the loss
    normalises projections over the global batch. Biases and normalisation have another learning rate there,
    0.0048 beside 0.2 for weights, and gradients that are divided by the number of GPUs, 16: together
    `config.optimizer.bias_rate=0.0015`.
    """

    least_batch = 2
    collapse_causes = "the weight of the off-diagonal terms is too small, or the learning rate too high"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        lambda_: float = 0.0051,
        projector_hidden: int = 8192,
        projector_out: int = 8192,
        projector_layers: int = 3,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: images [B, H, W, C] -> features [B, F]; has `features` = F.
          view: draws views of one image (`augment.VIEWS`), asymmetric ones in the paper ('byol').
          lambda_: weight of the off-diagonal terms (equation 1; the value is that of the official code).
          projector_hidden: width of the projector's hidden layers.
          projector_out: width of the projections; the correlations are its square.
          projector_layers: number of the projector's layers.
          rngs: source of the parameters.

        Raises:
          ValueError: a negative lambda_, a hidden width or a number of layers below 1, or projections narrower
            than 2.
        """
        settings.at_least(0, lambda_=lambda_)
        settings.at_least(1, projector_hidden=projector_hidden, projector_layers=projector_layers)
        settings.at_least(2, projector_out=projector_out)
        self.backbone, self.view, self.lambda_ = backbone, view, lambda_
        sizes = dict(hidden=projector_hidden, out=projector_out, layers=projector_layers)
        self.projector = heads.Projector(backbone.features, **sizes, last_batch_norm=False, last_bias=False, rngs=rngs)
        normalize_apart(self, views=2)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Two views of each image: {'image': float32 [B, 2, S, S, C]}."""
        return {"image": augment.two_views(self.view, key, batch)}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Equation 1. Correlations are those of the batch at hand, also with `train=False`."""
        project = lambda images: self.projector(self.backbone(images, train=train, key=key), train=train)
        z = augment.each_view(project, views["image"])
        return losses.barlow_twins(z[:, 0], z[:, 1], lambda_=self.lambda_), {}

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of the backbone of images as they are: [B, F]."""
        return self.backbone(jax.vmap(self.view.evaluate)(inputs))

    def project(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """What the loss compares, of images as they are, for the diagnosis of collapse: [B, P]."""
        return self.projector(self.embed(inputs))
