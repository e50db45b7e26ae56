"""Next token: Radford et al. 2018, Improving Language Understanding by Generative Pre-Training; 2019, Language Models
are Unsupervised Multitask Learners (GPT-2)."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import losses
from ssl_jax.models import reading, settings


class NextToken(nnx.Module):
    """Every token is guessed from those before it (Radford et al. 2018, equation 1).

    The token embedding is the output matrix too, without a bias (equation 2).
    """

    reads = ("text",)
    guesses = "next_token_accuracy"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        separate_documents: bool = True,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: a causal text transformer whose embeddings are as wide as its states.
          view: gives sequences as they are (`masking.VIEWS['tokens']`).
          separate_documents: documents packed into one row do not attend to each other, and positions restart with
            each. In GPT-2 a token sees what is before it, whatever document that is from.
          rngs: not used, as there is no parameter beside the backbone's.

        Raises:
          ValueError: the backbone sees what it is to guess, its embeddings have another width, or tokens are hidden.
        """
        del rngs
        settings.network("next_token", backbone, "embed_tokens", "text_transformer")
        if not backbone.causal:
            raise ValueError("next_token guesses what the backbone must not see: set config.model.causal to True")
        if backbone.embedding_width != backbone.features:
            raise ValueError(
                f"next_token scores states by the token embedding: config.model.embedding_width "
                f"{backbone.embedding_width} must be config.model.width {backbone.features}; leave it out"
            )
        if view.hides:
            raise ValueError("next_token takes sequences as they are: set config.views.name to 'tokens'")
        reading.check_one_text("next_token", view)
        self.backbone, self.view, self.separate_documents = backbone, view, separate_documents

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Sequences as they are; and at all `positions` but the first the `targets`, with `weights` 0 at padding.

        With `separate_documents` also at the first token of each document, of which nothing before it tells anything.
        """
        del key
        tokens, laid_out = batch["tokens"], reading.laid_out(batch, self.view.pad_id)
        positions = jnp.broadcast_to(jnp.arange(1, tokens.shape[1], dtype=jnp.int32)[None], tokens[:, 1:].shape)
        parts = laid_out["parts"]
        asked = parts[:, 1:] > 0
        if self.separate_documents:
            asked &= parts[:, 1:] == parts[:, :-1]
        weights = asked.astype(jnp.float32)
        return laid_out | {"tokens": tokens, "positions": positions, "targets": tokens[:, 1:], "weights": weights}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Mean cross entropy of all real tokens but the first of each row."""
        logits = self._logits(views, train=train, key=key)
        loss = losses.masked_lm(logits, views["targets"], views["weights"])
        return loss, {"next_token_accuracy": reading.accuracy(logits, views["targets"], views["weights"])}

    def next_logits(self, views: dict[str, jax.Array]) -> jax.Array:
        """Logits over the vocabulary at all positions but the first, from what is before them, without dropout.

        Returns:
          float32 [B, S - 1, V].
        """
        return self._logits(views)

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Mean of the last layer's states over the tokens that are no padding: [B, F]."""
        return reading.embed(self.backbone, inputs, self.view.pad_id)

    def embed_layers(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """The same of what each block gives: [B, depth, F]."""
        return reading.embed_layers(self.backbone, inputs, self.view.pad_id)

    def _states(self, views, **options):
        return reading.read(self.backbone, views, apart=self.separate_documents, **options)

    def _logits(self, views, **options):
        states, table = self._states(views, **options)[:, :-1], self.backbone.token_embedding
        return jnp.einsum("bsd,vd->bsv", states, table.astype(states.dtype), preferred_element_type=jnp.float32)
