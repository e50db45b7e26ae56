"""BERT: Devlin et al. 2018, Pre-training of Deep Bidirectional Transformers, arXiv:1810.04805."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.models import heads, reading, settings


class BERT(nnx.Module):
    """Masked language modelling and next-sentence prediction over pairs of segments (section 3.1)."""

    reads = ("text",)
    guesses = "masked_accuracy"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        next_sentence_weight: float = 1.0,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: a text transformer.
          view: hides tokens of one sequence (`masking.VIEWS['bert']`).
          next_sentence_weight: weight of the second task; 0 leaves it out, with its head.
          rngs: source of the parameters.

        Raises:
          ValueError: the view does not say which tokens it hides, the weight is negative, the second task has no
            pairs, or the network has one kind of segment for two.
        """
        settings.network("bert", backbone, "embed_tokens", "text_transformer")
        reading.check_guesses("bert", backbone, view)
        reading.check_segments(backbone, view)
        if next_sentence_weight < 0:
            raise ValueError(f"next_sentence_weight {next_sentence_weight} must be at least 0")
        if next_sentence_weight > 0 and view.told != "next":
            raise ValueError(
                f"next_sentence_weight {next_sentence_weight} needs pairs of segments: set config.data.second_segment "
                "to 'random', or the weight to 0"
            )
        self.backbone, self.view, self.next_sentence_weight = backbone, view, next_sentence_weight
        self.mlm_head = heads.MLMHead(**reading.token_head(backbone), rngs=rngs)
        if next_sentence_weight > 0:
            shared = dict(initializer_range=backbone.initializer_range, dtype=backbone.dtype, rngs=rngs)
            self.pooler = heads.Pooler(backbone.features, **shared)
            self.next_head = heads.NextSentenceHead(backbone.features, **shared)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Sequences with 15% of their tokens hidden, and what stood there (`masking.bert_tokens`)."""
        hidden = augment.per_example(self.view.train, key, batch["tokens"])
        pairs = {"next": batch["next"]} if self.view.told == "next" else {}
        return reading.laid_out(batch, self.view.pad_id) | pairs | hidden

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Sum of the two tasks' mean losses. Logits are made at the hidden positions only."""
        states = reading.read(self.backbone, views, train=train, key=key)
        mlm, metrics = reading.guessed(self.hidden_logits(states, views["positions"]), views)
        if self.next_sentence_weight == 0:
            return mlm, metrics
        next_logits = self.next_head(self.pooler(states))
        nsp = losses.next_sentence(next_logits, views["next"])
        metrics["next_sentence_loss"] = nsp
        metrics["next_sentence_accuracy"] = jnp.mean(next_logits.argmax(-1) == views["next"])
        return mlm + self.next_sentence_weight * nsp, metrics

    def hidden_logits(self, states: jax.Array, positions: jax.Array) -> jax.Array:
        """Logits over the vocabulary at `positions` [B, M] of `states` [B, S, F]: [B, M, V]."""
        return self.mlm_head(reading.at_positions(states, positions), self.backbone.token_embedding)

    def logits_at(self, views: dict[str, jax.Array]) -> jax.Array:
        """Logits over the vocabulary at `positions` int [B, M] of views, without dropout: [B, M, V]."""
        return self.hidden_logits(reading.read(self.backbone, views), views["positions"])

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Mean of the last layer's states over the tokens that are no padding: [B, F]."""
        return reading.embed(self.backbone, inputs, self.view.pad_id)

    def embed_layers(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """The same of what each block gives: [B, depth, F]."""
        return reading.embed_layers(self.backbone, inputs, self.view.pad_id)
