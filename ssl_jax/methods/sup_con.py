"""SupCon: Khosla et al. 2020, Supervised Contrastive Learning, arXiv:2004.11362."""

from typing import Any

import jax
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.losses.rows import unit_length
from ssl_jax.models import heads, settings


class SupCon(nnx.Module):
    """All views of all images of one label are positives of each other (equation 2); the labels must be there.

    The two official codes differ. HobbitLong/SupContrast (the paper's CIFAR-10 numbers), the default here, has a head
    of two layers on the features as they are, and multiplies the loss by temperature / 0.07. google-research/supcon
    (the paper's ImageNet numbers) has features of unit length, in its script a head of one layer without bias, and
    multiplies the loss by the temperature.
    """

    least_batch = 2
    learns_labels = True
    collapse_causes = "the temperature does not fit, or a batch holds hardly any two images of one label"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        temperature: float = 0.1,
        base_temperature: float = 0.07,
        projector_layers: int = 2,
        projector_hidden: int | None = None,
        projector_out: int = 128,
        projector_bias: bool = True,
        normalize_features: bool = False,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: images [B, H, W, C] -> features [B, F]; has `features` = F.
          view: draws one view of one image (`augment.VIEWS`).
          temperature: what similarities are divided by.
          base_temperature: the loss is multiplied by temperature / base_temperature.
          projector_layers: linear layers of the head, which has no normalisation.
          projector_hidden: their width but for the last, None for F.
          projector_out: width of the space in which views are compared.
          projector_bias: whether the head's last layer has a bias.
          normalize_features: whether the head sees features of unit length (section 3.1).
          rngs: source of the parameters.

        Raises:
          ValueError: a temperature that is not positive, a width or depth below 1.
        """
        settings.positive(temperature=temperature, base_temperature=base_temperature)
        hidden = backbone.features if projector_hidden is None else projector_hidden
        settings.at_least(1, projector_layers=projector_layers, projector_hidden=hidden, projector_out=projector_out)
        self.backbone, self.view, self.temperature = backbone, view, temperature
        self.scale, self.normalize_features = temperature / base_temperature, normalize_features
        sizes = dict(hidden=hidden, out=projector_out, layers=projector_layers, last_bias=projector_bias)
        self.projector = heads.Projector(backbone.features, **sizes, batch_norm=False, last_batch_norm=False, rngs=rngs)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Two views of each image, and its label: {'image': float32 [B, 2, S, S, C], 'label': int32 [B]}."""
        return {"image": augment.two_views(self.view, key, batch), "label": batch["label"]}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Equation 2 (the sum outside of the logarithm). Both views share one pass, and so their batch statistics."""
        project = lambda images: self._project(self.backbone(images, train=train, key=key))
        z = augment.each_view(project, views["image"])
        return self.scale * losses.sup_con(z, views["label"], temperature=self.temperature), {}

    def _project(self, features):
        return self.projector(unit_length(features) if self.normalize_features else features)

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of the backbone, before the head, of images as they are: [B, F]."""
        return self.backbone(jax.vmap(self.view.evaluate)(inputs))

    def project(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """What the loss compares, of images as they are, for the diagnosis of collapse: [B, P]."""
        return self._project(self.embed(inputs))
