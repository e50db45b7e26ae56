from cases.case import Case, N, normal
from ssl_jax import losses

VIEWS = {"z1": normal(0, N, 6), "z2": normal(1, N, 6)}


def nt_xent(rows, shared, rest, axis_name):
    return losses.nt_xent(rows["z1"], rows["z2"], temperature=0.2, axis_name=axis_name)


CASES = {"nt_xent": Case(nt_xent, VIEWS, scale_free=("z1", "z2"), swaps=(("z1", "z2"),))}
