"""CPC: van den Oord et al. 2018, Representation Learning with Contrastive Predictive Coding, arXiv:1807.03748."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses, masking
from ssl_jax.models import hearing, mean_of_frames, settings
from ssl_jax.models.convolutions import real
from ssl_jax.models.initializers import torch_start


class CPC(nnx.Module):
    """What was heard so far tells the encodings of the next frames from others of the utterance (section 2, 3.1)."""

    reads = ("waveform",)

    def __init__(self, backbone: nnx.Module, view: Any, *, steps_ahead: int = 12, negatives: int = 128, rngs: nnx.Rngs):
        """
        Args:
          backbone: a waveform GRU.
          view: makes the waveform that is heard (`augment.VIEWS['waveform']`).
          steps_ahead: K, how many of the next frames are predicted, each by a matrix of its own (equation 3).
          negatives: other frames of the same utterance that the true one is told from. The paper does not say how many;
            128 is the number in its reimplementation CPC_audio (Riviere et al. 2020).
          rngs: source of the parameters.

        Raises:
          ValueError: a setting is below 1, or views are too short.
        """
        settings.network("cpc", backbone, "gru", "waveform_gru")
        settings.at_least(1, steps_ahead=steps_ahead, negatives=negatives)
        if view is not None and backbone.frames(view.shape[0]) <= steps_ahead:
            few = f"the {backbone.frames(view.shape[0])} frames of a view; lower it or raise config.data.seconds"
            raise ValueError(f"steps_ahead {steps_ahead} is no less than {few}")
        self.backbone, self.view, self.steps_ahead, self.negatives = backbone, view, steps_ahead, negatives
        kernel_init, outputs = torch_start(backbone.features)["kernel_init"], steps_ahead * backbone.conv_features
        self.prediction = nnx.Linear(backbone.features, outputs, use_bias=False, kernel_init=kernel_init, rngs=rngs)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Waveforms, and for each frame the places of others (int32 [B, F, N])."""
        return augment.per_example(self._view, key, batch)

    def _view(self, key, example):
        view_key, negative_key = jax.random.split(key)
        heard = self.view.train(view_key, example)
        there = hearing.real_frames(self.backbone, heard["waveform"], heard["length"])
        return {**heard, "negatives": masking.sample_negatives(negative_key, there, self.negatives)}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """InfoNCE over all frames and steps ahead (equation 4)."""
        del key, train  # nothing is dropped
        encodings = self.backbone.convolve(views["waveform"], views["length"])
        contexts = self.backbone.gru(encodings)
        there = real(self.backbone.frames(views["length"]), encodings.shape[1]).astype(jnp.float32)
        shape = (*contexts.shape[:2], self.steps_ahead, encodings.shape[2])
        predictions = self.prediction(contexts).reshape(shape)
        loss = losses.cpc(predictions, encodings, views["negatives"], there)
        return loss, _accuracy(predictions, encodings, views["negatives"], there)

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Mean of the GRU's states over an utterance's frames: [B, width]."""
        return hearing.embed(self.backbone, self.view, inputs)

    def embed_layers(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Means of what the convolutions give, and of the GRU's states, the narrower with zeros behind: [B, 2, W]."""
        heard = jax.vmap(self.view.evaluate)(inputs)
        encodings, frames = self.backbone.convolve(**heard), self.backbone.frames(heard["length"])
        layers = [mean_of_frames(x, frames) for x in (encodings, self.backbone.gru(encodings))]
        width = max(layer.shape[1] for layer in layers)
        return jnp.stack([jnp.pad(layer, ((0, 0), (0, width - layer.shape[1]))) for layer in layers], axis=1)


def _accuracy(predictions, encodings, negatives, there):
    """Share of the predictions, of all steps ahead, that score their own frame above all others.

    A draw of negatives serves all steps; where it holds the frame of a step itself, that is no other. Beside it, the
    share that chance would find if all that is drawn were different frames.
    """
    predictions, encodings = jax.lax.stop_gradient((predictions, encodings))
    scores = jnp.einsum("ntkd,nsd->ntks", predictions, encodings, precision=jax.lax.Precision.HIGHEST)
    count, (length, steps) = jnp.float32(0), scores.shape[1:3]
    right = by_chance = jnp.float32(0)
    for step in range(steps):
        ahead = jnp.minimum(jnp.arange(length) + step + 1, length - 1)
        paired = there * there[:, ahead] * (jnp.arange(length) + step + 1 < length)[None]
        of_step = scores[:, :, step]
        true = jnp.take_along_axis(of_step, jnp.broadcast_to(ahead[None, :, None], (*there.shape, 1)), 2)[:, :, 0]
        own = negatives == ahead[None, :, None]
        others = jnp.where(own, -jnp.inf, jnp.take_along_axis(of_step, negatives, 2))
        right += jnp.sum(paired * (true > others.max(-1)))
        by_chance += jnp.sum(paired / (1 + jnp.sum(~own, -1)))
        count += jnp.sum(paired)
    shares = {"contrastive_accuracy": right, "contrastive_accuracy_chance": by_chance}
    return {name: sum_ / jnp.maximum(count, 1) for name, sum_ in shares.items()}
