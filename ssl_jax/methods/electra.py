"""ELECTRA: Clark et al. 2020, Pre-training Text Encoders as Discriminators Rather Than Generators, arXiv:2003.10555."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.models import heads, reading, settings


class ELECTRA(nnx.Module):
    """A small generator fills in hidden tokens; the backbone tells of every token whether it was replaced (section 2).

    The two share their embeddings: of tokens, positions and segments, and their normalisation (section 3.2 and the
    authors' code). No gradient goes through what is drawn.
    """

    reads = ("text",)
    guesses = "masked_accuracy"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        generator_fraction: float = 0.25,
        discriminator_weight: float = 50.0,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: a text transformer, the discriminator.
          view: hides tokens of one sequence (`masking.VIEWS['bert']`).
          generator_fraction: width, heads and hidden units of the generator, as a fraction of the backbone's; it has
            as many layers (section 3.2: 1/4 to 1/2 is best).
          discriminator_weight: of the discriminator's loss beside the generator's (lambda in equation 4).
          rngs: source of the parameters.

        Raises:
          ValueError: the view does not say which tokens it hides, the fraction leaves no width that its heads divide,
            or the weight is not positive.
        """
        settings.network("electra", backbone, "embed_tokens", "text_transformer")
        reading.check_guesses("electra", backbone, view)
        reading.check_one_text("electra", view)
        if not 0 < generator_fraction <= 1:
            raise ValueError(f"generator_fraction {generator_fraction} is not above 0 and at most 1")
        width, number = (max(1, round(generator_fraction * size)) for size in (backbone.features, backbone.heads))
        if width % number:
            raise ValueError(
                f"generator_fraction {generator_fraction} gives a width of {width} and {number} heads, which do not "
                "divide it; take a fraction that leaves whole heads"
            )
        if discriminator_weight <= 0:
            raise ValueError(f"discriminator_weight {discriminator_weight} must be above 0")
        self.backbone, self.view, self.discriminator_weight = backbone, view, discriminator_weight
        self.generator = backbone.smaller(generator_fraction, rngs=rngs)
        self.mlm_head = heads.MLMHead(**reading.token_head(self.generator), rngs=rngs)
        self.replaced_head = heads.ReplacedTokenHead(backbone.features, **reading.of_kind(backbone), rngs=rngs)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Sequences with 15% of their tokens hidden (`masking.bert_tokens`), and the `original` ones."""
        hidden = augment.per_example(self.view.train, key, batch["tokens"])
        return reading.laid_out(batch, self.view.pad_id) | {"original": batch["tokens"]} | hidden

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The generator's loss, plus the weighted one of the discriminator over all real tokens (equation 4).

        Few tokens are replaced, so that a discriminator that has learnt much may still call none of them replaced;
        with `train=False` there is `replaced_auc` too, which asks only for their order within the batch.
        """
        keys = jax.random.split(key, 3)
        logits = self.logits_at(views, train=train, key=keys[0])
        generator_loss, metrics = reading.guessed(logits, views)
        tokens = filled(keys[1], views, logits)
        replaced, real = tokens != views["original"], views["parts"] > 0
        found = self.replaced_head(reading.read(self.backbone, views | {"tokens": tokens}, train=train, key=keys[2]))
        loss = losses.replaced_tokens(found, replaced, real)
        metrics["replaced_loss"] = loss
        metrics["replaced_accuracy"] = _share((found > 0) == replaced, real)
        metrics["replaced_found"] = _share(found > 0, replaced & real)
        if not train:
            metrics["replaced_auc"] = area_under_curve(found, replaced & real, ~replaced & real)
        return generator_loss + self.discriminator_weight * loss, metrics

    def logits_at(self, views: dict[str, jax.Array], *, train: bool = False, key: jax.Array | None = None) -> jax.Array:
        """The generator's logits over the vocabulary at `positions` int [B, M] of views: [B, M, V]."""
        states = reading.read(self.generator, views, train=train, key=key)
        return self.mlm_head(reading.at_positions(states, views["positions"]), self.generator.token_embedding)

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Mean of the discriminator's last states over the tokens that are no padding: [B, F]."""
        return reading.embed(self.backbone, inputs, self.view.pad_id)

    def embed_layers(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """The same of what each block gives: [B, depth, F]."""
        return reading.embed_layers(self.backbone, inputs, self.view.pad_id)


def filled(key: jax.Array, views: dict[str, jax.Array], logits: jax.Array) -> jax.Array:
    """The original tokens, with ones drawn from softmax(logits) at the hidden positions (equation 1).

    The largest of logits plus Gumbel noise is such a draw.

    Args:
      key: of the draws.
      views: `original` int [B, S], and of the hidden tokens `positions` and `weights` [B, M].
      logits: [B, M, V].

    Returns:
      int32 [B, S]. The draw may be the original token, which then counts as not replaced.
    """
    drawn = jnp.argmax(logits + jax.random.gumbel(key, logits.shape), axis=-1).astype(jnp.int32)
    outside = views["original"].shape[1]  # a scatter drops what is out of range
    places = jnp.where(views["weights"] > 0, views["positions"], outside)
    put = lambda row, places, drawn: row.at[places].set(drawn, mode="drop")
    return jax.vmap(put)(views["original"], places, drawn)


def _share(right: jax.Array, counted: jax.Array) -> jax.Array:
    """Of the places that are counted, both bool [B, S], the share that is right."""
    return jnp.sum(right & counted) / jnp.maximum(jnp.sum(counted), 1)


def area_under_curve(scores: jax.Array, positive: jax.Array, negative: jax.Array) -> jax.Array:
    """How often a positive scores higher than a negative, a tie counting half: the area under the ROC curve.

    Args:
      scores: float [...].
      positive: bool [...].
      negative: bool [...]; what is neither is left out.

    Returns:
      A float32 scalar in 0..1; 0.5 where there are no positives or no negatives.
    """
    ranked = jnp.sort(jnp.where(negative, scores, jnp.inf), axis=None)
    lower, not_higher = (jnp.searchsorted(ranked, scores, side=side) for side in ("left", "right"))
    positives, negatives = positive.sum(), negative.sum()
    share = jnp.sum((lower + not_higher) / 2 / jnp.maximum(negatives, 1), where=positive) / jnp.maximum(positives, 1)
    return jnp.where((positives > 0) & (negatives > 0), share, 0.5)
