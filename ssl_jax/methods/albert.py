"""ALBERT: Lan et al. 2019, A Lite BERT for Self-supervised Learning of Language Representations, arXiv:1909.11942."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.models import heads, reading, settings


class ALBERT(nnx.Module):
    """Masked language modelling and the order of two segments of one text (section 3.1).

    Narrow embeddings and shared layers are settings of the backbone, runs of hidden words (section 4.1) of the view.
    """

    reads = ("text",)
    guesses = "masked_accuracy"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        sentence_order_weight: float = 1.0,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: a text transformer.
          view: hides tokens of one sequence (`masking.VIEWS['bert']`).
          sentence_order_weight: weight of the second task, above 0.
          rngs: source of the parameters.

        Raises:
          ValueError: the view does not say which tokens it hides, the weight is not positive, or the segments are not
            such that their order is to be told.
        """
        settings.network("albert", backbone, "embed_tokens", "text_transformer")
        reading.check_guesses("albert", backbone, view)
        reading.check_segments(backbone, view)
        if sentence_order_weight <= 0:
            raise ValueError(f"sentence_order_weight {sentence_order_weight} must be above 0; without it take roberta")
        if view.told != "order":
            raise ValueError("albert tells the order of two segments: set config.data.second_segment to 'swapped'")
        self.backbone, self.view, self.sentence_order_weight = backbone, view, sentence_order_weight
        shared = dict(initializer_range=backbone.initializer_range, dtype=backbone.dtype, rngs=rngs)
        self.mlm_head = heads.MLMHead(**reading.token_head(backbone), rngs=rngs)
        self.pooler = heads.Pooler(backbone.features, **shared)
        self.order_head = heads.NextSentenceHead(backbone.features, **shared)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Sequences with 15% of their tokens hidden, what stood there (`masking.bert_tokens`), and `order`."""
        hidden = augment.per_example(self.view.train, key, batch["tokens"])
        return reading.laid_out(batch, self.view.pad_id) | {"order": batch["order"]} | hidden

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Sum of the two tasks' mean losses. Logits are made at the hidden positions only."""
        states = reading.read(self.backbone, views, train=train, key=key)
        mlm, metrics = reading.guessed(self._hidden_logits(states, views), views)
        order_logits = self.order_head(self.pooler(states))
        order = losses.sentence_order(order_logits, views["order"])
        metrics["sentence_order_loss"] = order
        metrics["sentence_order_accuracy"] = jnp.mean(order_logits.argmax(-1) == views["order"])
        return mlm + self.sentence_order_weight * order, metrics

    def logits_at(self, views: dict[str, jax.Array]) -> jax.Array:
        """Logits over the vocabulary at `positions` int [B, M] of views, without dropout: [B, M, V]."""
        return self._hidden_logits(reading.read(self.backbone, views), views)

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Mean of the last layer's states over the tokens that are no padding: [B, F]."""
        return reading.embed(self.backbone, inputs, self.view.pad_id)

    def embed_layers(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """The same of what each block gives: [B, depth, F]."""
        return reading.embed_layers(self.backbone, inputs, self.view.pad_id)

    def _hidden_logits(self, states, views):
        return self.mlm_head(reading.at_positions(states, views["positions"]), self.backbone.token_embedding)
