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


CASES = {
    "swav": Case(swav, {"scores": 0.3 * normal(0, N, 4, 5)}),
    "swav_with_queue": Case(
        swav_with_queue, {"scores": 0.3 * normal(1, N, 3, 6)}, {"queue": 0.3 * normal(2, 5, 3, 6)}, flat=("queue",)
    ),
    "deepcluster_v2": Case(
        deepcluster_v2, {"first": normal(3, N, 3, 5), "second": normal(4, N, 3, 4)}, rest={"assignments": ASSIGNED}
    ),
}
