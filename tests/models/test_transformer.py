"""The stack of blocks: scanned, rematerialised, with dropout and stochastic depth."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.models.transformer import Attention, PostNormBlock, PreNormBlock, Stack, drop_path, dropout

X = jax.random.normal(jax.random.key(1), (4, 5, 16))
MASK = jnp.asarray(np.arange(5)[None, :] < np.array([[5], [4], [3], [1]]))
KEY = jax.random.key(2, impl="unsafe_rbg")  # compiles three times as fast as threefry


def stack(block=PreNormBlock, depth=3, dropout=0.0, **options):
    make = lambda rngs: block(16, heads=4, mlp_dim=32, dropout=dropout, rngs=rngs)
    return nnx.jit(lambda: Stack(make, depth=depth, rngs=nnx.Rngs(0), **options))()


run = nnx.jit(lambda model, *inputs: model(*inputs))


def value_and_gradient(model, key):
    graph, state = nnx.split(model)
    loss = lambda state: jnp.sum(nnx.merge(graph, state)(X, MASK, key) ** 3)
    value, gradient = jax.jit(jax.value_and_grad(loss))(state)
    return value, unrolled(gradient)


def unrolled(state):
    """Arrays by path, blocks stacked either way."""
    arrays = {}
    for (_, *path), leaf in nnx.to_flat_state(state):
        leaf = np.asarray(leaf[...])
        if isinstance(path[0], int):
            arrays[tuple(path)] = leaf
        else:
            arrays |= {(i, *path): part for i, part in enumerate(leaf)}
    return arrays


DROPPING = {PreNormBlock: dict(dropout=0.2, drop_path=0.3), PostNormBlock: dict(dropout=0.2)}


@cache
def plain(block):
    return stack(block, depth=2, **DROPPING[block])


@cache
def plain_value_and_gradient(block):
    return value_and_gradient(plain(block), KEY)


@pytest.mark.parametrize(
    "block, options",
    [
        (PreNormBlock, {"scan": True}),
        (PreNormBlock, {"remat": True}),
        (PostNormBlock, {"scan": True, "remat": True}),
    ],
)
def test_scan_and_remat_change_nothing(block, options):
    other = stack(block, depth=2, **DROPPING[block], **options)
    first, second = unrolled(nnx.state(plain(block))), unrolled(nnx.state(other))
    assert first.keys() == second.keys() and all((first[k] == second[k]).all() for k in first)
    value, gradient = plain_value_and_gradient(block)
    other_value, other_gradient = value_and_gradient(other, KEY)
    np.testing.assert_allclose(value, other_value, rtol=1e-5)
    for path in gradient:
        scale = np.abs(gradient[path]).max()
        np.testing.assert_allclose(other_gradient[path], gradient[path], atol=1e-4 * scale, err_msg=str(path))


@pytest.mark.parametrize("options", [{"scan": True}, {"remat": True}, {"scan": True, "remat": "elementwise"}])
def test_a_shared_block_is_the_same_in_every_form(options):
    value, gradient = value_and_gradient(stack(share=True, **DROPPING[PreNormBlock]), KEY)
    other_value, other = value_and_gradient(stack(share=True, **DROPPING[PreNormBlock], **options), KEY)
    np.testing.assert_allclose(value, other_value, rtol=1e-5)
    assert gradient.keys() == other.keys() and {path[0] for path in gradient} == {0}
    for path in gradient:
        np.testing.assert_allclose(other[path], gradient[path], atol=1e-4 * np.abs(gradient[path]).max())


def test_scan_compiles_one_block():
    lengths = {}
    for scan in (False, True):
        graph, state = nnx.split(stack(depth=8, scan=scan))
        lengths[scan] = len(jax.jit(lambda s: nnx.merge(graph, s)(X)).lower(state).as_text())  # noqa: B023
    assert lengths[True] < lengths[False] / 3


def test_remat_recomputes():
    texts = {}
    for remat in (False, True):
        graph, state = nnx.split(stack(depth=1, remat=remat))
        texts[remat] = str(jax.make_jaxpr(jax.grad(lambda s: nnx.merge(graph, s)(X).sum()))(state))  # noqa: B023
    assert "remat" in texts[True] or "checkpoint" in texts[True]
    assert texts[True].count("erfc") > texts[False].count("erfc") >= 1


def test_only_cheap_things_are_computed_again():
    counts = {}
    for remat in (True, "elementwise"):
        graph, state = nnx.split(stack(depth=1, remat=remat))
        text = str(jax.make_jaxpr(jax.grad(lambda s: nnx.merge(graph, s)(X).sum()))(state))  # noqa: B023
        counts[remat] = text.count("dot_general"), text.count("erfc")
    assert counts["elementwise"][0] < counts[True][0] and counts["elementwise"][1] == counts[True][1]


def of_all_pairs(module, key=None):
    """A loss in which each example meets each other, and its gradient."""
    graph, state = nnx.split(module)

    def loss(state):
        rows = nnx.merge(graph, state)(jnp.tile(X, (2, 1, 1)) * jnp.arange(1.0, 9.0)[:, None, None], key=key)[:, 0]
        return jax.nn.logsumexp(rows @ rows.T / rows.shape[1])

    return jax.jit(jax.value_and_grad(loss))(state)


@pytest.mark.parametrize("options", [{}, {"scan": True}, {"remat": True}, {"share": True}])
def test_accumulated_gradients_are_those_of_the_whole_batch(options):
    """Of a loss over all pairs too, which no sum of losses of parts is."""
    value, gradient = of_all_pairs(stack(depth=2, **options))
    for accumulate in (2, 4):
        other_value, other = of_all_pairs(stack(depth=2, accumulate=accumulate, **options))
        np.testing.assert_allclose(value, other_value, rtol=1e-6)
        for one, two in zip(jax.tree.leaves(gradient), jax.tree.leaves(other), strict=True):
            np.testing.assert_allclose(one, two, atol=2e-5 * np.abs(one).max())


def test_accumulation_keeps_the_inside_of_one_part():
    sizes = {}
    for accumulate in (1, 8):
        graph, state = nnx.split(stack(depth=4, accumulate=accumulate))
        rows = jax.ShapeDtypeStruct((64, *X.shape[1:]), X.dtype)
        step = jax.jit(jax.grad(lambda s, x: nnx.merge(graph, s)(x).sum()))  # noqa: B023
        sizes[accumulate] = step.lower(state, rows).compile().memory_analysis().temp_size_in_bytes
    assert sizes[8] < sizes[1] / 3


def test_parts_drop_by_keys_of_their_own():
    module = stack(depth=1, dropout=0.5, accumulate=2)
    rows = jnp.broadcast_to(X[:1], (4, *X.shape[1:]))
    found = module(rows, key=KEY)
    assert not np.allclose(found[0], found[1])
    np.testing.assert_array_equal(found, module(rows, key=KEY))


def test_a_batch_that_does_not_split_runs_whole():
    rows = jnp.tile(X, (2, 1, 1))[:3]
    np.testing.assert_allclose(stack(depth=1, accumulate=2)(rows), stack(depth=1)(rows), rtol=1e-6)


def test_padding_is_not_attended_to():
    attention = Attention(16, heads=4, dtype="float32", kernel_init=nnx.initializers.lecun_normal(), rngs=nnx.Rngs(0))
    changed = jnp.where(MASK[:, :, None], X, 7.0)
    difference = run(attention, X, MASK) - run(attention, changed, MASK)
    np.testing.assert_allclose(jnp.where(MASK[:, :, None], difference, 0.0), 0.0, atol=1e-6)
    assert jnp.abs(run(attention, X) - run(attention, changed))[1].max() > 1e-2
    nothing = run(attention, X, jnp.zeros((4, 5), bool))
    assert jnp.isfinite(nothing).all()


def test_a_query_may_have_its_own_keys():
    attention = Attention(16, heads=4, dtype="float32", kernel_init=nnx.initializers.lecun_normal(), rngs=nnx.Rngs(0))
    same = run(attention, X, jnp.broadcast_to(MASK[:, None, :], (4, 5, 5)))
    np.testing.assert_array_equal(same, run(attention, X, MASK))
    alone = run(attention, X, jnp.broadcast_to(jnp.eye(5, dtype=bool)[None], (4, 5, 5)))
    for place in range(5):
        expected = run(attention, X[:, place : place + 1])
        np.testing.assert_allclose(alone[:, place : place + 1], expected, atol=1e-6)


@pytest.mark.parametrize("options", [{"scan": True}, {"remat": True}])
@pytest.mark.parametrize("of", ["blocks", "branches"])
def test_states_are_the_same_in_every_form(options, of):
    found = {}
    for name, more in (("plain", {}), ("other", options)):
        module = stack(depth=2, dropout=0.2, drop_path=0.3, **more)
        found[name] = nnx.jit(lambda module: module.states(X, MASK, KEY, of=of))(module)  # noqa: B023
    np.testing.assert_allclose(found["plain"], found["other"], atol=1e-5)


def test_dropout_on_attention_weights_and_inside_the_mlp_have_rates_of_their_own():
    make = lambda **rates: PreNormBlock(16, heads=4, mlp_dim=32, rngs=nnx.Rngs(0), **rates)
    plain = run(make(), X, None, KEY)
    assert (run(make(dropout=0.0, mlp_dropout=0.0), X, None, KEY) == plain).all()
    for rates in ({"mlp_dropout": 0.5}, {"attention_dropout": 0.5}):
        assert jnp.abs(run(make(**rates), X, None, KEY) - plain).max() > 1e-2
        assert (run(make(**rates), X) == run(make(), X)).all()


def test_gelu_may_be_approximate():
    make = lambda gelu: PreNormBlock(16, heads=4, mlp_dim=32, gelu=gelu, rngs=nnx.Rngs(0))
    difference = jnp.abs(run(make("exact"), X) - run(make("tanh"), X)).max()
    assert 1e-5 < difference < 1e-2


def test_dropout_rate_and_mean():
    x = jnp.ones((200, 100))
    y = dropout(x, 0.3, KEY)
    assert abs(float((y == 0).mean()) - 0.3) < 0.02
    assert abs(float(y.mean()) - 1) < 0.03
    assert (dropout(x, 0.3, None) == x).all() and (dropout(x, 0.0, KEY) == x).all()


def test_drop_path_drops_whole_examples():
    y = drop_path(jnp.ones((4000, 3, 2)), 0.25, KEY)
    per_example = y.reshape(4000, -1)
    assert (per_example.min(1) == per_example.max(1)).all()
    assert abs(float((per_example[:, 0] == 0).mean()) - 0.25) < 0.03
    assert np.unique(np.asarray(y)).tolist() == pytest.approx([0, 1 / 0.75])


def test_drop_path_grows_with_depth():
    """Rates 0, 0.45 and 0.9: the first block always runs, the last seldom."""
    model = stack(drop_path=0.9)
    for index, block in enumerate(model.blocks):
        for branch in (block.attention.out, block.mlp.out):
            branch.kernel[...] = jnp.zeros_like(branch.kernel[...])
            branch.bias[...] = jnp.zeros_like(branch.bias[...])
        block.mlp.out.bias[...] = jnp.full(16, 100.0**index * [1, 0.55, 0.1][index])
    added = np.asarray(run(model, jnp.zeros((3000, 1, 16)), None, KEY)[:, 0, 0])
    first, second, third = (np.rint(added) // 100**index % 100 for index in range(3))
    assert (first == 1).all() and set(second) == set(third) == {0, 1}
    assert abs(second.mean() - 0.55) < 0.05
    assert abs(third.mean() - 0.1) < 0.03


def test_drop_path_may_be_uniform():
    """The first of two blocks is left out half of the time too."""
    model = stack(depth=2, drop_path=0.5, drop_path_uniform=True)
    for block in model.blocks:
        block.mlp.out.kernel[...] = jnp.zeros_like(block.mlp.out.kernel[...])
        block.attention.out.kernel[...] = jnp.zeros_like(block.attention.out.kernel[...])
    model.blocks[0].mlp.out.bias[...] = jnp.ones(16)
    added = np.asarray(run(model, jnp.zeros((3000, 1, 16)), None, KEY)[:, 0, 0])
    assert set(added.tolist()) == {0.0, 2.0} and abs((added > 0).mean() - 0.5) < 0.05


def test_computation_dtype():
    make = lambda rngs: PreNormBlock(16, heads=4, mlp_dim=32, dtype="bfloat16", layer_scale=0.1, rngs=rngs)
    model = Stack(make, depth=2, scan=True, drop_path=0.5, rngs=nnx.Rngs(0))
    assert run(model, X.astype(jnp.bfloat16), None, KEY).dtype == jnp.bfloat16
    assert {leaf.dtype.name for leaf in jax.tree.leaves(nnx.state(model))} == {"float32"}


def test_width_must_be_divisible_by_heads():
    with pytest.raises(ValueError, match="width 16 is not divisible by heads 3"):
        PreNormBlock(16, heads=3, mlp_dim=4, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="depth 0 is below 1"):
        stack(depth=0)
    with pytest.raises(ValueError, match="drop_path 1.0"):
        stack(drop_path=1.0)
