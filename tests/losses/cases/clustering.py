import jax.numpy as jnp

from cases.case import Case, N, normal
from ssl_jax import losses

ASSIGNED = jnp.stack([jnp.arange(N) * 7 % 5, jnp.arange(N) * 3 % 4], axis=1).at[jnp.array([2, 3, 9]), 0].set(-100)


def swav(rows, shared, rest, axis_name):
    return losses.swav(rows["scores"], axis_name=axis_name)


def swav_with_queue(rows, shared, rest, axis_name):
    return losses.swav(
        rows["scores"], queue_scores=shared["queue"], assigning_views=3, epsilon=0.1, iterations=5, axis_name=axis_name
    )


def deepcluster_v2(rows, shared, rest, axis_name):
    return losses.deepcluster_v2(
        [rows["first"], rows["second"]], rest["assignments"], temperature=0.3, axis_name=axis_name
    )


def capi(rows, shared, rest, axis_name):
    assignments = losses.positionwise_sinkhorn(rows["teacher"], temperature=0.5, axis_name=axis_name)
    return losses.capi(rows["student"], assignments, axis_name=axis_name)


def capi_clustering(rows, shared, rest, axis_name):
    """Scores that predict what they are assigned to themselves."""
    assignments = losses.positionwise_sinkhorn(rows["scores"], axis_name=axis_name)
    return losses.capi(rows["scores"], assignments, temperature=0.2, axis_name=axis_name)


CASES = {
    "swav": Case(swav, {"scores": 0.3 * normal(0, N, 4, 5)}),
    "swav_with_queue": Case(
        swav_with_queue, {"scores": 0.3 * normal(1, N, 3, 6)}, {"queue": 0.3 * normal(2, 5, 3, 6)}, flat=("queue",)
    ),
    "capi": Case(capi, {"student": 0.3 * normal(5, N, 3, 5), "teacher": normal(6, N, 3, 5)}, flat=("teacher",)),
    "capi_clustering": Case(capi_clustering, {"scores": 0.3 * normal(7, N, 3, 5)}),
    "deepcluster_v2": Case(
        deepcluster_v2, {"first": normal(3, N, 3, 5), "second": normal(4, N, 3, 4)}, rest={"assignments": ASSIGNED}
    ),
}
