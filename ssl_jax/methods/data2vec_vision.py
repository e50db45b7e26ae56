"""data2vec (vision): Baevski et al. 2022, data2vec: A General Framework for Self-supervised Learning in Speech, Vision
and Language, arXiv:2202.03555."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.models import settings, targets
from ssl_jax.models.hiding import blocks_hidden, hidden_states, hide_blocks
from ssl_jax.models.patches import take_patches
from ssl_jax.models.pooling import target_metrics
from ssl_jax.models.requirements import check_patches
from ssl_jax.models.teaching import teacher_of


class Data2VecVision(nnx.Module):
    """Predicts, at hidden patches, what a slowly following copy of the network makes of the whole image (section 3).

    What is predicted is the mean of the teacher's last blocks. The teacher is a copy of all of the network, as in the
    official code; that of speech and text shares what comes before the blocks.
    """

    collapse_causes = "momentum is too low, the learning rate too high, or too few patches are hidden"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        mask_ratio: float = 0.612,
        min_block: int = 16,
        top: int = 6,
        momentum: float = 0.9998,
        momentum_end: float | None = None,
        momentum_steps: int = 0,
        beta: float = 2.0,
        rngs: nnx.Rngs,
    ):
        """
        The defaults are those of ViT-B.

        Args:
          backbone: a ViT.
          view: draws one view of one image (`augment.VIEWS`).
          mask_ratio: share of the patches that is hidden, in blocks (`masking.exact_blocks`); 120 of 196.
          min_block: patches of the smallest block that is drawn.
          top: K, how many of the teacher's last blocks are averaged.
          momentum: tau_0, the teacher's momentum at the first step.
          momentum_end: tau_e, what it rises to along a line; None: it stays.
          momentum_steps: tau_n, in how many steps; 0 where it stays.
          beta: where the loss turns from a square into a line; 0: the squared error.
          rngs: source of the parameters.

        Raises:
          ValueError: the backbone is no ViT, a setting is out of range, or nothing would be hidden or visible.
        """
        check_patches("data2vec_vision", backbone)
        settings.at_least(1, min_block=min_block)
        settings.at_least(0, beta=beta, momentum_steps=momentum_steps)
        if (momentum_end is None) != (momentum_steps == 0):
            raise ValueError(f"momentum_end {momentum_end} and momentum_steps {momentum_steps}: set both or neither")
        momentum_end = momentum if momentum_end is None else momentum_end
        settings.momenta(momentum, momentum_end)
        settings.last_blocks(top, backbone.stack.depth)
        self.backbone, self.view, self.top, self.beta = backbone, view, top, beta
        self.count, self.min_block = blocks_hidden(backbone, mask_ratio), min_block
        self.momentum = (momentum, momentum_end, momentum_steps)
        start, width = nnx.initializers.truncated_normal(0.02, lower=-1.0, upper=1.0), backbone.features
        self.mask_token = nnx.Param(start(rngs.params(), (width,)))
        self.prediction = nnx.Linear(width, width, kernel_init=start, rngs=rngs)
        self.target_backbone = teacher_of(backbone)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """One view of each image, and what of it is hidden from the student (`models.hiding.hide_some`)."""
        view_key, mask_key = jax.random.split(key)
        smallest = min(self.min_block, self.count)
        images = augment.per_example(self.view.train, view_key, batch)
        return hide_blocks(self.backbone, mask_key, images, self.count, min_block=smallest)

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Smooth L1 distance at the hidden patches (section 3.4)."""
        states = hidden_states(self.backbone, views, self.mask_token[...], train=train, key=key)
        predictions = self.prediction(states.astype(jnp.float32))
        truths = jax.lax.stop_gradient(take_patches(self.targets(views["image"]), views["places"]))
        all_count = jnp.ones(truths.shape[:2])
        loss = losses.data2vec(predictions, truths, all_count, beta=self.beta)
        return loss, target_metrics(predictions, truths, all_count)

    def targets(self, images: jax.Array) -> jax.Array:
        """What is to be predicted: the mean of the teacher's last blocks, each normalised, and normalised again.

        Args:
          images: [B, H, W, C], nothing hidden.

        Returns:
          float32 [B, N, F].
        """
        teacher = self.target_backbone
        tokens, mask, _ = teacher.before_blocks(teacher.embed_patches(images))
        states = teacher.stack.states(tokens, mask)[:, :, int(teacher.class_token is not None) :]
        return losses.average_layers(list(states), top=self.top, normalize="layer", normalize_average=True)

    def follow(self, step: jax.Array) -> None:
        """The teacher follows after step `step` (counted from 0): equation 1."""
        start, end, steps = self.momentum
        targets.follow_all(self, targets.linear_ramp(step, steps, start, end))

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of the student of whole images (nothing hidden), pooled as the ViT pools: [B, F]."""
        return self.backbone(jax.vmap(self.view.evaluate)(inputs))
