"""CAPI: Darcet et al. 2025, Cluster and Predict Latent Patches for Improved Masked Image Modeling, arXiv:2502.08769."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses, masking
from ssl_jax.losses.rows import unit_length
from ssl_jax.models import heads, settings, targets
from ssl_jax.models.hiding import blocks_hidden
from ssl_jax.models.patches import take_patches
from ssl_jax.models.pooling import share_right
from ssl_jax.models.rotary import patch_places
from ssl_jax.models.teaching import teacher_of
from ssl_jax.models.transformer import how_it_runs


class CAPI(nnx.Module):
    """From one block of an image, predicts which clusters a slowly following teacher's patches elsewhere belong to.

    The clusters are learnt along with the rest: by a linear layer on the teacher's patches, which predicts its own
    balanced assignments (section 3). Details are those of the authors' `train_capi.py`.
    """

    evaluated = "target_backbone"
    collapse_causes = (
        "assignments are not sharpened (target_temperature too high) or the batch is too small to balance them, the "
        "clustering learns too fast (optimizer.apart_rate), or momentum is too low"
    )

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        clusters: int = 16384,
        student_temperature: float = 0.12,
        target_temperature: float = 0.06,
        clustering_temperature: float = 0.12,
        sinkhorn_iterations: int = 3,
        mask_ratio: float = 0.65,
        predicted_share: float = 0.05,
        predictor_depth: int = 12,
        momentum: float = 0.999,
        momentum_warmup_steps: int = 0,
        momentum_stretch: float = 1.0,
        steps: int,
        rngs: nnx.Rngs,
    ):
        """
        The clustering has an optimizer of its own in the authors' runs: `config.optimizer.apart` does that.

        Args:
          backbone: a `RotaryViT`, from which the predictor has its width, heads and stochastic depth.
          view: draws one view of one image (`augment.VIEWS`); a crop and a flip, and no colour.
          clusters: K.
          student_temperature: of the predictions.
          target_temperature: of the assignments.
          clustering_temperature: of what the clustering predicts of them.
          sinkhorn_iterations: how often assignments are balanced.
          mask_ratio: the part of the patches that is hidden (`masking.inverse_block`).
          predicted_share: the part of these that is predicted, rounded down.
          predictor_depth: blocks of the predictor.
          momentum: the teacher's after its warm-up; then it rises to 1 along a cosine.
          momentum_warmup_steps: steps in which it falls to that from 1, along a line; 0 for none.
          momentum_stretch: that cosine ends at this many times the run's length; the run then stops on its way.
          steps: of the whole run.
          rngs: source of the parameters.

        Raises:
          ValueError: the backbone is no `RotaryViT`, or a setting is out of range.
        """
        settings.network("CAPI", backbone, "registers", "rotary_vit")
        settings.positive(student_temperature=student_temperature, target_temperature=target_temperature)
        settings.positive(clustering_temperature=clustering_temperature)
        settings.at_least(1, sinkhorn_iterations=sinkhorn_iterations, momentum_stretch=momentum_stretch)
        settings.at_least(0, momentum_warmup_steps=momentum_warmup_steps)
        settings.at_least(2, clusters=clusters)
        settings.share(predicted_share=predicted_share)
        settings.probability(momentum=momentum)
        hidden = blocks_hidden(backbone, mask_ratio)
        self.visible, self.predicted = backbone.num_patches - hidden, int(hidden * predicted_share + 1e-6)
        if not self.predicted:
            raise ValueError(f"predicted_share {predicted_share} leaves none of {hidden} hidden patches to predict")
        self.backbone, self.view = backbone, view
        self.student_temperature, self.clustering_temperature = student_temperature, clustering_temperature
        self.balance = dict(temperature=target_temperature, iterations=sinkhorn_iterations)
        self.momentum, self.momentum_warmup_steps = momentum, momentum_warmup_steps
        self.momentum_end_step = int(momentum_stretch * steps)
        shape = dict(heads=backbone.heads, mlp_dim=backbone.mlp_dim, drop_path=backbone.drop_path)
        with settings.called_after("predictor", "depth"):
            self.predictor = heads.CAPIPredictor(
                backbone.features, depth=predictor_depth, **shape, **how_it_runs(backbone), rngs=rngs
            )
        start = dict(kernel_init=nnx.initializers.normal(0.02), learn_gains=True)
        shared = dict(dtype=backbone.dtype, rngs=rngs)
        self.head = heads.WeightNormLinear(backbone.features, clusters, **start, **shared)
        self.clustering = heads.OnlineClustering(backbone.features, clusters, **shared)
        self.target_backbone = teacher_of(backbone)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """One view of each image, and numbers of patches: what is seen of it, and what is predicted.

        Returns:
          'image' [B, S, S, C], 'visible' int32 [B, V] and 'predicted' int32 [B, M].
        """
        view_key, mask_key = jax.random.split(key)
        image = augment.per_example(self.view.train, view_key, batch)
        return {"image": image, **augment.per_example(lambda k, _: self._places(k), mask_key, image)}

    def _places(self, key):
        block_key, predicted_key = jax.random.split(key)
        hidden = masking.inverse_block(block_key, self.backbone.grid, self.visible)
        visible = masking.hidden_first(~hidden, self.visible)[0]
        return {"visible": visible, "predicted": masking.some_places(predicted_key, hidden, self.predicted)}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The student's loss and the clustering's, which have no parameter in common."""
        keys = jax.random.split(key)
        # 1. The teacher sees the whole image; its patches are assigned to clusters, balanced at each position.
        patches = jax.lax.stop_gradient(self.target_backbone.tokens(views["image"])[1])
        scores = self.clustering(patches)
        assignments = losses.positionwise_sinkhorn(scores, **self.balance)
        # 2. The clustering learns to predict these.
        clustering_loss = losses.capi(scores, assignments, temperature=self.clustering_temperature)
        # 3. The student sees a block, and predicts the clusters of some patches elsewhere.
        context, context_places = self.backbone.encode(views["image"], seen=views["visible"], train=train, key=keys[0])
        places = jnp.asarray(patch_places(self.backbone.grid))[views["predicted"]]
        found = self.predictor(context, context_places, places, train=train, key=keys[1])
        logits = self.head(unit_length(found))
        wanted = take_patches(assignments, views["predicted"])
        prediction_loss = losses.capi(logits, wanted, temperature=self.student_temperature)
        metrics = {"prediction_loss": prediction_loss, "clustering_loss": clustering_loss}
        return prediction_loss + clustering_loss, metrics | _of_clusters(logits, wanted)

    def follow(self, step: jax.Array) -> None:
        """The teacher follows after step `step` (counted from 0)."""
        targets.follow_all(self, self._momentum(step))

    def _momentum(self, step):
        warmup = self.momentum_warmup_steps
        falling = targets.linear_ramp(step, warmup, 1.0, self.momentum)
        rising = targets.cosine_ramp(step - warmup, self.momentum_end_step - warmup, self.momentum, 1.0)
        return jnp.where(step < warmup, falling, rising)

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Mean of the teacher's patches, of images as they are: [B, F].

        The authors' code gives another vector of a whole image too: the mean of what the predictor's first block finds
        at all places.
        """
        return self.target_backbone(jax.vmap(self.view.evaluate)(inputs))

    def project(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Directions of the same, [B, F]; of directions of patches, scores for clusters are a linear function."""
        return unit_length(self.embed(inputs))

    def assign(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """The share that clusters have in images as they are: probabilities of patches, not balanced, averaged: [B, K].

        Where clusters stand for positions alone, all images have the same.
        """
        patches = self.target_backbone.tokens(jax.vmap(self.view.evaluate)(inputs))[1]
        shares = lambda patches: jax.nn.softmax(self.clustering(patches) / self.balance["temperature"]).mean(0)
        return jax.lax.map(shares, patches)  # one by one: there may be many clusters


def _of_clusters(logits, assignments):
    """What to watch of predictions and targets [B, M, K]: how sharp targets are, how many in use, how many guessed."""
    entropy = lambda q: -jnp.sum(jax.scipy.special.xlogy(q, q), axis=-1)
    return {
        "target_entropy": jnp.mean(entropy(assignments)),
        "cluster_perplexity": jnp.exp(entropy(jnp.mean(assignments, axis=(0, 1)))),
        "cluster_accuracy": share_right(jax.lax.stop_gradient(logits), assignments.argmax(-1)),
    }
