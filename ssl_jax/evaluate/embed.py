"""From batches to two arrays: the embeddings of a whole split, and its labels."""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax import augment

Batch = Mapping[str, Any]


def embed(
    embed_fn: Callable[[dict[str, np.ndarray]], jax.Array],
    batches: Iterable[Batch],
    *,
    batch_size: int | None = None,
    label_key: str = "label",
) -> tuple[np.ndarray, np.ndarray]:
    """Embeds every example once, in the order in which it comes.

    Short batches are filled up by repeating their last row, so that `embed_fn` compiles for one shape;
    the filling is cut off again. One batch is computed while the one before is copied to the host.

    Args:
      embed_fn: takes a batch (all its keys, the label too) and gives [rows, features], or a tree of such arrays.
      batches: dictionaries of arrays whose first axis is the example.
      batch_size: rows that `embed_fn` is given each time. None: as many as the first batch has.
      label_key: the key of the batch that holds the labels.

    Returns:
      embeddings float32 [examples, features] (or a tree, in which integers stay what they are) and labels int32
      [examples], all on the host.

    Raises:
      ValueError: there is no batch, or one has more than `batch_size` rows.
    """
    embeddings, labels, waiting = [], [], None
    for batch in batches:
        rows = len(batch[label_key])
        batch_size = batch_size or rows
        labels.append(np.asarray(batch[label_key], np.int32))
        ahead = (embed_fn(_filled(batch, rows, batch_size)), rows)
        if waiting is not None:
            embeddings.append(_fetched(*waiting))
        waiting = ahead
    if waiting is None:
        raise ValueError("there is nothing to embed: batches is empty")
    embeddings.append(_fetched(*waiting))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *embeddings), np.concatenate(labels)


def _filled(batch: Batch, rows: int, batch_size: int) -> dict[str, np.ndarray]:
    if rows > batch_size:
        raise ValueError(f"a batch has {rows} rows, more than batch_size {batch_size}")
    index = np.minimum(np.arange(batch_size), rows - 1)
    return {key: np.asarray(value) if rows == batch_size else np.asarray(value)[index] for key, value in batch.items()}


def _fetched(features: Any, rows: int) -> Any:
    return jax.tree.map(lambda array: _on_host(array[:rows]), features)


def _on_host(array: jax.Array) -> np.ndarray:
    return np.asarray(array, None if jnp.issubdtype(array.dtype, jnp.integer) else np.float32)


def raw_features(
    batch: Batch,
    *,
    max_side: int = 32,
    vocab_size: int | None = None,
    special_ids: tuple[int, ...] = (),
    sample_rate: int | None = None,
) -> np.ndarray:
    """What there is without any network: pixels, word counts, cepstra of sound. The baseline called `raw`.

    Args:
      batch: with `image` uint8 [rows, H, W, C] or, of clips, [rows, T, H, W, C], or `waveform` int16 [rows, T] and
        `length` [rows], or `tokens` int32 [rows, length].
      max_side: larger images are first averaged down until no side is longer than this (by an integer factor;
        the rows and columns left over at the end are dropped).
      vocab_size: for text, the number of token ids.
      special_ids: for text, the ids that do not count as words ([CLS], [SEP], [PAD], ...).
      sample_rate: for sound, in Hz.

    Returns:
      float32 [rows, pixels] in 0..1; or float32 [rows, vocab_size] square roots of the token counts
      (the Hellinger form, in which a very common word does not drown the others); or float32 [rows, 40] mean and
      standard deviation over the real frames of 20 of Kaldi's cepstra (25 ms each 10 ms, 23 filters).

    Raises:
      ValueError: the batch holds none of them, `vocab_size` is missing for a text, or `sample_rate` for sound.
    """
    if "image" in batch:
        return _pixels(np.asarray(batch["image"]), max_side)
    if "waveform" in batch:
        if sample_rate is None:
            raise ValueError("sample_rate is needed for the cepstra of sound")
        return np.asarray(_cepstra(batch["waveform"], batch["length"], sample_rate))
    if "tokens" not in batch:
        raise ValueError(f"raw features need 'image', 'waveform' or 'tokens', the batch has {', '.join(sorted(batch))}")
    if vocab_size is None:
        raise ValueError("vocab_size is needed to count the tokens of a text")
    return _word_counts(np.asarray(batch["tokens"]), vocab_size, special_ids)


def _pixels(images: np.ndarray, max_side: int) -> np.ndarray:
    if images.ndim == 5:  # clips, of which each frame is averaged down
        return _pixels(images.reshape(-1, *images.shape[2:]), max_side).reshape(len(images), -1)
    rows, height, width, channels = images.shape
    factor = -(-max(height, width) // max_side)
    height, width = max(height // factor, 1), max(width // factor, 1)
    tall, wide = min(factor, images.shape[1]), min(factor, images.shape[2])
    cut = images[:, : height * tall, : width * wide].astype(np.float32) / 255
    small = cut.reshape(rows, height, tall, width, wide, channels).mean(axis=(2, 4))
    return small.reshape(rows, -1)


def _word_counts(tokens: np.ndarray, vocab_size: int, special_ids: tuple[int, ...]) -> np.ndarray:
    rows = len(tokens)
    flat = tokens + np.arange(rows)[:, None] * vocab_size
    counts = np.bincount(flat.ravel(), minlength=rows * vocab_size).reshape(rows, vocab_size)
    counts[:, list(special_ids)] = 0
    return np.sqrt(counts, dtype=np.float32)


@functools.partial(jax.jit, static_argnums=2)
def _cepstra(waveforms: jax.Array, lengths: jax.Array, sample_rate: int) -> jax.Array:
    window, hop = sample_rate // 40, sample_rate // 100

    def moments(samples, length):
        mels = augment.kaldi_log_mel(
            augment.to_samples(samples, length), sample_rate=sample_rate, window=window, hop=hop, mels=23
        )
        frames = augment.cepstra(mels, 20, lifter=22.0)
        real = augment.frame_count(length, window=window, hop=hop, kaldi=True)
        weights = (jnp.arange(len(frames)) < real)[:, None] / jnp.maximum(real, 1)
        mean = jnp.sum(frames * weights, axis=0)
        return jnp.concatenate([mean, jnp.sqrt(jnp.sum((frames - mean[None, :]) ** 2 * weights, axis=0))])

    return jax.vmap(moments)(waveforms, lengths)
