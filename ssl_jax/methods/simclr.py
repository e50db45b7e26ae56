"""SimCLR: Chen et al. 2020, A Simple Framework for Contrastive Learning of Visual Representations, arXiv:2002.05709."""

from typing import Any

import jax
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.models import heads, settings


class SimCLR(nnx.Module):
    """A backbone f, a projector g, and NT-Xent between two views of each image (algorithm 1 of the paper)."""

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        temperature: float = 0.1,
        projector_hidden: int | None = None,
        projector_out: int = 128,
        projector_layers: int = 2,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: images [B, H, W, C] -> features [B, F]; has `features` = F.
          view: draws one view of one image (`augment.VIEWS`).
          temperature: tau of equation 1.
          projector_hidden: width of the hidden layers, None for F (the paper's choice).
          projector_out: width of the space in which views are compared.
          projector_layers: 2 in the paper, 3 in SimCLR v2.
          rngs: source of the parameters.

        Raises:
          ValueError: a temperature that is not positive, or a projector without layers.
        """
        if temperature <= 0:
            raise ValueError(f"temperature {temperature} must be positive")
        self.backbone, self.view, self.temperature = backbone, view, temperature
        hidden = backbone.features if projector_hidden is None else projector_hidden
        settings.at_least(1, projector_hidden=hidden, projector_out=projector_out, projector_layers=projector_layers)
        self.projector = heads.Projector(
            backbone.features, hidden=hidden, out=projector_out, layers=projector_layers, rngs=rngs
        )

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Two views of each image: {'image': float32 [B, 2, S, S, C]}."""
        return {"image": augment.two_views(self.view, key, batch)}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """NT-Xent of the projections. Both views share one pass, and so their batch statistics."""
        project = lambda images: self.projector(self.backbone(images, train=train, key=key), train=train)  # noqa: E731
        z = augment.each_view(project, views["image"])
        return losses.nt_xent(z[:, 0], z[:, 1], temperature=self.temperature), {}

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of the backbone, before the projector (section 4.2), of images as they are: [B, F]."""
        return self.backbone(jax.vmap(self.view.evaluate)(inputs), train=False)
