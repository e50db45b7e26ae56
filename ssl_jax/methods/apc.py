"""APC: Chung et al. 2019, An Unsupervised Autoregressive Model for Speech Representation Learning, arXiv:1904.03240."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.models import hearing, settings
from ssl_jax.models.convolutions import real
from ssl_jax.models.initializers import torch_start


class APC(nnx.Module):
    """Predicts the frame some steps ahead from all frames so far, like a language model (section 2)."""

    reads = ("frames",)

    def __init__(self, backbone: nnx.Module, view: Any, *, shift: int = 3, rngs: nnx.Rngs):
        """
        Args:
          backbone: a frame GRU, which looks back only.
          view: makes the frames that are heard (`augment.VIEWS['log_mel_frames']`).
          shift: n, how many steps lie between a frame and what is predicted from it.
          rngs: source of the parameters.

        Raises:
          ValueError: shift is below 1 or no less than the frames of a view, or the backbone has other mels.
        """
        settings.network("apc", backbone, "layers", "frame_gru")
        settings.at_least(1, shift=shift)
        if view is not None and shift >= view.shape[0]:
            raise ValueError(f"shift {shift} is no less than the {view.shape[0]} frames of a view")
        if view is not None and view.shape[-1] != backbone.mels:
            raise ValueError(f"config.model.mels is {backbone.mels}, and config.views.mels {view.shape[-1]}")
        self.backbone, self.view, self.shift = backbone, view, shift
        self.prediction = nnx.Linear(backbone.features, backbone.mels, **torch_start(backbone.features), rngs=rngs)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Frames float32 [B, T, mels], and how many are real."""
        return augment.per_example(self.view.train, key, batch)

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Mean absolute error (equation 1).

        Its metrics: `copy_error`, the error of taking the present frame for the one to come, and `copy_skill`, the
        share of that error which the predictions save, below 0 where they are worse, 0 where copying has no error.
        """
        frames, there = views["frames"], real(views["length"], views["frames"].shape[1]).astype(jnp.float32)
        predictions = self.prediction(self.backbone(**views, train=train, key=key))
        loss = losses.apc(predictions, frames, there, shift=self.shift)
        copied = losses.apc(frames, frames, there, shift=self.shift)
        skill = jnp.where(copied > 0, 1 - loss / jnp.where(copied > 0, copied, 1), 0)
        return loss, {"copy_error": copied, "copy_skill": skill}

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Mean of the last GRU's states over an utterance's frames: [B, width]."""
        return hearing.embed(self.backbone, self.view, inputs)

    def embed_layers(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """The same of every GRU: [B, depth, width]."""
        return hearing.embed_layers(self.backbone, self.view, inputs)
