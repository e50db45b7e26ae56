"""BERT: Devlin et al. 2018, Pre-training of Deep Bidirectional Transformers, arXiv:1810.04805."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.models import heads


class BERT(nnx.Module):
    """Masked language modelling and next-sentence prediction over pairs of segments (section 3.1)."""

    reads = ("text",)

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
          ValueError: the weight is negative, or the second task has no pairs.
        """
        if next_sentence_weight < 0:
            raise ValueError(f"next_sentence_weight {next_sentence_weight} must be at least 0")
        if next_sentence_weight > 0 and not view.pairs:
            raise ValueError(
                f"next_sentence_weight {next_sentence_weight} needs pairs of segments: set config.data.second_segment "
                "to 'random', or the weight to 0"
            )
        self.backbone, self.view, self.next_sentence_weight = backbone, view, next_sentence_weight
        shared = dict(initializer_range=backbone.initializer_range, dtype=backbone.dtype, rngs=rngs)
        self.mlm_head = heads.MLMHead(backbone.features, backbone.vocab_size, **shared)
        if next_sentence_weight > 0:
            self.pooler = heads.Pooler(backbone.features, **shared)
            self.next_head = heads.NextSentenceHead(backbone.features, **shared)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Sequences with 15% of their tokens hidden, and what stood there (`masking.bert_tokens`)."""
        hidden = augment.per_example(self.view.train, key, batch["tokens"])
        attend = batch["tokens"] != self.view.pad_id
        pairs = {"next": batch["next"]} if self.view.pairs else {}
        return {"segments": batch["segments"], "attend": attend, **pairs, **hidden}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Sum of the two tasks' mean losses. Logits are made at the hidden positions only."""
        states = self.backbone(views["tokens"], views["segments"], views["attend"], train=train, key=key)
        logits, weights = self.hidden_logits(states, views["positions"]), views["weights"]
        mlm = losses.masked_lm(logits, views["targets"], weights)
        right = (logits.argmax(-1) == views["targets"]) * weights
        metrics = {"masked_lm_loss": mlm, "masked_accuracy": right.sum() / jnp.maximum(weights.sum(), 1)}
        if self.next_sentence_weight == 0:
            return mlm, metrics
        next_logits = self.next_head(self.pooler(states))
        nsp = losses.next_sentence(next_logits, views["next"])
        metrics["next_sentence_loss"] = nsp
        metrics["next_sentence_accuracy"] = jnp.mean(next_logits.argmax(-1) == views["next"])
        return mlm + self.next_sentence_weight * nsp, metrics

    def hidden_logits(self, states: jax.Array, positions: jax.Array) -> jax.Array:
        """Logits over the vocabulary at `positions` [B, M] of `states` [B, S, F]: [B, M, V]."""
        there = jnp.take_along_axis(states, positions[:, :, None], axis=1)
        return self.mlm_head(there, self.backbone.token_embedding)

    def fill(self, batch: dict[str, jax.Array], key: jax.Array, *, top: int = 3) -> dict[str, jax.Array]:
        """For looking at: hides tokens and fills them in.

        Returns:
          The views, and `best` int32 [B, M, top]: the likeliest tokens at each hidden position, best first.
        """
        views = self.views(batch, key)
        states = self.backbone(views["tokens"], views["segments"], views["attend"])
        return {**views, "best": jax.lax.top_k(self.hidden_logits(states, views["positions"]), top)[1]}

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Mean of the last layer's states over the tokens that are no padding: [B, F]."""
        attend = inputs["tokens"] != self.view.pad_id
        states = self.backbone(inputs["tokens"], inputs["segments"], attend).astype(jnp.float32)
        weights = attend[:, :, None].astype(jnp.float32)
        return (states * weights).sum(1) / jnp.maximum(weights.sum(1), 1)
