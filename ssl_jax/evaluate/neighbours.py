"""Weighted nearest-neighbour classification on frozen embeddings, in blocks.

The protocol is that of Wu et al. 2018 (Unsupervised Feature Learning via Non-Parametric Instance
Discrimination, section 3.4), as DINO (Caron et al. 2021) uses it: cosine similarity s, the k nearest training
examples vote for their class with weight exp(s / temperature).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Neighbours = tuple[jax.Array, jax.Array]


def knn(
    train_x: np.ndarray,
    train_y: np.ndarray,
    test_x: np.ndarray,
    test_y: np.ndarray,
    *,
    k: int = 20,
    temperature: float = 0.07,
    num_classes: int | None = None,
    block: int = 16384,
    query_block: int = 1024,
) -> float:
    """The share of test examples that the weighted vote of their k nearest training examples gets right.

    Equal votes go to the lower class number. On the device at any time: one block of each set, their similarities,
    and k neighbours for each test example.

    Args:
      train_x: [N, D] any float type, need not be normalised; may be a memory map.
      train_y: int [N], classes from 0.
      test_x: [M, D].
      test_y: int [M].
      k: how many neighbours vote; all of them where the training set has fewer. DINO's tables: 20.
      temperature: of the weights. Both papers: 0.07.
      num_classes: None: one more than the largest label.
      block: rows of the training set on the device at one time.
      query_block: rows of the test set on the device at one time.

    Returns:
      Accuracy, 0 to 1.

    Raises:
      ValueError: shapes that do not go together, an empty set, or a setting that is not positive.
    """
    if temperature <= 0:
        raise ValueError(f"temperature {temperature} is not positive")
    check_labelled(train_x, train_y, test_x, test_y)
    num_classes = num_classes or 1 + int(max(train_y.max(), test_y.max()))
    similarity, index = nearest(train_x, test_x, k=k, block=block, query_block=query_block)
    predictions = [
        _vote(similarity[rows], train_y[index[rows]], temperature, num_classes=num_classes)
        for rows in _slices(len(test_x), query_block)
    ]
    return float(np.mean(np.concatenate(predictions) == test_y))


def nearest(
    train_x: np.ndarray, test_x: np.ndarray, *, k: int, block: int = 16384, query_block: int = 1024
) -> tuple[np.ndarray, np.ndarray]:
    """The k training examples most similar to each test example, best first, by cosine.

    A zero vector has similarity 0 to everything. Equal similarities keep the order of the training set.

    Args:
      train_x: [N, D].
      test_x: [M, D].
      k: neighbours wanted; N where there are fewer.
      block: rows of `train_x` on the device at one time.
      query_block: rows of `test_x` on the device at one time.

    Returns:
      similarity float32 [M, k] and index int32 [M, k] into the rows of `train_x`, on the host.

    Raises:
      ValueError: unequal widths, an empty set, or a size that is not positive.
    """
    _check_sizes(train_x, test_x, k=k, block=block, query_block=query_block)
    count = len(train_x)
    k, block, query_block = min(k, count), min(block, count), min(query_block, len(test_x))
    queries = _slices(len(test_x), query_block)
    best = [_no_neighbours(query_block, k) for _ in queries]
    for rows in _slices(count, block):
        train_block = jnp.asarray(_block(train_x, rows, block))
        for i, query in enumerate(queries):
            best[i] = _merge(best[i], _block(test_x, query, query_block), train_block, rows.start, count)
        jax.block_until_ready(best)  # else the host runs ahead and every block is on the device at once
    similarity = np.concatenate([np.asarray(s) for s, _ in best])[: len(test_x)]
    index = np.concatenate([np.asarray(i) for _, i in best])[: len(test_x)]
    return similarity, index


@jax.jit
def _merge(best: Neighbours, queries: jax.Array, train_block: jax.Array, start: jax.Array, count: jax.Array):
    """The best of `best` and of the rows of the block, which are rows start, start + 1, ... of `count` in all."""
    k, size = best[0].shape[1], train_block.shape[0]
    similarity = cosine(queries, train_block)
    inside = start + jnp.arange(size) < count
    similarity = jnp.where(inside[None, :], similarity, -jnp.inf)
    found, column = lax.top_k(similarity, min(k, size))
    similarity = jnp.concatenate([best[0], found], axis=1)
    index = jnp.concatenate([best[1], start + column], axis=1)
    similarity, place = lax.top_k(similarity, k)
    return similarity, jnp.take_along_axis(index, place, axis=1)


def cosine(a: jax.Array, b: jax.Array) -> jax.Array:
    """Cosine similarities float32 [M, N] of the rows of a [M, D] and b [N, D], at full precision."""
    return jnp.matmul(unit(a), unit(b).T, precision=lax.Precision.HIGHEST)


def unit(x: jax.Array) -> jax.Array:
    """The vectors of the last axis scaled to length 1, in float32; zero vectors stay zero."""
    x = x.astype(jnp.float32)
    largest = jnp.max(jnp.abs(x), axis=-1, keepdims=True)
    x = x / jnp.where(largest > 0, largest, 1.0)  # else the squares of very large or small vectors leave float32
    length = jnp.sqrt(jnp.sum(jnp.square(x), axis=-1, keepdims=True))
    return x / jnp.where(length > 0, length, 1.0)


@functools.partial(jax.jit, static_argnames="num_classes")
def _vote(similarity: jax.Array, labels: jax.Array, temperature: float, *, num_classes: int) -> jax.Array:
    # Relative to the nearest neighbour: the winner is the same, and the exponential stays finite.
    weights = jnp.exp((similarity - similarity[:, :1]) / temperature)
    rows = jnp.arange(similarity.shape[0])[:, None]
    votes = jnp.zeros((similarity.shape[0], num_classes)).at[rows, labels].add(weights)
    return jnp.argmax(votes, axis=1)


def _no_neighbours(rows: int, k: int) -> Neighbours:
    return jnp.full((rows, k), -jnp.inf), jnp.zeros((rows, k), jnp.int32)


def _slices(total: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, total)) for start in range(0, total, size)]


def _block(x: np.ndarray, rows: slice, size: int) -> np.ndarray:
    """The rows, filled up with zeros to `size`, so that every block compiles to one program."""
    part = np.asarray(x[rows])
    if len(part) == size:
        return part
    return np.concatenate([part, np.zeros((size - len(part), part.shape[1]), part.dtype)])


def check_labelled(train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray, test_y: np.ndarray) -> None:
    """Raises ValueError unless both sets are [examples, features] with one label an example and equal width."""
    _check_sizes(train_x, test_x)
    for name, x, y in (("train", train_x, train_y), ("test", test_x, test_y)):
        if y.shape != (len(x),):
            raise ValueError(f"{name}_y has shape {y.shape}, not ({len(x)},): one label an example")


def _check_sizes(train_x: np.ndarray, test_x: np.ndarray, **positive: int) -> None:
    for name, value in positive.items():
        if value < 1:
            raise ValueError(f"{name} {value} is not positive")
    if train_x.ndim != 2 or test_x.ndim != 2 or train_x.shape[1] != test_x.shape[1]:
        raise ValueError(f"train_x {train_x.shape} and test_x {test_x.shape} must be [examples, features] of one width")
    if not len(train_x) or not len(test_x):
        raise ValueError(f"{'train_x' if not len(train_x) else 'test_x'} is empty")
