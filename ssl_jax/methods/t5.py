"""T5: Raffel et al. 2020, Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer,
arXiv:1910.10683.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.models import reading


class T5(nnx.Module):
    """The decoder writes the spans that are missing from what the encoder reads (section 3.1.4).

    Each token is guessed from the right ones before it. A row is read as a whole, whatever documents it holds, as in
    the authors' code.
    """

    reads = ("text",)
    guesses = "span_accuracy"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        z_loss: float = 1e-4,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: an encoder and decoder of text.
          view: takes spans out of a sequence (`masking.VIEWS['span_corruption']`).
          z_loss: weight of the term that keeps the logits' log-sum-exp near 0, that of the authors' code.
          rngs: not used, as there is no parameter beside the backbone's.

        Raises:
          ValueError: the backbone has no decoder, the view takes no spans out, or `z_loss` is negative.
        """
        del rngs
        if not hasattr(backbone, "decode"):
            raise ValueError("t5 writes: set config.model.name to 'encoder_decoder'")
        if not getattr(view, "corrupts", False):
            raise ValueError("t5 writes what is taken out: set config.views.name to 'span_corruption'")
        reading.check_one_text("t5", view)
        if z_loss < 0:
            raise ValueError(f"z_loss {z_loss} must be at least 0")
        self.backbone, self.view, self.z_loss = backbone, view, z_loss

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """What is read, and what is to be written (`masking.span_corruption`)."""
        return augment.per_example(self.view.train, key, batch["tokens"])

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Mean cross entropy of what is to be written.

        `span_accuracy` is of the hidden tokens alone: where a span ends, and what stands for the next, is half of it.
        """
        logits = self.logits(views, train=train, key=key)
        loss = losses.span_corruption(logits, views["targets"], views["weights"], z_loss=self.z_loss)
        return loss, {"span_accuracy": reading.accuracy(logits, views["targets"], self._hidden(views))}

    def asked(self, views: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """What n-grams are asked about: the hidden tokens, each with the token before it in the text.

        Returns:
          `tokens` int32 [B, O], those before; `positions` int32 [B, O], one behind each; `targets` and `weights`.
        """
        targets, read, given = views["targets"], views["tokens"], self._given(views["targets"])
        place = jnp.argmax(read[:, None, :] == given[:, :, None], axis=-1)
        before = jnp.take_along_axis(read, jnp.maximum(place - 1, 0), axis=1)
        tokens = jnp.where(self._marked(given), before, given)
        positions = jnp.broadcast_to(1 + jnp.arange(targets.shape[1]), targets.shape)
        return {"tokens": tokens, "positions": positions, "targets": targets, "weights": self._hidden(views)}

    def _hidden(self, views):
        """Weights of what is to be written, 0 where it is no token of the text."""
        return views["weights"] * ~self._marked(views["targets"])

    def _marked(self, tokens):
        return jnp.isin(tokens, jnp.asarray(self.view.marks))

    def _given(self, targets):
        """What is before each target when it is guessed."""
        return jnp.pad(targets[:, :-1], ((0, 0), (1, 0)), constant_values=self.view.pad_id)

    def logits(self, views: dict[str, jax.Array], *, train: bool = False, key: jax.Array | None = None) -> jax.Array:
        """Logits over the vocabulary at every place of what is to be written: [B, O, V].

        The first is guessed from a padding token, the others from the target before them.
        """
        keys = (None, None) if key is None else jax.random.split(key)
        mask = views["tokens"] != self.view.pad_id
        encoded = self.backbone(views["tokens"], None, mask, train=train, key=keys[0])
        decoded = self.backbone.decode(self._given(views["targets"]), encoded, mask, train=train, key=keys[1])
        return self.backbone.logits(decoded)

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Mean of the encoder's last states over the tokens that are no padding: [B, F]."""
        return reading.embed(self.backbone, inputs, self.view.pad_id)

    def embed_layers(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """The same of what each of the encoder's blocks gives: [B, depth, F]."""
        return reading.embed_layers(self.backbone, inputs, self.view.pad_id)
