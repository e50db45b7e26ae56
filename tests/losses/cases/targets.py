import jax.numpy as jnp

from cases.case import Case, N, normal
from ssl_jax import losses

MASK = jnp.array([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]] * 4)[:N]  # half of 8 devices hide nothing in one image
PAIR = {"predictions": normal(0, N, 6), "targets": normal(1, N, 6)}
TOKENS = {"predictions": normal(2, N, 3, 6), "targets": normal(3, N, 3, 6)}
VIEWS = {"student": normal(4, N, 4, 5), "teacher": normal(5, N, 2, 5)}
PATCHES = {"student": normal(6, N, 3, 5), "teacher": normal(7, N, 3, 5)}
CENTER = {"center": normal(8, 5)}
ANCHORS = {"anchors": normal(9, N, 2, 6), "targets": normal(10, N, 6)}
PROTOTYPES = {"prototypes": normal(11, 5, 6)}


def of_pair(loss, **settings):
    return lambda rows, shared, rest, axis_name: loss(
        rows["predictions"], rows["targets"], **rest, **settings, axis_name=axis_name
    )


def layers(rows, shared, rest, axis_name):
    targets = losses.average_layers([rows["targets"], rows["layer"]], normalize="instance", normalize_average=True)
    return losses.data2vec(rows["predictions"], targets, rest["mask"], beta=0, axis_name=axis_name)


def of_teacher(loss, **settings):
    return lambda rows, shared, rest, axis_name: loss(
        rows["student"], rows["teacher"], **shared, **rest, **settings, axis_name=axis_name
    )


def of_prototypes(loss, **settings):
    return lambda rows, shared, rest, axis_name: loss(
        rows["anchors"], rows["targets"], **shared, **settings, axis_name=axis_name
    )


def ressl(rows, shared, rest, axis_name):
    return losses.ressl(rows["predictions"], rows["targets"], shared["queue"], axis_name=axis_name)


def center(rows, shared, rest, axis_name):
    """`update_center` under all devices, seen through the loss; the student's logits have the gradient."""
    moved = losses.update_center(shared["center"], rows["teacher"], weights=rest["mask"], axis_name=axis_name)
    return losses.ibot(rows["student"], rows["teacher"], rest["mask"], moved, axis_name=axis_name)


TEACHER = {"flat": ("teacher", "center")}
SCALE = {"scale_free": ("student", "teacher"), "flat": ("teacher",)}
TARGETS = {"flat": ("targets",)}
MASKED = {"rest": {"mask": MASK}}
CASES = {
    "byol": Case(of_pair(losses.byol), PAIR, scale_free=("predictions", "targets"), **TARGETS),
    "simsiam": Case(of_pair(losses.simsiam), PAIR, scale_free=("predictions", "targets"), **TARGETS),
    "data2vec": Case(of_pair(losses.data2vec, beta=0.5), TOKENS, **MASKED, **TARGETS),
    "data2vec_of_layers": Case(
        layers, {**TOKENS, "layer": normal(12, N, 3, 6)}, **MASKED, flat=("targets", "layer")
    ),
    "i_jepa": Case(of_pair(losses.i_jepa), TOKENS, **TARGETS),
    "i_jepa_masked": Case(of_pair(losses.i_jepa, normalize_targets=False, beta=0), TOKENS, **MASKED, **TARGETS),
    "v_jepa": Case(of_pair(losses.v_jepa), TOKENS, **TARGETS),
    "v_jepa_masked": Case(of_pair(losses.v_jepa, normalize_targets=False), TOKENS, **MASKED, **TARGETS),
    "dino": Case(of_teacher(losses.dino), VIEWS, shared=CENTER, **TEACHER),
    "dino_sinkhorn": Case(
        of_teacher(losses.dino, centering="sinkhorn", reduction="sum", teacher_temperature=0.5), VIEWS, **TEACHER
    ),
    "ibot": Case(of_teacher(losses.ibot), PATCHES, shared=CENTER, **MASKED, **TEACHER),
    "ibot_sinkhorn": Case(
        of_teacher(losses.ibot, centering="sinkhorn", reduction="patch", teacher_temperature=0.5),
        PATCHES, **MASKED, **TEACHER,
    ),
    "ibot_update_center": Case(center, PATCHES, shared=CENTER, **MASKED, **TEACHER),
    "gram_anchoring": Case(of_teacher(losses.gram_anchoring), PATCHES, **SCALE),
    "gram_anchoring_batch": Case(
        of_teacher(losses.gram_anchoring, per_image=False, negatives="drop"), PATCHES, **SCALE
    ),
    "gram_anchoring_raw": Case(
        of_teacher(losses.gram_anchoring, per_image=False, normalize=False, negatives="drop_teacher"),
        PATCHES, **TEACHER,
    ),
    "msn": Case(of_prototypes(losses.msn), ANCHORS, PROTOTYPES, scale_free=("anchors", "targets"), **TARGETS),
    "msn_unbalanced": Case(
        of_prototypes(losses.msn, sinkhorn_iterations=0), ANCHORS, PROTOTYPES,
        scale_free=("anchors", "targets"), **TARGETS,
    ),
    "pmsn": Case(of_prototypes(losses.pmsn), ANCHORS, PROTOTYPES, scale_free=("anchors", "targets"), **TARGETS),
    "pmsn_prior_first": Case(
        of_prototypes(losses.pmsn, prior_first=True, prior=jnp.array([5.0, 1, 2, 2, 1])), ANCHORS, PROTOTYPES,
        scale_free=("anchors", "targets"), **TARGETS,
    ),
    "ressl": Case(
        ressl, PAIR, {"queue": normal(13, 7, 6)}, scale_free=("predictions", "targets"), flat=("targets", "queue")
    ),
}  # fmt: skip
