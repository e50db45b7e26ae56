"""SimCSE: Gao et al. 2021, Simple Contrastive Learning of Sentence Embeddings, arXiv:2104.08821: without labels."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import losses
from ssl_jax.models import heads, reading, settings


class SimCSE(nnx.Module):
    """Two passes of a sentence with different dropout find each other among those of the batch (section 3).

    The state of [CLS] goes through a layer in training alone, and a mean through none, as in the authors' code.
    """

    reads = ("text",)
    least_batch = 2
    collapse_causes = "config.model.dropout is too small for two passes to differ, or the learning rate too high"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        temperature: float = 0.05,
        pooling: Literal["cls", "mean"] = "cls",
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: a text transformer with dropout, which is all that tells the two passes apart.
          view: gives sequences as they are (`masking.VIEWS['tokens']`).
          temperature: tau of equation 4.
          pooling: what a sentence is: the state of its first token, or the mean over its tokens.
          rngs: source of the parameters.

        Raises:
          ValueError: there is no dropout, the first token sees no other, sequences have two segments, tokens are
            hidden, or a setting is impossible.
        """
        settings.network("simcse", backbone, "embed_tokens", "text_transformer")
        settings.positive(temperature=temperature)
        settings.one_of("pooling", pooling, ("cls", "mean"))
        if pooling == "cls" and backbone.causal:
            raise ValueError("pooling 'cls': the first token of a causal network sees no other; take 'mean'")
        if view.hides or view.told:
            raise ValueError(
                "simcse takes single sentences as they are: set config.views.name to 'tokens' and config.data.layout "
                "to 'sentences'"
            )
        if backbone.dropout == 0:
            raise ValueError("simcse tells two passes apart by dropout: set config.model.dropout to 0.1, not 0")
        self.backbone, self.view, self.temperature, self.pooling = backbone, view, temperature, pooling
        head = dict(initializer_range=backbone.initializer_range, dtype=backbone.dtype)
        self.head = heads.Pooler(backbone.features, **head, rngs=rngs) if pooling == "cls" else None

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Sentences as they are."""
        del key
        return reading.laid_out(batch, self.view.pad_id) | {"tokens": batch["tokens"]}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Equation 4 (`losses.sim_cse`). Held-out sentences are dropped from as well: else both passes were the same.

        `pair_accuracy` is the share of sentences whose other pass is the most similar one of the batch.
        """
        del train
        twice = {name: jnp.concatenate([array, array]) for name, array in views.items()}
        first, second = jnp.split(self._projected(twice, train=True, key=key), 2)
        loss = losses.sim_cse(first, second, temperature=self.temperature)
        return loss, {"pair_accuracy": _found(first, second)}

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Sentences, without dropout and the layer on top: [B, F]."""
        return self._pooled(self.views(inputs, None)).astype(jnp.float32)

    def project(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """What the loss compares, without dropout, for the diagnosis of collapse: [B, F]."""
        return self._projected(self.views(inputs, None))

    def _projected(self, views, **options):
        pooled = self._pooled(views, **options)
        return pooled if self.head is None else self.head(pooled[:, None])

    def _pooled(self, views, **options):
        states = reading.read(self.backbone, views, **options)
        return states[:, 0] if self.pooling == "cls" else reading.mean_of_tokens(states, views["parts"] > 0)


def _found(first: jax.Array, second: jax.Array) -> jax.Array:
    unit = [
        z.astype(jnp.float32) / jnp.linalg.norm(z.astype(jnp.float32), axis=1, keepdims=True) for z in (first, second)
    ]
    similarity = unit[0] @ unit[1].T
    return jnp.mean(similarity.argmax(axis=1) == jnp.arange(first.shape[0]))
