"""wav2vec 2.0: Baevski et al. 2020, A Framework for Self-Supervised Learning of Speech Representations,
arXiv:2006.11477.
"""

import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses, masking
from ssl_jax.losses.rows import unit_length
from ssl_jax.models import GumbelQuantizer, hearing, mean_square, settings, targets
from ssl_jax.models.initializers import torch_start
from ssl_jax.models.transformer import dropout


class Wav2Vec2(nnx.Module):
    """A transformer tells the quantized form of each hidden frame from those of other hidden frames (section 3)."""

    reads = ("waveform",)

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        start_rate: float = 0.065,
        span: int = 10,
        negatives: int = 100,
        temperature: float = 0.1,
        codebooks: int = 2,
        codes: int = 320,
        code_width: int = 256,
        code_start: Literal["uniform", "normal"] = "uniform",
        projection_width: int = 256,
        gumbel_start: float = 2.0,
        gumbel_end: float = 0.5,
        gumbel_decay: float = 0.999995,
        quantizer_dropout: float = 0.1,
        diversity_weight: float = 0.1,
        feature_penalty: float = 10.0,
        rngs: nnx.Rngs,
    ):
        """
        The defaults are the base model's.

        Args:
          backbone: a waveform transformer.
          view: makes the waveform that is heard (`augment.VIEWS['waveform']`).
          start_rate: p, share of the frames that begin a hidden span (section 4.2).
          span: M, frames of a span.
          negatives: K, distractors of each hidden frame.
          temperature: kappa, of the similarities (equation 3).
          codebooks: G of the quantizer.
          codes: V, entries of each.
          code_width: of a quantized frame.
          code_start: of the codes' entries, 'uniform' as in the official code, or 'normal'; see `GumbelQuantizer`.
          projection_width: of what is compared.
          gumbel_start: tau, temperature of the drawing of codes at the first step.
          gumbel_end: the least it comes down to.
          gumbel_decay: its factor from one step to the next.
          quantizer_dropout: rate on what is quantized.
          diversity_weight: alpha, of the diversity loss (equation 2).
          feature_penalty: of the mean square of what the convolutions give, before it is normalised (section 4.2;
            its weight is the official code's).
          rngs: source of the parameters.

        Raises:
          ValueError: a setting is out of range.
        """
        settings.network("wav2vec2", backbone, "stack", "waveform_transformer")
        settings.share(start_rate=start_rate, gumbel_decay=gumbel_decay)
        hearing.check_span(backbone, view, span)
        settings.at_least(1, span=span, negatives=negatives, projection_width=projection_width)
        settings.positive(temperature=temperature, gumbel_end=gumbel_end)
        settings.at_least(0, diversity_weight=diversity_weight, feature_penalty=feature_penalty)
        settings.probability(quantizer_dropout=quantizer_dropout)
        if gumbel_start < gumbel_end:
            raise ValueError(f"gumbel_start {gumbel_start} is below gumbel_end {gumbel_end}; it comes down to it")
        self.backbone, self.view = backbone, view
        self.start_rate, self.span, self.negatives, self.temperature = start_rate, span, negatives, temperature
        self.gumbel = (gumbel_start, gumbel_end, gumbel_decay)
        self.quantizer_dropout = quantizer_dropout
        self.diversity_weight, self.feature_penalty = diversity_weight, feature_penalty
        self.quantizer = GumbelQuantizer(
            backbone.conv_features, groups=codebooks, codes=codes, width=code_width, start=code_start, rngs=rngs
        )
        linear = lambda inputs: nnx.Linear(inputs, projection_width, **torch_start(inputs), rngs=rngs)
        self.project_context = linear(backbone.features)
        self.project_quantized = linear(code_width)
        self.done = targets.step_count()

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Waveforms, which of their frames are hidden (float32 [B, F]), and the distractors (int32 [B, F, K])."""
        return augment.per_example(self._view, key, batch)

    def _view(self, key, example):
        view_key, span_key, negative_key = jax.random.split(key, 3)
        heard = self.view.train(view_key, example)
        there = hearing.real_frames(self.backbone, heard["waveform"], heard["length"])
        mask = masking.random_spans(span_key, there, start_rate=self.start_rate, span=self.span)
        return {**heard, "mask": mask, "negatives": masking.sample_negatives(negative_key, mask, self.negatives)}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Equation 2: contrastive and diversity loss, means over the hidden frames, and the penalty of features."""
        context_key, code_key, drop_key = jax.random.split(key, 3)
        raw, mask = self.backbone.convolve(views["waveform"], views["length"]), views["mask"]
        frames = self.backbone.frames(views["length"])
        features = self.backbone.feature_norm(raw)
        context = self.backbone.encode(features, frames, mask=mask > 0, train=train, key=context_key)
        heard = dropout(features, self.quantizer_dropout, drop_key if train else None)
        tau = self.gumbel_temperature()
        quantized = self.quantizer(heard, temperature=tau, key=code_key if train else None)
        predictions, truths = self.project_context(context), self.project_quantized(quantized.vectors)
        among = dict(negatives=views["negatives"], weights=mask)
        contrastive = losses.wav2vec2(predictions, truths, **among, temperature=self.temperature)
        diversity = losses.codebook_diversity(quantized.probabilities, mask)
        metrics = {
            "contrastive_loss": contrastive,
            **_accuracy(predictions, truths, quantized.codes, **among),
            "code_perplexity": _perplexity(quantized.codes, self.quantizer.codes, mask),
            "gumbel_temperature": tau,
        }
        loss = contrastive + self.diversity_weight * diversity
        return loss + self.feature_penalty * mean_square(raw, frames), metrics

    def gumbel_temperature(self) -> jax.Array:
        """tau of the step that is next, float32 scalar (section 4.2)."""
        start, end, decay = self.gumbel
        return jnp.maximum(start * jnp.exp(self.done[...] * jnp.float32(math.log(decay))), end)

    def follow(self, step: jax.Array) -> None:
        """The temperature of the codes goes on after step `step` (counted from 0)."""
        self.done[...] = step + 1

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Mean of the network's output over an utterance's frames, none hidden: [B, width]."""
        return hearing.embed(self.backbone, self.view, inputs)

    def embed_layers(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """The same of every block's output: [B, depth, width]."""
        return hearing.embed_layers(self.backbone, self.view, inputs)


def _perplexity(codes, size, mask):
    """How many codes are in use among the hidden frames, mean over the codebooks."""
    return losses.codebook_perplexity(jax.nn.one_hot(codes, size), mask).mean()


def _accuracy(predictions, truths, codes, *, negatives, weights):
    """Share of the hidden frames that are likest to their own quantized frame; those without a distractor fail.

    Beside it, the share that chance would find if all distractors had different codes.
    """
    predictions, truths = (unit_length(jax.lax.stop_gradient(x)) for x in (predictions, truths))
    scores = jnp.einsum("ntd,nsd->nts", predictions, truths, precision=jax.lax.Precision.HIGHEST)
    drawn = jax.vmap(lambda rows, index: rows[index])
    same = jnp.all(drawn(codes, negatives) == codes[:, :, None], -1)
    true = jnp.sum(predictions * truths, -1)
    others = jnp.where(same, -jnp.inf, jnp.take_along_axis(scores, negatives, 2))
    share = lambda right: jnp.sum(right * ~same.all(-1) * weights) / jnp.maximum(weights.sum(), 1)
    by_chance = 1 / (1 + jnp.sum(~same, -1))
    return {
        "contrastive_accuracy": share(true > others.max(-1)),
        "contrastive_accuracy_chance": share(by_chance),
    }
