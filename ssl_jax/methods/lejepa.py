"""LeJEPA: Balestriero and LeCun 2025, Provable and Scalable Self-Supervised Learning Without the Heuristics,
arXiv:2511.08544."""

from typing import Any, Literal

import jax
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.models import heads, settings


class LeJEPA(nnx.Module):
    """All views of an image come close to their centre, and each view's projections to a standard normal distribution.

    Nothing else keeps it from collapse: no target network, no stopped gradient, no schedule. The projector is that of
    the authors' minimal example (`MINIMAL.md`): batch normalisation and ReLU between its layers, a bias in the last.
    The biases that they have before normalisation do nothing and are left out. Views of one size share a pass of the
    backbone, and all views share one of the projector, and so its batch statistics.
    """

    least_batch = 2
    collapse_causes = "lambda_ is too small, or there are too few directions for the width of the projections"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        lambda_: float = 0.05,
        directions: int = 1024,
        center: Literal["global", "all"] = "global",
        points: int = 17,
        t_max: float = 3.0,
        projector_hidden: int = 2048,
        projector_out: int = 512,
        projector_layers: int = 3,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: images [B, H, W, C] -> features [B, F]; has `features` = F.
          view: draws views of one image (`augment.VIEWS`), small ones too where it has `local_crops`.
          lambda_: weight of SIGReg against the distance to the centre: 0.05 in the official scripts for ImageNet, 0.02
            in the minimal example; 0 collapses.
          directions: how many are drawn for each step: 1024 in the official README, 256 in the minimal example.
          center: 'global', the mean of the two large views (the paper's algorithm 2, and lightly), or 'all' (the
            minimal example).
          points: of the integration along each direction.
          t_max: upper limit of the integration.
          projector_hidden: width of the projector's hidden layers.
          projector_out: width of the projections: 512 in the scripts for ImageNet, 16 in the minimal example.
          projector_layers: number of the projector's layers.
          rngs: source of the parameters.

        Raises:
          ValueError: lambda_ outside of 0 to 1, an unknown centre, a t_max that is not positive, a size below 1, or
            fewer than 2 points.
        """
        if not 0 <= lambda_ <= 1:
            raise ValueError(f"lambda_ {lambda_} is not in 0 <= lambda_ <= 1")
        settings.one_of("center", center, ("global", "all"))
        settings.positive(t_max=t_max)
        settings.at_least(2, points=points)
        settings.at_least(1, directions=directions, projector_hidden=projector_hidden, projector_out=projector_out)
        settings.at_least(1, projector_layers=projector_layers)
        self.backbone, self.view, self.directions = backbone, view, directions
        self.of_loss = dict(lambda_=lambda_, points=points, t_max=t_max)
        self.of_loss["global_views"] = 2 if center == "global" else None
        sizes = dict(hidden=projector_hidden, out=projector_out, layers=projector_layers)
        self.projector = heads.Projector(backbone.features, **sizes, last_batch_norm=False, rngs=rngs)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Two large views of each image and its small ones: 'image' [B, 2, S, S, C], 'local' [B, L, s, s, C]."""
        return augment.multi_crop(self.view, key, batch)

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The weighted sum of the distance to the centre and SIGReg, in directions drawn from `key`."""
        direction_key, key = jax.random.split(key)
        features = augment.all_crops(lambda x, key: self.backbone(x, train=train, key=key), views, key)
        z = augment.each_view(lambda x: self.projector(x, train=train), features)
        directions = losses.random_directions(direction_key, z.shape[-1], self.directions)
        return losses.lejepa(z, directions, **self.of_loss), {}

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of the backbone of images as they are: [B, F]."""
        return self.backbone(jax.vmap(self.view.evaluate)(inputs))

    def project(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """What the loss compares, of images as they are, for the diagnosis of collapse: [B, P]."""
        return self.projector(self.embed(inputs))
