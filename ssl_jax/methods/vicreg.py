"""VICReg: Bardes et al. 2022, Variance-Invariance-Covariance Regularization, arXiv:2105.04906."""

from typing import Any

import jax
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.models import heads, normalize_apart, settings


class VICReg(nnx.Module):
    """Two views come close while each dimension keeps its variance and dimensions stay uncorrelated (algorithm 1).

    As in the authors' code, each view is normalised by itself, and the last layer of the projector (the paper's
    expander) has no bias; their hidden layers have biases, which the normalisation after them takes off again: left out
    here.
    """

    least_batch = 2
    held_deviation = 1.0  # by the variance terms
    collapse_causes = "the weight of the variance terms is 0 or too small beside that of the invariance"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        invariance_weight: float = 25.0,
        variance_weight: float = 25.0,
        covariance_weight: float = 1.0,
        projector_hidden: int = 8192,
        projector_out: int = 8192,
        projector_layers: int = 3,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: images [B, H, W, C] -> features [B, F]; has `features` = F.
          view: draws views of one image (`augment.VIEWS`), asymmetric ones in the paper ('byol').
          invariance_weight: of the mean squared distance of the views (lambda of equation 6).
          variance_weight: of the variance terms (mu); with 0 a constant embedding is optimal, and training collapses.
          covariance_weight: of the covariance terms (nu).
          projector_hidden: width of the projector's hidden layers.
          projector_out: width of the projections.
          projector_layers: number of the projector's layers.
          rngs: source of the parameters.

        Raises:
          ValueError: a negative weight, no weight above 0, a hidden width or a number of layers below 1, or projections
            narrower than 2.
        """
        weights = dict(
            invariance_weight=invariance_weight, variance_weight=variance_weight, covariance_weight=covariance_weight
        )
        settings.at_least(0, **weights)
        if not any(weights.values()):
            raise ValueError(f"{', '.join(weights)} are all 0: nothing is left to minimise")
        settings.at_least(1, projector_hidden=projector_hidden, projector_layers=projector_layers)
        settings.at_least(2, projector_out=projector_out)
        self.backbone, self.view = backbone, view
        self.weights = {name.removesuffix("_weight"): weight for name, weight in weights.items()}
        sizes = dict(hidden=projector_hidden, out=projector_out, layers=projector_layers)
        self.projector = heads.Projector(backbone.features, **sizes, last_batch_norm=False, last_bias=False, rngs=rngs)
        normalize_apart(self, views=2)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Two views of each image: {'image': float32 [B, 2, S, S, C]}."""
        return {"image": augment.two_views(self.view, key, batch)}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Equation 6. Moments are those of the batch at hand, also with `train=False`."""
        project = lambda images: self.projector(self.backbone(images, train=train, key=key), train=train)
        z = augment.each_view(project, views["image"])
        return losses.vicreg(z[:, 0], z[:, 1], **self.weights), {}

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of the backbone of images as they are: [B, F]."""
        return self.backbone(jax.vmap(self.view.evaluate)(inputs))

    def project(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """What the loss compares, of images as they are, for the diagnosis of collapse: [B, P]."""
        return self.projector(self.embed(inputs))
