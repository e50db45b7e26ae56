import functools

import jax.numpy as jnp

from cases.case import Case, N, normal
from ssl_jax import losses

MASK = jnp.array([0, 0, 1, 0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 1, 0, 0.0])[:, None]  # some of 8 devices hide nothing
MASKS = (normal(10, N, 3) > 0) * MASK
WEIGHTS = MASKS * jnp.array([[1, 2, 0.5]])  # which, unlike those of a mask, need not be 1


def of_patches(loss, rows, shared, rest, axis_name, **settings):
    return loss(rows["predictions"], rows["targets"], rest["mask"], axis_name=axis_name, **settings)


def of_tokens(loss, rows, shared, rest, axis_name, **settings):
    return loss(rows["logits"], rest["targets"], rest["mask"], axis_name=axis_name, **settings)


def of_sentences(loss, rows, shared, rest, axis_name):
    return loss(rows["logits"], rest["labels"], axis_name=axis_name)


def patches(loss, seed, mask=MASKS, **settings):
    rows = {"predictions": normal(seed, *mask.shape, 6), "targets": normal(seed + 1, *mask.shape, 6)}
    swaps = (("predictions", "targets"),) if loss is not losses.masked_patches else ()
    return Case(functools.partial(of_patches, loss, **settings), rows, rest={"mask": mask}, swaps=swaps)


def tokens(loss, seed, mask=MASKS, **settings):
    targets = (LABELS[:, None] + jnp.arange(mask.shape[1])[None, :]) % 6
    targets = jnp.where(mask > 0, targets, -100)
    logits = normal(seed, *mask.shape, 6)
    return Case(
        functools.partial(of_tokens, loss, **settings), {"logits": logits}, rest={"mask": mask, "targets": targets}
    )


def sentences(loss, seed):
    return Case(functools.partial(of_sentences, loss), {"logits": normal(seed, N, 2)}, rest={"labels": LABELS % 2})


def replaced_tokens():
    rest = {"mask": WEIGHTS, "targets": normal(11, N, 3) > 0}
    return Case(functools.partial(of_tokens, losses.replaced_tokens), {"logits": normal(12, N, 3)}, rest=rest)


LABELS = jnp.arange(N) * 7 % 5
CASES = {
    "masked_patches": patches(losses.masked_patches, 0, MASK),
    "masked_patches of plain pixels": patches(losses.masked_patches, 20, normalize_targets=False),
    "simmim": patches(losses.simmim, 22),
    "mask_feat": patches(losses.mask_feat, 24),
    "beit": tokens(losses.beit, 26),
    "masked_lm": tokens(losses.masked_lm, 2, MASK),
    "replaced_tokens": replaced_tokens(),
    "span_corruption": tokens(losses.span_corruption, 28, WEIGHTS),
    "span_corruption smoothed, z-loss": tokens(losses.span_corruption, 29, WEIGHTS, z_loss=0.1, label_smoothing=0.2),
    "next_sentence": sentences(losses.next_sentence, 3),
    "sentence_order": sentences(losses.sentence_order, 30),
}
