import functools

import jax

from cases.case import Case, N, normal
from ssl_jax import losses


def of_pixels(loss, rows, shared, rest, axis_name):
    return loss(rows["predictions"], rest["pixels"], axis_name=axis_name)


def of_logits(loss, rows, shared, rest, axis_name):
    return loss(rows["logits"], axis_name=axis_name)


CASES = {
    "logit_laplace": Case(
        functools.partial(of_pixels, losses.logit_laplace),
        {"predictions": normal(70, N, 2, 3, 6)},
        rest={"pixels": jax.nn.sigmoid(normal(71, N, 2, 3, 3))},
    ),
    "uniform_divergence": Case(
        functools.partial(of_logits, losses.uniform_divergence), {"logits": normal(72, N, 2, 3, 5)}
    ),
}
