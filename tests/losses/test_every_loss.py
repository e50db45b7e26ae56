"""What holds for every loss: half precision, edges, and symmetries, as its case states them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import EVERY, N
from hypothesis import given, settings
from hypothesis import strategies as st

every = pytest.mark.parametrize("name", EVERY)
few = settings(max_examples=10, deadline=None, derandomize=True)


@functools.cache
def compiled(name):
    """(rows, shared, rest) -> value, (gradients of rows, gradients of shared)."""
    loss = EVERY[name].loss
    return jax.jit(jax.value_and_grad(lambda rows, shared, rest: loss(rows, shared, rest, None), argnums=(0, 1)))


def outcome(name, rows=None, rest=None, shared=None):
    case = EVERY[name]
    rows, shared, rest = (dict(b if a is None else a) for a, b in
                          ((rows, case.rows), (shared, case.shared), (rest, case.rest)))  # fmt: skip
    return compiled(name)(rows, shared, rest)


def assert_finite(found):
    for path, leaf in jax.tree.leaves_with_path(found):
        assert np.all(np.isfinite(leaf)), jax.tree_util.keystr(path)


@every
def test_is_a_float32_scalar_with_gradients(name):
    value, (rows, shared) = outcome(name)
    assert value.dtype == jnp.float32 and value.shape == ()
    assert_finite((value, rows, shared))
    for what, gradient in {**rows, **shared}.items():
        assert np.any(gradient) != (what in EVERY[name].flat), f"gradient of {what}"


@every
def test_is_float32_where_float64_is_on(name):
    case = EVERY[name]
    with jax.enable_x64(True):
        found = jax.eval_shape(lambda *arrays: case.loss(*arrays, None), case.rows, case.shared, case.rest)
    assert found.dtype == jnp.float32


@every
def test_half_precision_is_computed_in_float32(name):
    case = EVERY[name]
    half = jax.tree.map(lambda x: x.astype(jnp.bfloat16), (dict(case.rows), dict(case.shared)))
    value, gradients = outcome(name, half[0], shared=half[1])
    exact, exact_gradients = outcome(name, *jax.tree.map(lambda x: x.astype(jnp.float32), (half[0],)),
                                     shared=jax.tree.map(lambda x: x.astype(jnp.float32), half[1]))  # fmt: skip
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, exact, rtol=1e-5, atol=1e-6)
    for g, e in zip(jax.tree.leaves(gradients), jax.tree.leaves(exact_gradients), strict=True):
        assert g.dtype == jnp.bfloat16
        np.testing.assert_allclose(g.astype(jnp.float32), e, rtol=1e-2, atol=1e-2 * np.abs(e).max())


@every
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("fill", [0.0, 1.0, -3.0])
def test_constant_batches_are_finite(name, fill, dtype):
    assert_finite(outcome(name, jax.tree.map(lambda x: jnp.full_like(x, fill, dtype), dict(EVERY[name].rows))))


@every
def test_a_batch_of_one_repeated_example_is_finite(name):
    assert_finite(
        outcome(name, jax.tree.map(lambda x: jnp.tile(x[:1], (N,) + (1,) * (x.ndim - 1)), dict(EVERY[name].rows)))
    )


@every
def test_rows_of_zeros_among_others_are_finite(name):
    assert_finite(outcome(name, jax.tree.map(lambda x: x.at[::3].set(0), dict(EVERY[name].rows))))


@every
def test_the_fewest_rows(name):
    case = EVERY[name]
    cut = lambda n: jax.tree.map(lambda x: x[:n], (dict(case.rows), dict(case.rest)))
    assert_finite(outcome(name, *cut(case.needs)))
    if case.needs > 1:
        with pytest.raises(ValueError, match="at least"):
            outcome(name, *cut(case.needs - 1))


@every
@given(st.permutations(range(N)))
@few
def test_the_order_of_the_batch_does_not_matter(name, order):
    case = EVERY[name]
    if case.ordered:
        pytest.skip("ordered by nature")
    order = jnp.array(order)
    value, (rows, shared) = outcome(name)
    moved, (moved_rows, moved_shared) = outcome(
        name, *jax.tree.map(lambda x: x[order], (dict(case.rows), dict(case.rest)))
    )
    same(moved, value)
    same(moved_rows, jax.tree.map(lambda g: g[order], rows))
    same(moved_shared, shared)


@every
@given(st.floats(1e-2, 1e20))
@few
def test_scale_does_not_matter_where_it_should_not(name, factor):
    case = EVERY[name]
    for what in case.scale_free:
        same(outcome(name, {**case.rows, what: factor * case.rows[what]})[0], outcome(name)[0])


@every
def test_what_may_change_places(name):
    case = EVERY[name]
    for a, b in case.swaps:
        value, (rows, _) = outcome(name)
        swapped, (swapped_rows, _) = outcome(name, {**case.rows, a: case.rows[b], b: case.rows[a]})
        same(swapped, value)
        same((swapped_rows[a], swapped_rows[b]), (rows[b], rows[a]))


def same(ours, theirs):
    assert_finite(ours)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5 * max(np.abs(b).max(), 1e-3))
