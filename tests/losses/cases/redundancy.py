import jax

from cases.case import Case, N, normal
from ssl_jax import losses

VIEWS = {"z1": normal(0, N, 6), "z2": normal(1, N, 6)}
TWO = dict(needs=2, swaps=(("z1", "z2"),))


def barlow_twins(rows, shared, rest, axis_name):
    return losses.barlow_twins(rows["z1"], rows["z2"], lambda_=0.1, axis_name=axis_name)


def vicreg(rows, shared, rest, axis_name):
    return losses.vicreg(rows["z1"], rows["z2"], invariance=2.0, variance=3.0, gamma=1.5, axis_name=axis_name)


def vicregl(rows, shared, rest, axis_name):
    maps = {what: rows[what] for what in ("maps", "small_maps")}
    places = {what: rest[what] for what in ("locations", "small_locations")}
    return losses.vicregl(
        rows["embeddings"], **maps, **places, feature_matches=(4, 2), location_matches=(3, 2), invariance=2.0,
        variance=3.0, gamma=1.5, axis_name=axis_name,
    )  # fmt: skip


def tico(differentiate_covariance):
    return lambda rows, shared, rest, axis_name: losses.tico(
        rows["z1"], rows["z2"], shared["covariance"], differentiate_covariance=differentiate_covariance,
        axis_name=axis_name,
    )  # fmt: skip


def w_mse(**settings):
    return lambda rows, shared, rest, axis_name: losses.w_mse(rows["z1"], rows["z2"], axis_name=axis_name, **settings)


def mmcr(rows, shared, rest, axis_name):
    return losses.mmcr(rows["views"], lambda_=0.1, axis_name=axis_name)


def mmcr_with_momentum(rows, shared, rest, axis_name):
    return losses.mmcr(rows["views"], rows["momentum_views"], lambda_=0.1, axis_name=axis_name)


LARGE = {"embeddings": normal(2, N, 2, 6), "maps": normal(3, N, 2, 6, 5)}
SMALL = {"embeddings": normal(4, N, 4, 6), "small_maps": normal(5, N, 2, 3, 5)}
PLACES = {what: jax.random.uniform(jax.random.key(6), (*shape, 2))
          for what, shape in dict(locations=(N, 2, 6), small_locations=(N, 2, 3)).items()}  # fmt: skip
STATE = {"covariance": normal(7, 6, 6)}
MANY = {"views": normal(10, N, 3, 6)}
UNIT = dict(scale_free=("z1", "z2"))
CASES = {
    "barlow_twins": Case(barlow_twins, VIEWS, **TWO),
    "vicreg": Case(vicreg, VIEWS, **TWO),
    "vicregl": Case(vicregl, LARGE | SMALL, rest=PLACES, needs=2),
    "w_mse": Case(w_mse(), VIEWS, **TWO),
    "w_mse_of_parts": Case(
        w_mse(key=jax.random.key(8), size=8, iterations=2, normalize=False, eps=0.1),
        VIEWS,
        **TWO | dict(needs=16),
        ordered=True,
    ),
    "mmcr": Case(mmcr, MANY, scale_free=("views",)),
    "mmcr_with_momentum": Case(
        mmcr_with_momentum, MANY | {"momentum_views": normal(9, N, 2, 6)}, scale_free=("views", "momentum_views")
    ),
    "tico": Case(tico(False), VIEWS, STATE, **UNIT),
    "tico_with_all_gradients": Case(tico(True), VIEWS, STATE, **UNIT),
}
