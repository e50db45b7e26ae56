import jax.numpy as jnp

from cases.case import Case, N, normal
from ssl_jax import losses

LABELS = jnp.arange(N) * 7 % 24


def rotation(rows, shared, rest, axis_name):
    return losses.rotation(rows["logits"], rest["labels"], axis_name=axis_name)


def jigsaw(rows, shared, rest, axis_name):
    return losses.jigsaw(rows["logits"], rest["permutations"], axis_name=axis_name)


def relative_position(rows, shared, rest, axis_name):
    return losses.relative_position(rows["logits"], rest["positions"], axis_name=axis_name)


CASES = {
    "rotation": Case(rotation, {"logits": normal(0, N, 4, 4)}, rest={"labels": jnp.tile(jnp.arange(4)[None], (N, 1))}),
    "jigsaw": Case(jigsaw, {"logits": normal(1, N, 24)}, rest={"permutations": LABELS}),
    "relative_position": Case(relative_position, {"logits": normal(2, N, 8)}, rest={"positions": LABELS % 8}),
}
