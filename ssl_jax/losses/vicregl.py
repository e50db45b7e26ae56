"""VICReg of whole images and of their matching places."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ssl_jax.losses.across import AxisName, mean
from ssl_jax.losses.checks import check_positive, check_range, check_shape
from ssl_jax.losses.moments import batch_mean, check_rows
from ssl_jax.losses.redundancy import low_variance, off_diagonal_covariance


def vicregl(
    embeddings: jax.Array,
    maps: jax.Array,
    locations: jax.Array,
    small_maps: jax.Array | None = None,
    small_locations: jax.Array | None = None,
    *,
    alpha: float = 0.75,
    feature_matches: tuple[int, int] | None = None,
    location_matches: tuple[int, int] = (20, 4),
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
    gamma: float = 1.0,
    eps: float = 1e-4,
    axis_name: AxisName = None,
) -> jax.Array:
    """VICReg of pooled embeddings and of matched local features (VICRegL).

    Pairs are of a large view a with every other view b, large or small. A place of a is matched with the place of b
    that is nearest by its features, and with the one nearest in the image; of these matches the closest count, in the
    order of their places in a. The same is done from b to a::

        loss = alpha * global + (1 - alpha) * local
        global = invariance * mean over pairs of (a - b)^2 + mean over views of (variance * v + covariance * c)
        local = mean over pairs of ( VICReg(matches by feature) + VICReg(matches by location) ),
                each being half that of a to b and half that of b to a

    where v and c are the terms of `vicreg`. VICReg of matches is `vicreg` but for a covariance term that is halved over
    the two sides; its moments are over the batch, for each match separately, and then averaged.

    Source: Bardes et al., "VICRegL: Self-Supervised Learning of Local Visual Features", 2022, and the
    authors' code at its defaults: all places are matched by features there, and 20 places of a large view, 4 of the
    other one by location. lightly limits matches by features to the same numbers, and sorts matches by their distance
    in place of their order in the map, which changes the moments wherever more than one is chosen. Where distances are
    equal, the first place is chosen.

    Args:
      embeddings: projections of all views, large ones first, [N, G + S, D], any float type.
      maps: projected feature maps of the G large views, [N, G, L, C]; L places, row by row.
      locations: where in the image these places are, [N, G, L, 2], in any unit. Has no gradient.
      small_maps: maps of the S small views, [N, S, K, C], if there are any.
      small_locations: their places, [N, S, K, 2].
      alpha: weight of the pooled embeddings.
      feature_matches: how many matches by features count, from a and from b; None: all.
      location_matches: how many matches by location count, from a and from b. More than there are places: all.
      invariance, variance, covariance, gamma, eps: as in `vicreg`.
      axis_name: the mapped axis that holds the rest of the batch, if any.

    Returns:
      The loss of the global batch, a float32 scalar.

    Raises:
      ValueError: the shapes do not fit, there is one view or one row only, or a setting is out of range.
    """
    _check(embeddings, maps, locations, small_maps, small_locations)
    check_positive(eps=eps, feature_matches=min(feature_matches or (1, 1)), location_matches=min(location_matches))
    check_range(0.0, 1.0, alpha=alpha)
    check_range(0, float("inf"), invariance=invariance, variance=variance, covariance=covariance)
    check_rows(2, embeddings.shape[0], axis_name, "one row has no variance")
    maps, locations = maps.astype(jnp.float32), locations.astype(jnp.float32)
    embeddings = embeddings.astype(jnp.float32)
    large, views = maps.shape[1], embeddings.shape[1]

    def regularization(z):
        spread = low_variance(z, axis_name, gamma=gamma, eps=eps)
        return variance * spread + covariance * off_diagonal_covariance(z, axis_name)

    a, b = _pairs((a, b) for a in range(large) for b in range(views) if a != b)
    distance = mean(jnp.square(embeddings[:, a] - embeddings[:, b]), axis_name)
    pooled = invariance * distance + jnp.mean(regularization(embeddings))

    local = 0.0
    for side_a, side_b in _sides(maps, locations, small_maps, small_locations):
        share = side_a[0].shape[1] / len(a)  # these pairs, of all pairs
        for x, y, weights in _both_ways(side_a, side_b, feature_matches, location_matches):
            distances = batch_mean(jnp.mean(jnp.square(x - y), axis=-1), axis_name)
            terms = invariance * distances + jnp.mean(regularization(jnp.stack([x, y], axis=1)), axis=0)
            local += 0.5 * share * jnp.sum(jnp.mean(terms, axis=0) * weights)
    return alpha * pooled + (1 - alpha) * local


def _sides(maps, locations, small_maps, small_locations):
    """(map, locations) of a and of b, [N, P, L, ...], for P pairs of large views, then of a large and a small one."""
    large = range(maps.shape[1])
    if len(large) > 1:
        yield [(maps[:, i], locations[:, i]) for i in _pairs((a, b) for a in large for b in large if a != b)]
    if small_maps is not None:
        a, b = _pairs((a, b) for a in large for b in range(small_maps.shape[1]))
        small_maps, small_locations = small_maps.astype(jnp.float32), small_locations.astype(jnp.float32)
        yield (maps[:, a], locations[:, a]), (small_maps[:, b], small_locations[:, b])


def _check(embeddings, maps, locations, small_maps, small_locations):
    if maps.ndim != 4:
        raise ValueError(f"maps must be [N, G, L, C], not {maps.shape}")
    if (small_maps is None) != (small_locations is None):
        raise ValueError("small_maps and small_locations must be given together")
    n, large, _, features = maps.shape
    check_shape("locations", locations, (*maps.shape[:3], 2))
    small = 0
    if small_maps is not None:
        check_shape("small_maps", small_maps, (n, *small_maps.shape[1:3], features))
        check_shape("small_locations", small_locations, (*small_maps.shape[:3], 2))
        small = small_maps.shape[1]
    check_shape("embeddings", embeddings, (n, large + small, embeddings.shape[-1]))
    if large + small < 2:
        raise ValueError("there must be at least 2 views")


def _pairs(pairs):
    """The first ones and the second ones, as two arrays of indices."""
    return np.array(list(pairs)).T


def _both_ways(side_a, side_b, feature_matches, location_matches):
    """Matches of a in b, and of b in a, as `_matches` has them."""
    (map_a, place_a), (map_b, place_b) = side_a, side_b
    squares = [lax.stop_gradient(jnp.sum(jnp.square(a[..., :, None, :] - b[..., None, :, :]), axis=-1))
               for a, b in ((map_a, map_b), (place_a, place_b))]  # fmt: skip
    a_in_b, b_in_a = zip(feature_matches or (map_a.shape[2], map_b.shape[2]), location_matches)
    yield _matches(map_a, map_b, squares, a_in_b)
    yield _matches(map_b, map_a, [jnp.swapaxes(s, -1, -2) for s in squares], b_in_a)


def _matches(x, y, squares, counts):
    """For each of the distances, so many places of x that are nearest to any of y, in their order, and those of y.

    Returns:
      The places of x, what they match in y (both [N, P, M, C]), and weights [M], of sum 1 for each of the distances.
    """
    chosen, nearest = [], []
    for distances, count in zip(squares, counts, strict=True):
        ranked = jnp.argsort(jnp.min(distances, axis=-1), axis=-1)
        chosen.append(jnp.sort(ranked[..., :count], axis=-1))
        nearest.append(jnp.take_along_axis(jnp.argmin(distances, axis=-1), chosen[-1], axis=-1))
    weights = jnp.concatenate([jnp.full(index.shape[-1], 1 / index.shape[-1], jnp.float32) for index in chosen])
    take = lambda rows, index: jnp.take_along_axis(rows, jnp.concatenate(index, axis=-1)[..., None], axis=-2)
    return take(x, chosen), take(y, nearest), weights
