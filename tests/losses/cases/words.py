import jax.numpy as jnp

from cases.case import Case, N, normal
from ssl_jax import losses


def skip_gram(rows, shared, rest, axis_name):
    return losses.skip_gram(rows["centers"], rows["contexts"], rows["negatives"], axis_name=axis_name)


def weighted_skip_gram(rows, shared, rest, axis_name):
    return losses.skip_gram(
        rows["centers"], rows["contexts"], rows["negatives"], weights=rest["weights"],
        negative_weights=rest["negative_weights"], axis_name=axis_name,
    )  # fmt: skip


VECTORS = {"centers": normal(0, N, 5), "contexts": normal(1, N, 5), "negatives": normal(2, N, 3, 5)}
WEIGHTS = {
    "weights": jnp.array([0, 0, 1, 0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 2, 0, 0.5]),
    "negative_weights": normal(3, N, 3) > -1,
}
CASES = {"skip_gram": Case(skip_gram, VECTORS), "skip_gram weighted": Case(weighted_skip_gram, VECTORS, rest=WEIGHTS)}
