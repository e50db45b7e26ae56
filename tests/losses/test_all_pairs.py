"""Sums over all pairs in blocks: equal to those of the whole matrix, whatever the sizes, and differentiated alike."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from ssl_jax import losses
from ssl_jax.losses import pairs

N, D = 16, 6
X, Y = 3 * jax.random.normal(jax.random.key(0), (2, N, D))  # not of unit length
COTANGENT = jax.random.normal(jax.random.key(1), (N,))
IDS = jnp.arange(N)
TAGS = (IDS, IDS % 3)


def squared_if_alike(scores, row, column):
    return jnp.where((row[1] == column[1]) & (row[0] != column[0]), jnp.square(scores), 0.0)


def of_rows(x, y, tags, **options):
    return pairs.log_sum_exp(x, y, tags, tags, score=pairs.but_equal_tags, **options)


def of_both(x, y, tags, **options):
    rows, columns = pairs.log_sum_exp_of_both(x, y, **options)
    return rows + 2 * columns


def of_others(x, y, tags, **options):
    return pairs.log_sum_exp_of_others(x, tags, **options)


def total(x, y, tags, **options):
    return pairs.total_of(x, y, tags, tags, score=squared_if_alike, **options)


def total_of_others(x, y, tags, **options):
    return pairs.total_of_others(x, tags, score=squared_if_alike, **options)


SUMS = [of_rows, of_both, of_others, total, total_of_others]
sums = pytest.mark.parametrize("rows_sum", SUMS, ids=lambda f: f.__name__)


def weighed(rows_sum, x, y, tags, cotangent, **options):
    return jnp.sum(cotangent * rows_sum(x, y, tags, **options))


def value_and_gradient(rows_sum, n=N, m=N, **options):
    call = lambda x, y: weighed(rows_sum, x, y, tuple(t[:n] for t in TAGS), COTANGENT[:n], **options)
    return jax.jit(jax.value_and_grad(call, (0, 1)))(X[:n], Y[:m])


def same(found, expected):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(b).max())


@sums
@pytest.mark.parametrize("block_size", [1, 5, 16, 100])
def test_equals_the_whole_matrix(rows_sum, block_size):
    same(value_and_gradient(rows_sum, block_size=block_size), value_and_gradient(rows_sum))


@sums
@pytest.mark.parametrize("n", [1, 2, 13])
def test_of_any_number_of_rows(rows_sum, n):
    same(value_and_gradient(rows_sum, n, n, block_size=4), value_and_gradient(rows_sum, n, n))


def test_against_numpy():
    scores = np.asarray(X, np.float64) @ np.asarray(X, np.float64).T
    np.fill_diagonal(scores, -np.inf)
    expected = np.log(np.exp(scores - scores.max()).sum(1)) + scores.max()
    np.testing.assert_allclose(pairs.log_sum_exp_of_others(X, TAGS, block_size=5), expected, rtol=1e-5)


@sums
@pytest.mark.parametrize("devices, checked", [(2, True), (8, True), (8, False)])
def test_ring_equals_one_device(rows_sum, devices, checked):
    def spread(x, y, tags, cotangent):
        return jax.lax.psum(weighed(rows_sum, x, y, tags, cotangent, block_size=3, axis_name="data"), "data")

    mesh = Mesh(np.array(jax.devices()[:devices]), ("data",))
    spread = jax.shard_map(spread, mesh=mesh, in_specs=P("data"), out_specs=P(), check_vma=checked)
    found = jax.jit(jax.value_and_grad(spread, (0, 1)))(X, Y, TAGS, COTANGENT)
    same(found, value_and_gradient(rows_sum))


LOSSES = {name: getattr(losses, name) for name in ("nt_xent", "dcl", "info_nce", "clip", "siglip")} | {
    "moco_v3": lambda x, y, **options: losses.moco_v3(x, y, y, x, **options),
    "sup_con": lambda x, y, **options: losses.sup_con(jnp.stack([x, y], 1), jnp.arange(x.shape[0]), **options),
    "uniformity": lambda x, y, **options: losses.uniformity(x, **options) + losses.uniformity(y, **options),
}


@pytest.mark.parametrize("name", LOSSES)
def test_no_device_of_a_ring_holds_the_whole_batch(name):
    """The largest array of the compiled program is a device's own rows, or a tile; only labels are gathered."""
    mesh = Mesh(np.array(jax.devices()), ("data",))
    local, width = 32, 16
    rows = jnp.zeros((8 * local, width))
    call = functools.partial(LOSSES[name], block_size=8, axis_name="data")
    spread = jax.shard_map(call, mesh=mesh, in_specs=P("data"), out_specs=P())
    text = jax.jit(jax.grad(spread, (0, 1))).lower(rows, rows).compile().as_text()
    sizes = [np.prod([int(n) for n in shape.split(",")]) for shape in re.findall(r"(?:f32|s32|pred)\[([\d,]+)\]", text)]
    assert "collective-permute" in text and not re.search(r"f32\S* all-gather", text)
    assert max(sizes) <= 2 * local * (width + 2)  # two views' rows, with what is appended to them


@sums
def test_hessian_vector_products_equal_the_whole_matrix(rows_sum):
    def product(**options):
        gradient = jax.grad(lambda x: weighed(rows_sum, x, Y, TAGS, COTANGENT, **options))
        return jax.jit(lambda x, v: jax.jvp(gradient, (x,), (v,))[1])(X, Y)

    same(product(block_size=5), product())


@sums
def test_under_vmap_and_remat(rows_sum):
    call = lambda x, **options: weighed(rows_sum, x, Y, TAGS, COTANGENT, **options)
    two = jnp.stack([X, Y])
    same(jax.jit(jax.vmap(functools.partial(call, block_size=5)))(two), jnp.stack([call(X), call(Y)]))
    same(jax.jit(jax.grad(jax.remat(functools.partial(call, block_size=5))))(X), jax.grad(call)(X))


@pytest.mark.parametrize("block_size", [None, 2])
def test_scores_far_apart_do_not_overflow(block_size):
    """Scores of -1e6, -1, 0 and 1."""
    call = lambda x: jnp.sum(pairs.log_sum_exp_of_others(x, (IDS[:4],), block_size=block_size))
    value, gradient = jax.value_and_grad(call)(jnp.array([[1e3], [-1e3], [0.0], [1e-3]]))
    e = np.e
    np.testing.assert_allclose(value, np.log([1 + e, 1 + 1 / e, 3, 1 + e + 1 / e]).sum(), rtol=1e-6)
    assert np.all(np.isfinite(gradient))


def test_memory_grows_with_the_rows_and_not_with_the_pairs():
    def temporary(n, block_size):
        call = lambda x: jnp.sum(pairs.log_sum_exp_of_others(x, (jnp.arange(n),), block_size=block_size))
        shape = jax.ShapeDtypeStruct((n, 16), jnp.float32)
        return jax.jit(jax.grad(call)).lower(shape).compile().memory_analysis().temp_size_in_bytes

    assert temporary(4096, None) > 3 * temporary(2048, None)
    assert temporary(4096, 64) < 2.2 * temporary(2048, 64) < temporary(2048, None) / 10


def test_nearest():
    rows, candidates = jnp.eye(3), jnp.array([[0, 1.0, 0], [2, 0, 1], [0, 0, 0.5]])
    for block_size in (None, 1, 2):
        np.testing.assert_array_equal(pairs.nearest(rows, candidates, block_size=block_size), [1, 0, 1])
        others = pairs.nearest(rows, rows, but=jnp.arange(3), block_size=block_size)
        np.testing.assert_array_equal(others, [1, 0, 0])


@sums
def test_blocks_are_split_over_the_mesh_of_a_train_step(rows_sum, eight_devices):
    """Rows lie on eight devices; each makes the tiles of its own, and columns go round."""
    mesh = Mesh(np.array(eight_devices).reshape(8, 1), ("data", "model"), axis_types=(AxisType.Auto,) * 2)

    def call(x, y):
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            return weighed(rows_sum, x, y, TAGS, COTANGENT, block_size=2)

    given = jax.device_put((X, Y), NamedSharding(mesh, P("data")))
    program = jax.jit(jax.value_and_grad(call, (0, 1))).lower(*given).compile()
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=2e-5, atol=2e-5),
        program(*given),
        value_and_gradient(rows_sum),
    )
    assert "collective-permute" in program.as_text() and "all-gather" not in program.as_text()


@pytest.mark.parametrize("kind, rows", [(AxisType.Auto, 12), (AxisType.Explicit, 16)])
def test_blocks_stay_whole_where_the_mesh_does_not_suit_them(kind, rows, eight_devices):
    """It does not divide the rows, or its axis is of another type."""
    mesh = Mesh(np.array(eight_devices), ("data",), axis_types=(kind,))
    with jax.set_mesh(mesh):
        found = jax.jit(lambda x, y: of_both(x, y, (), block_size=2))(X[:rows], Y[:rows])
    np.testing.assert_allclose(found, of_both(X[:rows], Y[:rows], ()), rtol=1e-5)
