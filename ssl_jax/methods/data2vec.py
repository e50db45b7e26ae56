"""data2vec (speech): Baevski et al. 2022, data2vec: A General Framework for Self-supervised Learning in Speech, Vision
and Language, arXiv:2202.03555."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.models import hearing, settings, targets
from ssl_jax.models.convolutions import real
from ssl_jax.models.pooling import target_metrics


class Data2Vec(nnx.Module):
    """Predicts, at hidden frames, what a slowly following copy of the blocks makes of the whole utterance (section 3).

    Teacher and student share what comes before the blocks (section 3.2). What is predicted is the mean of the teacher's
    last blocks, of each the output of its MLP before it is added to what goes on, as in the official code.
    """

    reads = ("waveform",)
    collapse_causes = "momentum is too low at the start, the learning rate too high, or spans are too short"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        top: int = 8,
        momentum: float = 0.999,
        momentum_end: float = 0.9999,
        momentum_steps: int = 30_000,
        beta: float = 0.0,
        start_rate: float = 0.065,
        span: int = 10,
        rngs: nnx.Rngs,
    ):
        """
        The defaults are those of the base model of speech.

        Args:
          backbone: a waveform transformer.
          view: makes the waveform that is heard (`augment.VIEWS['waveform']`).
          top: K, how many of the teacher's last blocks are averaged.
          momentum: tau_0, the teacher's momentum at the first step.
          momentum_end: tau_e, what it rises to along a line.
          momentum_steps: tau_n, in how many steps.
          beta: where the loss turns from a square into a line; 0: the squared error (section 4.2).
          start_rate: share of the frames that begin a hidden span.
          span: frames of a span.
          rngs: source of the parameters.

        Raises:
          ValueError: a setting is out of range.
        """
        settings.network("data2vec", backbone, "stack", "waveform_transformer")
        settings.share(start_rate=start_rate)
        hearing.check_span(backbone, view, span)
        settings.at_least(1, span=span)
        settings.at_least(0, beta=beta, momentum_steps=momentum_steps)
        settings.momenta(momentum, momentum_end)
        settings.last_blocks(top, backbone.stack.depth)
        self.backbone, self.view, self.top, self.beta = backbone, view, top, beta
        self.momentum = (momentum, momentum_end, momentum_steps)
        self.start_rate, self.span = start_rate, span
        self.prediction = nnx.Linear(backbone.features, backbone.features, rngs=rngs)
        self.teacher_norm = targets.target_copy(backbone.norm)
        self.teacher = targets.target_copy(backbone.stack)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Waveforms, and which of their frames are hidden from the student (float32 [B, F])."""
        return augment.per_example(self._view, key, batch)

    def _view(self, key, example):
        spans = dict(start_rate=self.start_rate, span=self.span)
        return hearing.hidden_spans(self.backbone, self.view, key, example, **spans)

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Squared error at the hidden frames (section 3.4)."""
        features = self.backbone.feature_norm(self.backbone.convolve(views["waveform"], views["length"]))
        frames, mask = self.backbone.frames(views["length"]), views["mask"]
        states = self.backbone.encode(features, frames, mask=mask > 0, train=train, key=key)
        predictions = self.prediction(states.astype(jnp.float32))
        truths = jax.lax.stop_gradient(self.targets(features, frames))
        loss = losses.data2vec(predictions, truths, mask, beta=self.beta)
        return loss, target_metrics(predictions, truths, mask)

    def targets(self, features: jax.Array, frames: jax.Array) -> jax.Array:
        """What is to be predicted: the mean of the teacher's last blocks, each normalised over time, [B, F, width].

        Args:
          features: [B, F, conv_features], normalised, of the whole utterance.
          frames: int [B], how many are real.
        """
        x, there = self.backbone.embed_frames(features, frames), real(frames, features.shape[1])
        x = x if self.backbone.norm_first else self.teacher_norm(x).astype(x.dtype)
        branches = self.teacher.states(x, there, of="branches")
        return losses.average_layers(list(branches), top=self.top, normalize="instance", weights=there)

    def follow(self, step: jax.Array) -> None:
        """The teacher follows after step `step` (counted from 0): equation 1."""
        start, end, steps = self.momentum
        momentum = targets.linear_ramp(step, steps, start, end)
        targets.follow(self.teacher, self.backbone.stack, momentum)
        targets.follow(self.teacher_norm, self.backbone.norm, momentum)

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Mean of the student's output over an utterance's frames, none hidden: [B, width]."""
        return hearing.embed(self.backbone, self.view, inputs)

    def embed_layers(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """The same of every block's output: [B, depth, width]."""
        return hearing.embed_layers(self.backbone, self.view, inputs)
