"""SimSiam: Chen and He 2021, Exploring Simple Siamese Representation Learning, arXiv:2011.10566."""

from typing import Any

import jax
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.models import heads, normalize_apart, settings


class SimSiam(nnx.Module):
    """Each view predicts the other's projection, through which no gradient flows (algorithm 1).

    As in the authors' code, the projector's last normalisation has neither scale nor offset, and each view is
    normalised by itself. Their last projection layer has a bias, which stays as drawn and which the normalisation takes
    off again; here it is left out. The predictor's rate stays at its peak with
    `config.optimizer.constant_rate=('predictor',)` (their `--fix-pred-lr`).
    """

    least_batch = 2
    collapse_causes = (
        "gradients reach the projections that are predicted, or the predictor's learning rate decays or is too small"
    )

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        projector_hidden: int = 2048,
        projector_out: int = 2048,
        projector_layers: int = 3,
        predictor_hidden: int = 512,
        stop_gradient: bool = True,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: images [B, H, W, C] -> features [B, F]; has `features` = F.
          view: draws views of one image (`augment.VIEWS`).
          projector_hidden: width of the projector's hidden layers; the official code has F.
          projector_out: width of what is predicted.
          projector_layers: 3 on ImageNet, 2 on CIFAR-10 (appendix D).
          predictor_hidden: width of the predictor's one hidden layer, a quarter of `projector_out` in the paper.
          stop_gradient: False lets gradients through to what is predicted, which collapses (section 4.1).
          rngs: source of the parameters.

        Raises:
          ValueError: a width or a number of layers below 1.
        """
        settings.at_least(
            1,
            projector_hidden=projector_hidden,
            projector_out=projector_out,
            projector_layers=projector_layers,
            predictor_hidden=predictor_hidden,
        )
        self.backbone, self.view, self.stop_gradient = backbone, view, stop_gradient
        sizes = dict(hidden=projector_hidden, out=projector_out, layers=projector_layers)
        self.projector = heads.Projector(backbone.features, **sizes, last_scale=False, rngs=rngs)
        sizes = dict(hidden=predictor_hidden, out=projector_out, layers=2)
        self.predictor = heads.Projector(projector_out, **sizes, last_batch_norm=False, rngs=rngs)
        normalize_apart(self, views=2)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Two views of each image: {'image': float32 [B, 2, S, S, C]}."""
        return {"image": augment.two_views(self.view, key, batch)}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Equation 2 (with the stop-gradient, 4): the mean of both directions. Each view is normalised by itself."""
        project = lambda images: self.projector(self.backbone(images, train=train, key=key), train=train)
        z = augment.each_view(project, views["image"])
        p = augment.each_view(lambda x: self.predictor(x, train=train), z)
        there = losses.simsiam(p[:, 0], z[:, 1], stop_gradient=self.stop_gradient)
        back = losses.simsiam(p[:, 1], z[:, 0], stop_gradient=self.stop_gradient)
        return (there + back) / 2, {}

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of the backbone of images as they are: [B, F]."""
        return self.backbone(jax.vmap(self.view.evaluate)(inputs))

    def project(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """What the loss compares, of images as they are, for the diagnosis of collapse: [B, P]."""
        return self.projector(self.embed(inputs))
