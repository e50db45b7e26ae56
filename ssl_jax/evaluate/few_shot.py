"""Classification from a handful of labelled examples a class, and how much that depends on which ones."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ssl_jax.evaluate.neighbours import check_labelled, unit


def few_shot(
    train_x: np.ndarray,
    train_y: np.ndarray,
    test_x: np.ndarray,
    test_y: np.ndarray,
    *,
    shots: int,
    draws: int = 100,
    seed: int = 0,
    block: int = 16384,
    query_block: int = 1024,
) -> tuple[float, float]:
    """Nearest-neighbour accuracy when only `shots` labelled examples of each class are known.

    Each draw takes `shots` training examples of each class at random, and gives every test example the class of the
    one that is most similar by cosine. The draws depend on the labels and the seed alone, so raw pixels, the
    untrained network and the trained one are compared on the same draws.

    Args:
      train_x: [N, D] any float type.
      train_y: int [N].
      test_x: [M, D].
      test_y: int [M].
      shots: examples of each class that are known.
      draws: how often they are drawn anew.
      seed: of the draws.
      block: rows drawn from the training set that are on the device at one time (at least one draw's).
      query_block: rows of the test set on the device at one time.

    Returns:
      Mean and standard deviation (of the sample; 0 for a single draw) of the accuracy over the draws, 0 to 1.

    Raises:
      ValueError: shapes that do not go together, an empty set, or a setting that is not positive.
    """
    for name, value in (("shots", shots), ("draws", draws), ("block", block), ("query_block", query_block)):
        if value < 1:
            raise ValueError(f"{name} {value} is not positive")
    check_labelled(train_x, train_y, test_x, test_y)
    drawn = draw_shots(train_y, shots=shots, draws=draws, seed=seed)
    group = max(1, block // drawn.shape[1])
    accuracies = [
        _accuracies(train_x, train_y, test_x, test_y, part, query_block) for part in _even_groups(drawn, group)
    ]
    accuracies = np.concatenate(accuracies)[:draws]
    return float(accuracies.mean()), float(accuracies.std(ddof=1)) if draws > 1 else 0.0


def draw_shots(labels: np.ndarray, *, shots: int, draws: int, seed: int) -> np.ndarray:
    """Which examples each draw knows.

    Args:
      labels: int [N].
      shots: examples a class, drawn without replacement. A class that has fewer gives all it has, and some twice:
        a nearest neighbour does not mind.
      draws: number of draws.
      seed: of the draws; draw number d is the same however many follow it.

    Returns:
      int64 [draws, classes * shots] rows of `labels`, the classes that occur one after the other.
    """
    labels = np.asarray(labels)
    _, first, size = np.unique(np.sort(labels), return_index=True, return_counts=True)
    columns = (first[:, None] + np.arange(shots) % size[:, None]).ravel()
    random = np.random.default_rng(seed)
    return np.stack([np.lexsort((random.random(len(labels)), labels))[columns] for _ in range(draws)])


def _even_groups(drawn: np.ndarray, largest: int) -> list[np.ndarray]:
    """Groups of draws of one size (one program); the last repeats the last draw where they do not come out even."""
    count = -(-len(drawn) // largest)
    size = -(-len(drawn) // count)
    index = np.minimum(np.arange(count * size), len(drawn) - 1)
    return list(drawn[index].reshape(count, size, -1))


def _accuracies(train_x, train_y, test_x, test_y, drawn: np.ndarray, query_block: int) -> np.ndarray:
    """The accuracy of each draw, float64 [draws in the group]."""
    support = jnp.asarray(train_x[drawn])
    correct = np.zeros(len(drawn), np.int64)
    for start in range(0, len(test_x), query_block):
        rows = slice(start, start + query_block)
        place = np.asarray(_most_similar(jnp.asarray(test_x[rows]), support))
        predicted = np.take_along_axis(train_y[drawn], place, axis=1)
        correct += (predicted == test_y[None, rows]).sum(axis=1)
    return correct / len(test_x)


@jax.jit
def _most_similar(queries: jax.Array, support: jax.Array) -> jax.Array:
    """For queries [m, D] and support [draws, known, D]: which of the known is nearest, int [draws, m]."""
    precision = lax.Precision.HIGHEST
    similarity = jnp.einsum("md,gkd->gmk", unit(queries), unit(support), precision=precision)
    return jnp.argmax(similarity, axis=-1)
