"""MSN: Assran et al. 2022, Masked Siamese Networks for Label-Efficient Learning, arXiv:2204.07141."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses, masking
from ssl_jax.losses.rows import unit_length
from ssl_jax.models import heads, settings, targets
from ssl_jax.models.patches import take_patches
from ssl_jax.models.requirements import check_any_patches, check_patches


class MSN(nnx.Module):
    """A ViT that sees a part of one view finds the prototypes that a target network gives the whole of another.

    Details are those of the authors' `src/msn_train.py` and `src/deit.py`: the anchors are one large view with patches
    dropped and the small ("focal") crops whole; each size is a pass of its own through backbone and projector, and so
    has its own batch statistics. There all images of a batch lose the same patches, here each loses its own.
    """

    least_batch = 2
    evaluated = "target_backbone"
    collapse_causes = "me_max_weight is 0 while targets are not balanced, or target_sharpening is not below 1"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        mask_ratio: float = 0.15,
        prototypes: int = 1024,
        temperature: float = 0.1,
        target_sharpening: float = 0.25,
        sinkhorn_iterations: int = 3,
        me_max_weight: float = 1.0,
        momentum: float = 0.996,
        projector_hidden: int = 2048,
        projector_out: int = 256,
        steps: int,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: a ViT that takes images of all sizes of crops.
          view: draws views of one image (`augment.VIEWS`), with `local_crops` in the authors' configuration.
          mask_ratio: share of the large anchor's patches that is dropped.
          prototypes: K.
          temperature: tau of the predictions (section 3).
          target_sharpening: T: targets are p^(1/T), normalised.
          sinkhorn_iterations: how often targets are balanced; 0: they are not.
          me_max_weight: lambda of equation 1, of the mean entropy's term.
          momentum: of the target at the first step; it rises along a line that would reach 1 after 1.25 times the run.
          projector_hidden: width of the projector's two hidden layers.
          projector_out: width D of prototypes and of what they are compared with.
          steps: of the whole run.
          rngs: source of the parameters.

        Raises:
          ValueError: the backbone is no ViT, no patch would be left, or a setting is out of its range.
        """
        check_patches("MSN", backbone)
        check_any_patches("MSN", backbone)
        count = backbone.num_patches
        if mask_ratio < 0 or count * (1 - mask_ratio) + 1e-6 < 1:
            raise ValueError(f"mask_ratio {mask_ratio} is negative, or leaves none of {count} patches")
        settings.probability(momentum=momentum)
        settings.positive(temperature=temperature, target_sharpening=target_sharpening)
        settings.at_least(0, sinkhorn_iterations=sinkhorn_iterations, me_max_weight=me_max_weight)
        settings.at_least(1, projector_hidden=projector_hidden, projector_out=projector_out)
        settings.at_least(2, prototypes=prototypes)
        self.backbone, self.view, self.mask_ratio = backbone, view, mask_ratio
        self.momentum, self.steps = momentum, steps
        self.compare = dict(
            temperature=temperature,
            target_sharpening=target_sharpening,
            sinkhorn_iterations=sinkhorn_iterations,
            me_max_weight=me_max_weight,
        )
        sizes = dict(hidden=projector_hidden, out=projector_out, layers=3, last_batch_norm=False, activation="gelu")
        start = nnx.initializers.normal(0.02)  # `init_model` of the authors' code
        self.projector = heads.Projector(backbone.features, **sizes, kernel_init=start, rngs=rngs)
        bound = projector_out**-0.5
        shape = (prototypes, projector_out)
        self.prototypes = nnx.Param(jax.random.uniform(rngs.params(), shape, minval=-bound, maxval=bound))
        self.target_backbone = targets.target_copy(self.backbone)
        self.target_projector = targets.target_copy(self.projector)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """The target's view and the large anchor, 'image' float32 [B, 2, S, S, C]; which patches of the anchor stay,
        'visible' int32 [B, n]; focal crops, where there are any, 'local' [B, L, s, s, C]."""
        crop_key, mask_key = jax.random.split(key)
        views = augment.multi_crop(self.view, crop_key, batch)
        draw = lambda k, _: masking.random_patches(k, self.backbone.num_patches, ratio=self.mask_ratio)["visible"]
        return views | {"visible": augment.per_example(draw, mask_key, jnp.arange(len(views["image"])))}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Equation 1: each anchor predicts the target's prototypes; all prototypes are used alike on average."""
        large, small, whole = jax.random.split(key, 3)
        anchors = [self._anchor(views, large, train)[:, None]]
        if "local" in views:
            focal = lambda images: self.projector(self.backbone(images, train=train, key=small), train=train)
            anchors.append(augment.each_view(focal, views["local"]))
        features = self.target_backbone(views["image"][:, 0], train=train, key=whole)
        target = self.target_projector(features, train=train)
        return losses.msn(jnp.concatenate(anchors, axis=1), target, self.prototypes[...], **self.compare), {}

    def _anchor(self, views, key, train):
        """Projections of the large anchor's visible patches, [B, D]."""
        patches = self.backbone.embed_patches(views["image"][:, 1])
        tokens = self.backbone.encode(take_patches(patches, views["visible"]), train=train, key=key)
        return self.projector(self.backbone.pool(tokens), train=train)

    def follow(self, step: jax.Array) -> None:
        """The target follows after step `step` (counted from 0)."""
        momentum = targets.linear_ramp(step, int(1.25 * self.steps), self.momentum, 1.0)
        targets.follow_all(self, momentum)

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of the target backbone, which the authors evaluate, of whole images: [B, F]."""
        return self.target_backbone(jax.vmap(self.view.evaluate)(inputs))

    def project(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """The target's projections of whole images, rows of unit length: [B, D]."""
        return unit_length(self.target_projector(self.embed(inputs)))

    def assign(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """The target's probabilities of prototypes, neither sharpened nor balanced, of whole images: float32 [B, K]."""
        scores = self.project(inputs) @ unit_length(self.prototypes[...]).T
        return jax.nn.softmax(scores / self.compare["temperature"])
