"""MoCo v3: Chen et al. 2021, An Empirical Study of Training Self-Supervised Vision Transformers, arXiv:2104.02057."""

from typing import Any

import jax
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.models import heads, normalize_apart, settings, targets


class MoCoV3(nnx.Module):
    """Predictions of one view find the momentum encoder's key of the other among the keys of the batch (algorithm 1).

    Heads as in the official code (`moco/builder.py`): no layer has a bias, and where the last one is normalised, that
    normalisation has neither scale nor offset. The fixed random patch projection that keeps ViTs stable (section 4.2)
    is the optimizer's: `config.optimizer.frozen = ("backbone.patch_embedding",)`.
    """

    least_batch = 2
    collapse_causes = "the target's momentum is too low, or the learning rate of a ViT too high"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        momentum: float = 0.99,
        temperature: float = 0.2,
        projector_layers: int = 3,
        projector_hidden: int = 4096,
        projector_out: int = 256,
        predictor_batch_norm: bool = True,
        steps: int,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: images [B, H, W, C] -> features [B, F]; has `features` = F.
          view: draws views of one image (`augment.VIEWS`), asymmetric ones in the paper.
          momentum: m of the target at the first step; it rises to 1 along half a cosine (section 3).
          temperature: what similarities are divided by; the official code takes 0.2 for ViTs, 1 for ResNets.
          projector_layers: 3 for ViTs, 2 for ResNets in the official code.
          projector_hidden: width of the hidden layers of projector and predictor.
          projector_out: width of the space in which views are compared.
          predictor_batch_norm: whether the predictor's output is normalised: for ViTs, not for ResNets in the official
            code.
          steps: of the whole run.
          rngs: source of the parameters.

        Raises:
          ValueError: a momentum not in [0, 1), a temperature that is not positive, a width or depth below 1.
        """
        settings.probability(momentum=momentum)
        settings.positive(temperature=temperature)
        settings.at_least(
            1, projector_layers=projector_layers, projector_hidden=projector_hidden, projector_out=projector_out
        )
        self.backbone, self.view, self.momentum, self.temperature = backbone, view, momentum, temperature
        self.steps = steps
        sizes = dict(hidden=projector_hidden, out=projector_out, last_scale=False, last_bias=False, rngs=rngs)
        self.projector = heads.Projector(backbone.features, layers=projector_layers, **sizes)
        self.predictor = heads.Projector(projector_out, last_batch_norm=predictor_batch_norm, **sizes)
        self.target_backbone = targets.target_copy(self.backbone)
        self.target_projector = targets.target_copy(self.projector)
        normalize_apart(self, views=2)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Two views of each image: {'image': float32 [B, 2, S, S, C]}."""
        return {"image": augment.two_views(self.view, key, batch)}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Algorithm 1, both ways added. Each view is normalised by itself in each network."""
        online_key, target_key = jax.random.split(key)
        q = augment.each_view(lambda images: self._predict(images, online_key, train), views["image"])
        k = augment.each_view(lambda images: self._target(images, target_key, train), views["image"])
        return losses.moco_v3(q[:, 0], q[:, 1], k[:, 0], k[:, 1], temperature=self.temperature), {}

    def _predict(self, images, key, train):
        projections = self.projector(self.backbone(images, train=train, key=key), train=train)
        return self.predictor(projections, train=train)

    def _target(self, images, key, train):
        return self.target_projector(self.target_backbone(images, train=train, key=key), train=train)

    def follow(self, step: jax.Array) -> None:
        """The target follows after step `step` (counted from 0); the official code does so within the next step."""
        momentum = targets.cosine_ramp(step + 1, self.steps, self.momentum, 1.0)
        targets.follow_all(self, momentum)

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of the online backbone of images as they are: [B, F]."""
        return self.backbone(jax.vmap(self.view.evaluate)(inputs))

    def project(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """What the loss compares, of images as they are, for the diagnosis of collapse: [B, P]."""
        return self.projector(self.embed(inputs))
