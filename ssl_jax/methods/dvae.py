"""Discrete VAE: Ramesh et al. 2021, Zero-Shot Text-to-Image Generation, arXiv:2102.12092."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.models import PixelDecoder, settings, targets
from ssl_jax.models.pooling import target_metrics


class DVAE(nnx.Module):
    """A picture through a grid of tokens and back (section 2.1): its encoder is the tokenizer of BEiT.

    Tokens are drawn from a softened softmax that sharpens over the run, in the forward pass as well, as the authors
    do. They also average the weights over steps (0.999, appendix A.2), which is not done here.
    """

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        code_width: int = 128,
        gumbel_start: float = 1.0,
        gumbel_end: float = 1 / 16,
        gumbel_steps: int = 150_000,
        kl_weight: float = 6.6,
        kl_warmup_steps: int = 5000,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: a visual tokenizer; the decoder has its sizes.
          view: draws one view of one picture (`augment.VIEWS`).
          code_width: of a token's vector, in the decoder.
          gumbel_start: tau, temperature of the drawing of tokens at the first step.
          gumbel_end: what it comes down to, along half a cosine.
          gumbel_steps: in how many steps.
          kl_weight: beta, of the divergence from the uniform prior; rises from 0 along half a cosine.
          kl_warmup_steps: in how many steps.
          rngs: source of the parameters.

        Raises:
          ValueError: the backbone is no visual tokenizer, a setting is out of range, or there are no pictures.
        """
        settings.network("dvae", backbone, "factor", "visual_tokenizer")
        settings.positive(gumbel_end=gumbel_end)
        settings.at_least(0, gumbel_steps=gumbel_steps, kl_weight=kl_weight, kl_warmup_steps=kl_warmup_steps)
        if gumbel_start < gumbel_end:
            raise ValueError(f"gumbel_start {gumbel_start} is below gumbel_end {gumbel_end}; it comes down to it")
        if not hasattr(view, "normalized"):
            raise ValueError("dvae paints pictures, whose pixels have bounds: set config.data.modality to 'image'")
        self.backbone, self.view = backbone, view
        self.gumbel, self.kl = (gumbel_start, gumbel_end, gumbel_steps), (kl_weight, kl_warmup_steps)
        same = ("vocab_size", "width", "blocks", "factor", "channels", "dtype")
        sizes = {name: getattr(backbone, name) for name in same}
        self.decoder = PixelDecoder(**sizes, code_width=code_width, rngs=rngs)
        self.done = targets.step_count()

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """One view of each picture, in the view's normalised units: `image`."""
        return {"image": augment.per_example(self.view.train, key, batch)}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Equation 1, negative, over the number of a picture's values (appendix A.2)."""
        pixels, tau, beta = self.view.displayable(views["image"]), self.gumbel_temperature(), self.divergence_weight()
        logits = self.backbone.logits(losses.map_pixels(pixels))
        shares = jax.nn.softmax((logits + jax.random.gumbel(key, logits.shape)) / tau) if train else _chosen(logits)
        decoded = self.decoder(shares)
        reconstruction, divergence = losses.logit_laplace(decoded, pixels), losses.uniform_divergence(logits)
        values = self.backbone.factor**2 * self.backbone.channels  # of a cell
        metrics = {
            "reconstruction_loss": reconstruction,
            "target_skill": _saved(_painted(decoded), pixels),
            "token_divergence": divergence,
            "code_perplexity": _perplexity(logits),
            "gumbel_temperature": tau,
            "divergence_weight": beta,
        }
        return reconstruction + beta / values * divergence, metrics

    def gumbel_temperature(self) -> jax.Array:
        """tau of the step that is next, float32 scalar (appendix A.2)."""
        start, end, steps = self.gumbel
        return targets.cosine_ramp(self.done[...], steps, start, end)

    def divergence_weight(self) -> jax.Array:
        """beta of the step that is next, float32 scalar (appendix A.2)."""
        end, steps = self.kl
        return targets.cosine_ramp(self.done[...], steps, 0.0, end)

    def follow(self, step: jax.Array) -> None:
        """Temperature and weight go on after step `step` (counted from 0)."""
        self.done[...] = step + 1

    def reconstruct(self, batch: dict[str, jax.Array], key: jax.Array) -> tuple[jax.Array, None, jax.Array]:
        """For looking at: the pictures, nothing (none is hidden), and what their likeliest tokens decode to.

        Returns:
          float32 [B, S, S, C], None, float32 [B, S, S, C], in the view's normalised units.
        """
        del key
        images = jax.vmap(self.view.evaluate)(batch)
        logits = self.backbone.logits(losses.map_pixels(self.view.displayable(images)))
        return images, None, self.view.normalized(_painted(self.decoder(_chosen(logits))))

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Mean over the grid of what the encoder makes its logits of (not the tokens' vectors): [B, F]."""
        return self.backbone(losses.map_pixels(self.view.displayable(jax.vmap(self.view.evaluate)(inputs))))


def _painted(decoded):
    """Pixels in [0, 1] at the places where the decoder's distributions have their middle."""
    location, _ = jnp.split(decoded.astype(jnp.float32), 2, axis=-1)
    return losses.unmap_pixels(jax.nn.sigmoid(location))


def _saved(painted, pixels):
    """The share of the squared error of the mean colour that is saved."""
    rows = lambda x: x.reshape(len(x), -1, x.shape[-1])
    return target_metrics(rows(painted), rows(pixels), jnp.ones(rows(pixels).shape[:2]))["target_skill"]


def _chosen(logits):
    """The likeliest token of each cell, as shares."""
    return jax.nn.one_hot(jnp.argmax(logits, -1), logits.shape[-1])


def _perplexity(logits):
    """How many tokens are in use, where each cell has its likeliest."""
    chosen = _chosen(jax.lax.stop_gradient(logits))
    chosen = chosen.reshape(len(chosen), -1, 1, chosen.shape[-1])
    return losses.codebook_perplexity(chosen, jnp.ones(chosen.shape[:2]))[0]
