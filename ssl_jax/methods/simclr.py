"""SimCLR: Chen et al. 2020, A Simple Framework for Contrastive Learning of Visual Representations, arXiv:2002.05709."""

from typing import Any

import jax
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.models import heads, settings


class SimCLR(nnx.Module):
    """A backbone f, a projector g, and NT-Xent between two views of each image (algorithm 1 of the paper).

    SimCLR v2 (Chen et al. 2020, arXiv:2006.10029, section 2) has a deeper projector, the first layer of which may stay
    with the backbone. Its momentum memory and its networks with selective kernels are not here.
    """

    least_batch = 2
    collapse_causes = "the batch is too small for the temperature, or the views differ in too little"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        temperature: float = 0.1,
        projector_hidden: int | None = None,
        projector_out: int = 128,
        projector_layers: int = 2,
        projector_deviation: float | None = 0.01,
        embed_layers: int = 0,
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
          projector_deviation: of the projector's first matrices, which are normal (0.01 in the official code's
            `linear_layer`); None: they start as PyTorch's linear layers do.
          embed_layers: how many layers of the projector features pass through (the official code's
            `ft_proj_selector`): 0 in the paper, 1 where SimCLR v2 learns from few labels.
          rngs: source of the parameters.

        Raises:
          ValueError: a temperature or deviation that is not positive, a projector without layers, or more of them for
            features than it has.
        """
        settings.positive(temperature=temperature)
        if projector_deviation is not None:
            settings.positive(projector_deviation=projector_deviation)
        if not 0 <= embed_layers <= projector_layers:
            raise ValueError(f"embed_layers {embed_layers} is not between 0 and projector_layers {projector_layers}")
        self.backbone, self.view, self.temperature = backbone, view, temperature
        self.embed_layers = embed_layers
        hidden = backbone.features if projector_hidden is None else projector_hidden
        settings.at_least(1, projector_hidden=hidden, projector_out=projector_out, projector_layers=projector_layers)
        sizes = dict(hidden=hidden, out=projector_out, layers=projector_layers)
        start = None if projector_deviation is None else nnx.initializers.normal(projector_deviation)
        self.projector = heads.Projector(backbone.features, **sizes, kernel_init=start, rngs=rngs)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Two views of each image: {'image': float32 [B, 2, S, S, C]}."""
        return {"image": augment.two_views(self.view, key, batch)}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Compares the projections. Both views share one pass, and so their batch statistics."""
        project = lambda images: self.projector(self.backbone(images, train=train, key=key), train=train)
        z = augment.each_view(project, views["image"])
        return self.compare(z[:, 0], z[:, 1]), {}

    def compare(self, z1: jax.Array, z2: jax.Array) -> jax.Array:
        """The loss of two views' projections [B, P]: equation 1, a float32 scalar."""
        return losses.nt_xent(z1, z2, temperature=self.temperature)

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of images as they are: [B, F] of the backbone, before the projector (section 4.2).

        With `embed_layers`, [B, hidden] (or [B, P], for all) from within the projector.
        """
        return self.projector(self._features(inputs), layers=self.embed_layers)

    def project(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """What the loss compares, of images as they are, for the diagnosis of collapse: [B, P]."""
        return self.projector(self._features(inputs))

    def _features(self, inputs):
        return self.backbone(jax.vmap(self.view.evaluate)(inputs))
