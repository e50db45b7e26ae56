"""HuBERT: Hsu et al. 2021, Self-Supervised Speech Representation Learning by Masked Prediction of Hidden Units,
arXiv:2106.07447.
"""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ssl_jax import augment, losses, models
from ssl_jax.augment import spectrogram
from ssl_jax.data import progress
from ssl_jax.errors import UserError
from ssl_jax.models import earlier_run, hearing, mean_square, settings, targets
from ssl_jax.models.convolutions import real
from ssl_jax.models.initializers import torch_start

_COEFFICIENTS, _MELS, _LIFTER = 13, 23, 22  # of torchaudio's Kaldi cepstra, which the official code clusters
_ROWS = 32  # examples described at once before training


class Centroids(nnx.Variable):
    """Middles of clusters, float32 [C, D]; fitted before the first step and never changed."""


class HuBERT(nnx.Module):
    """Predicts the cluster of each hidden frame; clusters are of cepstra first, then of an earlier run's features.

    The two iterations of the paper are two runs: one with `teacher=None`, and one whose `teacher` is the folder of the
    first. The official code clusters once and keeps the labels; here the centroids and the teacher are part of the
    state, and a frame's label is made of what is heard, when it is heard, so that crops can begin anywhere.
    """

    reads = ("waveform",)

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        teacher: str | None = None,
        layer: int = 6,
        clusters: int = 100,
        fit_examples: int = 2000,
        fit_frames: int | None = None,
        start_rate: float = 0.08,
        span: int = 10,
        temperature: float = 0.1,
        projection_width: int = 256,
        alpha: float = 1.0,
        feature_penalty: float = 10.0,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: a waveform transformer.
          view: makes the waveform that is heard (`augment.VIEWS['waveform']`).
          teacher: folder of a run whose network's features are clustered (`evaluate` and `export` take what the run
            itself keeps of that one's config, WORKDIR/teacher, in its place), or its config file
            (`models.earlier_run`); None: 39 cepstra (13, their slopes, and the slopes of these) every half frame, of
            which every second one has a label.
          layer: block of the teacher whose output is clustered, counted from 1 (section 4.2: 6, then 9).
          clusters: C (section 4.2: 100 of cepstra, then 500).
          fit_examples: of the training split, evenly spread over it, that k-means sees.
          fit_frames: of these at most so many frames, an equal number of each example, spread evenly over it, as memory
            has room; None: all.
          start_rate: share of the frames that begin a hidden span.
          span: frames of a span.
          temperature: tau, of the similarities to the codewords.
          projection_width: of codewords.
          alpha: the hidden frames' part of the loss; 1: nothing but these count.
          feature_penalty: of the mean square of what the convolutions give (10 in the official code).
          rngs: source of the parameters.

        Raises:
          ValueError: a setting is out of range, or the teacher's folder, layer or frames do not fit.
        """
        settings.network("hubert", backbone, "stack", "waveform_transformer")
        settings.share(start_rate=start_rate)
        hearing.check_span(backbone, view, span)
        settings.at_least(1, span=span, layer=layer, fit_examples=fit_examples, projection_width=projection_width)
        settings.at_least(2, clusters=clusters)
        if fit_frames is not None:
            settings.at_least(fit_examples, fit_frames=fit_frames)
        settings.positive(temperature=temperature)
        settings.at_least(0, feature_penalty=feature_penalty)
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha {alpha} is not in 0 <= alpha <= 1")
        self.backbone, self.view = backbone, view
        self.start_rate, self.span, self.temperature = start_rate, span, temperature
        self.alpha, self.feature_penalty = alpha, feature_penalty
        self.fit_examples, self.fit_frames, self.teacher_folder = fit_examples, fit_frames, teacher
        self.teacher = nnx.data(None) if teacher is None else _network(teacher, layer, view, rngs)
        _check_hops(self.teacher, backbone.hop)
        width = 3 * _COEFFICIENTS if self.teacher is None else self.teacher.features
        self.centroids = Centroids(jnp.zeros((clusters, width)))
        self.codewords = nnx.Param(jax.random.uniform(rngs.params(), (clusters, projection_width)))
        self.projection = nnx.Linear(backbone.features, projection_width, **torch_start(backbone.features), rngs=rngs)

    def prepare(self, source: Any, seed: int) -> None:
        """Fits the clusters, before the first step: MiniBatchKMeans of scikit-learn, with the official settings.

        Args:
          source: the training split.
          seed: of the run.

        Raises:
          UserError: there are fewer frames than clusters.
        """
        from sklearn.cluster import MiniBatchKMeans

        frames, clusters = self.frames_of(source), self.centroids.shape[0]
        if len(frames) < clusters:
            raise UserError(f"config.method.clusters is {clusters}, and there are {len(frames)} frames to cluster.")
        fit = MiniBatchKMeans(
            clusters, max_iter=100, batch_size=10_000, tol=0.0, max_no_improvement=100, n_init=20,
            reassignment_ratio=0.0, random_state=seed,
        ).fit(frames)  # fmt: skip
        self.centroids[...] = jnp.asarray(fit.cluster_centers_, jnp.float32)

    def frames_of(self, source: Any) -> np.ndarray:
        """What is clustered: float32 [frames, D] of `fit_examples` examples of a split."""
        rows = np.linspace(0, len(source) - 1, min(self.fit_examples, len(source))).astype(np.int64)
        describe = nnx.jit(lambda method, batch: method.describe(jax.vmap(method.view.evaluate)(batch)))
        longest, width = int(self.backbone.frames(source.spec.shapes["waveform"][0])), self.centroids.shape[1]
        of_each = longest if self.fit_frames is None else self.fit_frames // len(rows)
        found, total = np.empty((len(rows) * min(longest, of_each), width), np.float32), 0  # one array: no second copy
        for chunk in progress.chunks(len(rows), _ROWS, "Describing frames to cluster"):
            batch = source.read(np.resize(rows[chunk], _ROWS))
            features, counts = jax.device_get(describe(self, batch))
            for frames, count in zip(features[: len(chunk)], counts):
                kept = min(count, of_each)
                found[total : total + kept] = frames[np.linspace(0, count - 1, kept).astype(np.int64)]
                total += kept
        return found[:total]

    def describe(self, heard: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
        """What clusters are of: float32 [B, F, D], and how many frames are real, int32 [B].

        Args:
          heard: `waveform` float32 [B, T] and `length` int [B].
        """
        counts = self.backbone.frames(heard["length"])
        if self.teacher is None:
            return jax.vmap(self._cepstra)(heard["waveform"], heard["length"]), counts
        return self.teacher.states(heard["waveform"], heard["length"])[-1].astype(jnp.float32), counts

    def _cepstra(self, waveform, length):
        """The cepstra, their slopes and the slopes of these where frames are, [F, 39]."""
        rate = self.view.sample_rate
        sizes = dict(window=round(0.025 * rate), hop=self.backbone.hop // 2)
        mels = spectrogram.kaldi_log_mel(waveform, sample_rate=rate, mels=_MELS, **sizes)
        count = spectrogram.frame_count(length, **sizes, kaldi=True)
        cepstra = spectrogram.cepstra(mels, _COEFFICIENTS, lifter=_LIFTER)
        slopes = spectrogram.deltas(cepstra, count)
        features = jnp.concatenate([cepstra, slopes, spectrogram.deltas(slopes, count)], axis=1)
        places = 2 * jnp.arange(self.backbone.frames(waveform.shape[0]))
        return features[jnp.clip(places, 0, jnp.maximum(count - 1, 0))]

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Waveforms, which of their frames are hidden (float32 [B, F]), and the clusters of all (int32 [B, F])."""
        views = augment.per_example(self._view, key, batch)
        return {**views, "labels": self.labels(views)}

    def _view(self, key, example):
        spans = dict(start_rate=self.start_rate, span=self.span)
        return hearing.hidden_spans(self.backbone, self.view, key, example, **spans)

    def labels(self, heard: dict[str, jax.Array]) -> jax.Array:
        """The nearest centroid of each frame, int32 [B, F]."""
        features, centroids = self.describe(heard)[0], self.centroids[...]
        products = jnp.einsum("bfd,cd->bfc", features, centroids, precision=jax.lax.Precision.HIGHEST)
        return jnp.argmin(jnp.sum(jnp.square(centroids), 1)[None, None] - 2 * products, -1).astype(jnp.int32)

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Cross entropy of the frames' clusters (section 2.3), and the penalty of features."""
        raw = self.backbone.convolve(views["waveform"], views["length"])
        frames, mask, labels = self.backbone.frames(views["length"]), views["mask"], views["labels"]
        features = self.backbone.feature_norm(raw)
        states = self.backbone.encode(features, frames, mask=mask > 0, train=train, key=key)
        logits = losses.codeword_logits(self.projection(states), self.codewords[...], temperature=self.temperature)
        there = real(frames, mask.shape[1])
        unit_loss = losses.hubert(logits, labels, mask, there.astype(jnp.float32), alpha=self.alpha)
        metrics = {"unit_loss": unit_loss, **hearing.unit_metrics(logits, labels, mask, there=there, counted=mask)}
        return unit_loss + self.feature_penalty * mean_square(raw, frames), metrics

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Mean of the network's output over an utterance's frames, none hidden: [B, width]."""
        return hearing.embed(self.backbone, self.view, inputs)

    def embed_layers(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """The same of every block's output: [B, depth, width]."""
        return hearing.embed_layers(self.backbone, self.view, inputs)


def _check_hops(teacher, hop):
    """Frames are where those of the teacher are, or cepstra's."""
    if teacher is None and hop % 2:
        raise ValueError(
            f"teacher None: cepstra are made every half frame, and config.model.conv_strides give {hop} samples a "
            "frame; take an even number"
        )
    if teacher is not None and teacher.hop != hop:
        raise ValueError(f"teacher has a frame every {teacher.hop} samples, and config.model every {hop}")


def _network(folder: str, layer: int, view: Any, rngs: nnx.Rngs) -> nnx.Module:
    """The network of a run up to a block, whose weights are yet to be read, as one that is not trained."""
    before = f"train the first iteration with --workdir={folder} before, or write None for cepstra"
    config = earlier_run.read_config("teacher", folder, before)
    given = earlier_run.network_settings("teacher", folder, config, "waveform_transformer")
    heard, now = config["views"].get("standardize", True), getattr(view, "standardized", True)
    if heard != now:
        raise ValueError(f"teacher {folder!r} was trained with config.views.standardize {heard}, and here it is {now}")
    rate = config["data"].get("sample_rate") or view.sample_rate
    if rate != view.sample_rate:
        raise ValueError(f"teacher {folder!r} heard {rate} samples a second, and here there are {view.sample_rate}")
    default = inspect.signature(models.WaveformTransformer.__init__).parameters["depth"].default
    depth = given.get("depth", default)
    if layer > depth:
        raise ValueError(f"layer {layer} is above the teacher's {depth} blocks")
    given |= {"depth": layer}  # later blocks say nothing of what is clustered
    return targets.target_copy(models.WaveformTransformer(**given, rngs=rngs))
