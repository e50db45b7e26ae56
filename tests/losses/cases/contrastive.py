import functools

import jax.numpy as jnp

from cases.case import Case, N, normal
from ssl_jax import losses

VIEWS = {"z1": normal(0, N, 6), "z2": normal(1, N, 6)}
FOUR = {name: normal(i, N, 6) for i, name in enumerate(("a", "b", "c", "d"))}
QUEUE = {"queue": normal(9, 12, 6)}
LABELS = {"labels": jnp.arange(N) * 7 % 5}


def of_rows(loss, *names, learned=(), **settings):
    """A case's function: the loss of the rows of these names, in this order, and of shared arrays by name."""

    def call(rows, shared, rest, axis_name):
        return loss(*(rows[n] for n in names), **{n: shared[n] for n in learned}, **settings, axis_name=axis_name)

    return call


def two_views(loss, **settings):
    return Case(of_rows(loss, "z1", "z2", **settings), VIEWS, scale_free=("z1", "z2"), swaps=(("z1", "z2"),))


def forms(name, make):
    """The plain form, and the one in blocks, which do not divide the batch."""
    return {name: make(), f"{name}, blocks": make(block_size=3)}


def learned_temperature(**settings):
    shared = {"temperature": jnp.float32(0.3)}
    return Case(of_rows(losses.nt_xent, "z1", "z2", learned=("temperature",), **settings), VIEWS, shared)


def decoupled(loss, **settings):
    case = two_views(loss, **settings)
    return Case(case.loss, case.rows, scale_free=case.scale_free, swaps=case.swaps, needs=2)


def info_nce(**settings):
    def loss(rows, shared, rest, axis_name):
        return losses.info_nce(rows["z1"], rows["z2"], queue=shared["queue"], axis_name=axis_name, **settings)

    return Case(loss, VIEWS, QUEUE, scale_free=("z1", "z2"))


def hard_negatives(**settings):
    def loss(rows, shared, rest, axis_name):
        return losses.sim_cse(rows["a"], rows["b"], hard_negatives=rows["c"], axis_name=axis_name, **settings)

    return Case(loss, {k: FOUR[k] for k in "abc"}, scale_free=("a", "b", "c"))


def moco(**settings):
    def loss(rows, shared, rest, axis_name):
        return losses.moco(rows["z1"], rows["z2"], shared["queue"], axis_name=axis_name, **settings)

    return Case(loss, VIEWS, QUEUE, scale_free=("z1", "z2"), flat=("z2", "queue"))


def moco_v3(**settings):
    loss = of_rows(losses.moco_v3, "a", "b", "c", "d", **settings)
    return Case(loss, FOUR, scale_free=("a", "b", "c", "d"), flat=("c", "d"))


def nnclr(**settings):
    def loss(rows, shared, rest, axis_name):
        return losses.nnclr(*(rows[n] for n in "abcd"), shared["queue"], axis_name=axis_name, **settings)

    return Case(loss, FOUR, QUEUE, scale_free=("a", "b", "c", "d"), flat=("a", "b", "queue"))


def sup_con(**settings):
    def loss(rows, shared, rest, axis_name):
        z = jnp.stack([rows["z1"], rows["z2"]], axis=1)
        return losses.sup_con(z, rest["labels"], temperature=0.3, axis_name=axis_name, **settings)

    return Case(loss, VIEWS, rest=LABELS, scale_free=("z1", "z2"), swaps=(("z1", "z2"),))


def siglip(**settings):
    loss = of_rows(losses.siglip, "z1", "z2", learned=("temperature", "bias"), **settings)
    shared = {"temperature": jnp.float32(0.3), "bias": jnp.float32(-2.0)}
    return Case(loss, VIEWS, shared, scale_free=("z1", "z2"), swaps=(("z1", "z2"),))


def uniformity(**settings):
    loss = of_rows(losses.uniformity, "z1", learned=("t",), **settings)
    return Case(loss, {"z1": VIEWS["z1"]}, {"t": jnp.float32(1.5)}, scale_free=("z1",), needs=2)


TRIPLETS = {k: FOUR[k] for k in "abc"}
CASES = {
    **forms("nt_xent", functools.partial(two_views, losses.nt_xent, temperature=0.2)),
    **forms("nt_xent, learned temperature", learned_temperature),
    **forms("dcl", functools.partial(decoupled, losses.dcl, temperature=0.2)),
    **forms("dclw", functools.partial(decoupled, losses.dclw, temperature=0.2)),
    **forms("info_nce", info_nce),
    **forms("sim_cse, hard negatives", hard_negatives),
    **forms("moco", moco),
    **forms("moco_v3", moco_v3),
    **forms("nnclr", nnclr),
    **forms("sup_con", sup_con),
    **forms("clip", functools.partial(two_views, losses.clip)),
    **forms("siglip", siglip),
    **forms("uniformity", uniformity),
    "alignment": Case(
        of_rows(losses.alignment, "z1", "z2"), VIEWS, scale_free=("z1", "z2"), swaps=(("z1", "z2"),)
    ),
    "triplet": Case(of_rows(losses.triplet, "a", "b", "c", margin=0.9), TRIPLETS, scale_free=("a", "b", "c")),
    "triplet, not squared": Case(
        of_rows(losses.triplet, "a", "b", "c", margin=1.0, squared=False, normalize=False), TRIPLETS
    ),
}  # fmt: skip
