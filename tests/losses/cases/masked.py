import jax.numpy as jnp

from cases.case import Case, N, normal
from ssl_jax import losses

MASK = jnp.array([0, 0, 1, 0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 1, 0, 0.0])[:, None]  # some of 8 devices hide nothing


def masked_patches(rows, shared, rest, axis_name):
    return losses.masked_patches(rows["predictions"], rows["targets"], rest["mask"], axis_name=axis_name)


def masked_lm(rows, shared, rest, axis_name):
    return losses.masked_lm(rows["logits"], rest["targets"], rest["mask"], axis_name=axis_name)


def next_sentence(rows, shared, rest, axis_name):
    return losses.next_sentence(rows["logits"], rest["labels"], axis_name=axis_name)


PATCHES = {"predictions": normal(0, N, 1, 6), "targets": normal(1, N, 1, 6)}
LABELS = jnp.arange(N) * 7 % 5
CASES = {
    "masked_patches": Case(masked_patches, PATCHES, rest={"mask": MASK}),
    "masked_lm": Case(masked_lm, {"logits": normal(2, N, 1, 6)}, rest={"mask": MASK, "targets": LABELS[:, None]}),
    "next_sentence": Case(next_sentence, {"logits": normal(3, N, 2)}, rest={"labels": LABELS % 2}),
}
