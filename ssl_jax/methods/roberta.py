"""RoBERTa: Liu et al. 2019, A Robustly Optimized BERT Pretraining Approach, arXiv:1907.11692."""

from typing import Any

import jax
from flax import nnx

from ssl_jax import augment
from ssl_jax.models import heads, reading, settings


class RoBERTa(nnx.Module):
    """Masked language modelling alone, over rows filled with whole sentences, with masks drawn anew at every step.

    Section 4: dynamic masks (4.1) are those of all our views; FULL-SENTENCES (4.2) is `config.data.layout`.
    """

    reads = ("text",)
    guesses = "masked_accuracy"

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
          backbone: a text transformer.
          view: hides tokens of one sequence (`masking.VIEWS['bert']`).
          separate_documents: documents packed into one row do not attend to each other, and positions restart with
            each. The paper's rows are attended to as a whole.
          rngs: source of the parameters.

        Raises:
          ValueError: the view does not say which tokens it hides, sequences have two segments that are to be told
            about.
        """
        settings.network("roberta", backbone, "embed_tokens", "text_transformer")
        reading.check_guesses("roberta", backbone, view)
        reading.check_one_text("roberta", view)
        self.backbone, self.view, self.separate_documents = backbone, view, separate_documents
        self.mlm_head = heads.MLMHead(**reading.token_head(backbone), rngs=rngs)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Rows with 15% of their tokens hidden, and what stood there (`masking.bert_tokens`)."""
        hidden = augment.per_example(self.view.train, key, batch["tokens"])
        return reading.laid_out(batch, self.view.pad_id) | hidden

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Mean cross entropy of the hidden tokens. Logits are made at their positions only."""
        return reading.guessed(self._logits(views, train=train, key=key), views)

    def logits_at(self, views: dict[str, jax.Array]) -> jax.Array:
        """Logits over the vocabulary at `positions` int [B, M] of views, without dropout: [B, M, V]."""
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
        hidden = reading.at_positions(self._states(views, **options), views["positions"])
        return self.mlm_head(hidden, self.backbone.token_embedding)
