"""BEST-RQ: Chiu et al. 2022, Self-supervised Learning with Random-projection Quantizer for Speech Recognition,
arXiv:2202.01855.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses, masking
from ssl_jax.models import hearing, settings
from ssl_jax.models.convolutions import real
from ssl_jax.models.frame_transformer import STEP


class Fixed(nnx.Variable):
    """What is drawn at the start and never changes."""


class BestRQ(nnx.Module):
    """Predicts the codes that a quantizer which is never trained gives to hidden stretches of speech (section 3).

    The paper's network is a Conformer; here it is any that makes one frame of four, as `FrameTransformer` does.
    """

    reads = ("frames",)

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        codes: int = 8192,
        code_dim: int = 16,
        start_rate: float = 0.04,
        span: int = 10,
        noise: float = 0.1,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: a frame transformer.
          view: makes the frames that are heard (`augment.VIEWS['log_mel_frames']`), of mean 0 and variance 1.
          codes: V of the codebook (section 4.1).
          code_dim: numbers in an entry.
          start_rate: share of the fours of frames that begin a hidden span: 4 times the paper's 0.01 a frame of 10 ms.
          span: fours of a span: 400 ms where frames come every 10 ms.
          noise: deviation of what stands in for hidden frames.
          rngs: source of the parameters, and of projection and codebook.

        Raises:
          ValueError: a setting is out of range, or the backbone has other mels.
        """
        settings.network("best_rq", backbone, "stack", "frame_transformer")
        settings.share(start_rate=start_rate)
        hearing.check_span(backbone, view, span)
        settings.at_least(1, span=span, code_dim=code_dim)
        settings.at_least(2, codes=codes)
        settings.at_least(0, noise=noise)
        if view is not None and view.shape[-1] != backbone.mels:
            raise ValueError(f"config.model.mels is {backbone.mels}, and config.views.mels {view.shape[-1]}")
        self.backbone, self.view = backbone, view
        self.start_rate, self.span, self.noise = start_rate, span, noise
        drawn = losses.init_random_projection_quantizer(
            rngs.params(), STEP * backbone.mels, codes=codes, code_dim=code_dim
        )
        self.random_projection, self.codebook = map(Fixed, drawn)
        self.prediction = nnx.Linear(backbone.features, codes, rngs=rngs)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Frames with stretches of noise, how many are real, which fours are hidden (float32 [B, F]), and all codes."""
        views = augment.per_example(self._view, key, batch)
        stacked = views.pop("stacked")
        quantize = losses.random_projection_quantizer
        return {**views, "codes": quantize(stacked, self.random_projection[...], self.codebook[...])}

    def _view(self, key, example):
        view_key, span_key, noise_key = jax.random.split(key, 3)
        heard = self.view.train(view_key, example)
        frames, fours = heard["frames"], heard["frames"].shape[0] // STEP
        there = hearing.real_frames(self.backbone, frames, heard["length"])
        mask = masking.random_spans(span_key, there, start_rate=self.start_rate, span=self.span)
        hidden = jnp.pad(jnp.repeat(mask, STEP), (0, len(frames) - STEP * fours))
        noise = self.noise * jax.random.normal(noise_key, frames.shape)
        shown = jnp.where(hidden[:, None] > 0, noise, frames)
        stacked = frames[: STEP * fours].reshape(fours, -1)
        return {"frames": shown, "length": heard["length"], "mask": mask, "stacked": stacked}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Cross entropy of the hidden codes (section 3.1)."""
        states = self.backbone(views["frames"], views["length"], train=train, key=key)
        logits, mask, codes = self.prediction(states), views["mask"], views["codes"]
        loss = losses.best_rq(logits, codes, mask)
        there = real(self.backbone.frames(views["length"]), mask.shape[1])
        return loss, hearing.unit_metrics(logits, codes, mask, there=there, counted=there)

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Mean of the network's output over an utterance, nothing hidden: [B, width]."""
        return hearing.embed(self.backbone, self.view, inputs)

    def embed_layers(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """The same of every block's output: [B, depth, width]."""
        return hearing.embed_layers(self.backbone, self.view, inputs)
