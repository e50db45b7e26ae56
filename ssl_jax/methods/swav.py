"""SwAV: Caron et al. 2020, Unsupervised Learning of Visual Features by Contrasting Cluster Assignments,
arXiv:2006.09882."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.losses.rows import unit_length
from ssl_jax.models import heads, settings, targets

ASSIGNING = 2  # the large crops


class SwAVQueue(nnx.Variable):
    """Projections of the large crops of earlier batches, float32 [Q, 2, D], oldest first; zeros until it is full."""


class SwAV(nnx.Module):
    """Each view predicts which prototypes another view is assigned to, balanced over the batch (section 3, figure 1).

    Details are those of the authors' `main_swav.py` and `src/resnet50.py`: crops of one size share a pass through the
    backbone, and so their batch statistics, all crops one through the projector; prototypes are scaled to unit length
    after each update.
    """

    least_batch = 2
    collapse_causes = (
        "assignments are not balanced (sinkhorn_iterations), epsilon is too high, the prototypes move from the first"
        " step (freeze_prototypes_steps), or the batch is small beside the prototypes and has no queue"
    )

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        sinkhorn_iterations: int = 3,
        prototypes: int = 3000,
        freeze_prototypes_steps: int = 313,
        queue_size: int = 0,
        queue_start: int = 0,
        projector_hidden: int = 2048,
        projector_out: int = 128,
        steps: int,
        batch_size: int,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: images [B, H, W, C] -> features [B, F] for all sizes of crops; has `features` = F.
          view: draws views of one image (`augment.VIEWS`), with `local_crops` in the paper ('swav').
          temperature: tau of equation 2, of the predictions.
          epsilon: of equation 3, of the assignments.
          sinkhorn_iterations: how often assignments are balanced; 0: softmax of `scores / epsilon`, which collapses.
          prototypes: K.
          freeze_prototypes_steps: steps from the start in which prototypes have no gradient.
          queue_size: Q, examples kept of earlier batches to balance with, for small batches (section 4, "training
            with small batches"); at least a batch; 0: none.
          queue_start: step (counted from 0) from which it is filled. It is used once it is full.
          projector_hidden: width of the projector's hidden layer.
          projector_out: width D of prototypes and of what they are compared with.
          steps: of the whole run.
          batch_size: global.
          rngs: source of the parameters.

        Raises:
          ValueError: a setting is negative, or not positive where it has to be, there is a single prototype, or the
            queue is shorter than a batch, or full only when the run has ended, or has a start without a size.
        """
        settings.positive(temperature=temperature, epsilon=epsilon)
        settings.at_least(0, sinkhorn_iterations=sinkhorn_iterations, freeze_prototypes_steps=freeze_prototypes_steps)
        settings.at_least(0, queue_size=queue_size, queue_start=queue_start)
        settings.at_least(1, projector_hidden=projector_hidden, projector_out=projector_out)
        settings.at_least(2, prototypes=prototypes)
        self.backbone, self.view = backbone, view
        self.balance = dict(temperature=temperature, epsilon=epsilon, iterations=sinkhorn_iterations)
        self.freeze_prototypes_steps, self.queue_start = freeze_prototypes_steps, queue_start
        self.queue_used = _first_full(queue_size, queue_start, steps, batch_size)
        self.projector = heads.Projector(
            backbone.features, hidden=projector_hidden, out=projector_out, last_batch_norm=False, rngs=rngs
        )
        self.prototypes = heads.Prototypes(projector_out, prototypes, rngs=rngs)
        empty = jnp.zeros((queue_size, ASSIGNING, projector_out))
        self.queue = SwAVQueue(empty) if queue_size else nnx.data(None)
        self.done = targets.step_count()

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Large crops {'image': float32 [B, 2, S, S, C]}, and small ones where there are, 'local' [B, L, s, s, C]."""
        return augment.multi_crop(self.view, key, batch)

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Equations 1 and 2 with multi-crop (equation 6): the large crops assign, all crops predict."""
        features = augment.all_crops(lambda x, key: self.backbone(x, train=train, key=key), views, key)
        z = augment.each_view(lambda x: unit_length(self.projector(x, train=train)), features)
        prototypes = targets.frozen_until(self.done[...], self.freeze_prototypes_steps, self.prototypes)
        loss = self._swapped(prototypes(z))
        if train and self.queue is not None:
            filling = self.done[...] >= self.queue_start
            moved = losses.update_queue(self.queue[...], z[:, :ASSIGNING])
            self.queue[...] = jnp.where(filling, moved, self.queue[...])
        return loss, {}

    def _swapped(self, scores):
        alone = lambda scores: losses.swav(scores, assigning_views=ASSIGNING, **self.balance)
        if self.queue is None:
            return alone(scores)
        kept = jax.lax.stop_gradient(self.prototypes(self.queue[...]))
        together = lambda scores: losses.swav(scores, assigning_views=ASSIGNING, queue_scores=kept, **self.balance)
        return jax.lax.cond(self.done[...] >= self.queue_used, together, alone, scores)

    def follow(self, step: jax.Array) -> None:
        """Counts step `step` (from 0) as done; prototypes go back to unit length."""
        self.done[...] = step + 1
        self.prototypes.normalize()

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of the backbone of images as they are: [B, F]."""
        return self.backbone(jax.vmap(self.view.evaluate)(inputs))

    def project(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """What is compared with prototypes, of images as they are: [B, D], rows of unit length."""
        return unit_length(self.projector(self.embed(inputs)))

    def assign(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """The predicted probabilities of prototypes (equation 2) of images as they are: float32 [B, K]."""
        return jax.nn.softmax(self.prototypes(self.project(inputs)) / self.balance["temperature"])


def _first_full(queue_size: int, queue_start: int, steps: int, batch_size: int) -> int:
    """The first step, counted from 0, at which the queue is full."""
    if 0 < queue_size < batch_size:
        raise ValueError(f"queue_size {queue_size} is below the batch_size {batch_size}; 0 is for none")
    if queue_start and not queue_size:
        raise ValueError(f"queue_start {queue_start} needs a queue: set queue_size above 0, or leave it out")
    full = queue_start - (-queue_size // batch_size)
    if queue_size and full >= steps:
        late = f"the queue is full from step {full} on, and the run ends after {steps} steps"
        in_time = full - queue_start < steps
        what = f"queue_start {queue_start} is too late" if in_time else f"queue_size {queue_size} is too large"
        raise ValueError(f"{what}: {late}")
    return full
