"""BYOL: Grill et al. 2020, Bootstrap Your Own Latent, arXiv:2006.07733."""

from typing import Any, Literal

import jax
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.models import heads, normalize_apart, settings, targets
from ssl_jax.models.initializers import haiku_kernel


class BYOL(nnx.Module):
    """An online network predicts what a slowly following target network makes of another view (section 3, figure 2)."""

    least_batch = 2
    collapse_causes = (
        "the predictor is missing or its learning rate too small, gradients reach the target, or momentum is too low"
    )

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        momentum: float = 0.996,
        momentum_end: float = 1.0,
        projector_hidden: int = 4096,
        projector_out: int = 256,
        head_layers: Literal["haiku", "torch"] = "haiku",
        predictor: bool = True,
        steps: int,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: images [B, H, W, C] -> features [B, F]; has `features` = F.
          view: draws views of one image (`augment.VIEWS`), asymmetric ones in the paper ('byol').
          momentum: tau_base, the target's momentum at the first step; it rises along a cosine (section 3.3).
          momentum_end: what it rises to; BYOL-A's stays.
          projector_hidden: width of the hidden layer of projector and predictor.
          projector_out: width of what is predicted.
          head_layers: how linear layers of projector and predictor start, and whether the last ones have biases: as in
            the official code ('haiku', which has none), or as in lightly's heads ('torch').
          predictor: False leaves it out, which collapses (section 5 and appendix F.4).
          steps: of the whole run.
          rngs: source of the parameters.

        Raises:
          ValueError: a momentum not in [0, 1), a width below 1, or head_layers that do not exist.
        """
        settings.momenta(momentum, momentum_end)
        settings.at_least(1, projector_hidden=projector_hidden, projector_out=projector_out)
        settings.one_of("head_layers", head_layers, ("haiku", "torch"))
        self.backbone, self.view, self.momentum, self.steps = backbone, view, (momentum, momentum_end), steps
        layers = {"haiku": dict(kernel_init=haiku_kernel, last_bias=False), "torch": dict(last_bias=True)}
        sizes = dict(hidden=projector_hidden, out=projector_out, last_batch_norm=False, rngs=rngs)
        sizes |= layers[head_layers]
        self.projector = heads.Projector(backbone.features, **sizes)
        self.predictor = heads.Projector(projector_out, **sizes) if predictor else nnx.data(None)
        self.target_backbone = targets.target_copy(self.backbone)
        self.target_projector = targets.target_copy(self.projector)
        normalize_apart(self, views=2)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Two views of each image: {'image': float32 [B, 2, S, S, C]}."""
        return {"image": augment.two_views(self.view, key, batch)}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Equation 2, both ways: each view predicts the other. Each view is normalised by itself in each network."""
        online_key, target_key = jax.random.split(key)
        predictions = augment.each_view(lambda images: self._predict(images, online_key, train), views["image"])
        projections = augment.each_view(lambda images: self._target(images, target_key, train), views["image"])
        there = losses.byol(predictions[:, 0], projections[:, 1])
        back = losses.byol(predictions[:, 1], projections[:, 0])
        return there + back, {}

    def _predict(self, images, key, train):
        projections = self.projector(self.backbone(images, train=train, key=key), train=train)
        return projections if self.predictor is None else self.predictor(projections, train=train)

    def _target(self, images, key, train):
        return self.target_projector(self.target_backbone(images, train=train, key=key), train=train)

    def follow(self, step: jax.Array) -> None:
        """The target follows after step `step` (counted from 0): equation 1."""
        momentum = targets.cosine_ramp(step, self.steps, *self.momentum)
        targets.follow_all(self, momentum)

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of the online backbone of images as they are: [B, F]."""
        return self.backbone(jax.vmap(self.view.evaluate)(inputs))

    def project(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """What the loss compares, of images as they are, for the diagnosis of collapse: [B, P]."""
        return self.projector(self.embed(inputs))
