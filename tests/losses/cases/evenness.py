import jax

from cases.case import Case, N, normal
from ssl_jax import losses

DIRECTIONS = losses.random_directions(jax.random.key(9), 6, 10)


def koleo(block_size):
    return lambda rows, shared, rest, axis_name: losses.koleo(rows["z"], block_size=block_size, axis_name=axis_name)


def sigreg(rows, shared, rest, axis_name):
    return losses.sigreg(rows["z"], DIRECTIONS, points=9, axis_name=axis_name)


def lejepa(rows, shared, rest, axis_name):
    return losses.lejepa(rows["views"], DIRECTIONS, lambda_=0.3, global_views=2, points=9, axis_name=axis_name)


def visreg(rows, shared, rest, axis_name):
    return losses.visreg(rows["views"], DIRECTIONS, shape=2.0, center=3.0, axis_name=axis_name)


CASES = {
    "koleo": Case(koleo(None), {"z": normal(0, N, 6)}, needs=2, scale_free=("z",)),
    "koleo_in_blocks": Case(koleo(3), {"z": normal(1, N, 6)}, needs=2, scale_free=("z",)),
    "sigreg": Case(sigreg, {"z": normal(2, N, 6)}),
    "lejepa": Case(lejepa, {"views": normal(3, N, 3, 6)}),
    "visreg": Case(visreg, {"views": normal(4, N, 2, 6)}, needs=2),
}
