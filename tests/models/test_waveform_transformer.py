"""The transformer over waveforms: padding, hidden frames, gradients."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.models import WaveformTransformer
from ssl_jax.models.convolutions import TimeNorm, frames_of

SMALL = dict(
    conv_channels=(8, 8), conv_kernels=(10, 4), conv_strides=(5, 2), width=16, depth=2, heads=2, mlp_dim=32,
    position_kernel=4, position_groups=2, dropout=0.0,
)  # fmt: skip
VARIANTS = {
    "base": {},
    "large": dict(norm_first=True, conv_norm="layer", conv_bias=True),
    "data2vec": dict(position_depth=2, position_kernel=3, conv_norm="layer"),
}
WAVEFORM = jnp.asarray(np.random.default_rng(0).normal(size=(4, 200)), jnp.float32)
LENGTH = jnp.array([200, 130, 40, 5])  # the last is too short for a frame
FRAMES = np.array([18, 11, 2, 0])


@cache
def built(settings):
    return nnx.jit(lambda: WaveformTransformer(**SMALL | dict(settings), rngs=nnx.Rngs(0)))()


def build(**settings):
    return nnx.clone(built(tuple(settings.items())))


@partial(nnx.jit, static_argnums=5)
def run(model, waveform=WAVEFORM, length=LENGTH, mask=None, key=None, train=False):
    return model(waveform, length, mask=mask, train=train, key=key)


def real(x):
    return jnp.where((jnp.arange(x.shape[1])[None] < FRAMES[:, None])[:, :, None], x, 0)


def test_frames_are_as_many_as_convolutions_give():
    model = build()
    np.testing.assert_array_equal(model.frames(LENGTH), FRAMES)
    for length in (24, 25, 30, 199, 200):
        assert run(model, WAVEFORM[:, :length]).shape == (4, int(frames_of(length, (10, 4), (5, 2))), 16)
    assert model.hop == 10


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_lies_behind_the_end_changes_nothing(variant):
    model = build(**VARIANTS[variant])
    noise = jnp.where(jnp.arange(200)[None] < LENGTH[:, None], WAVEFORM, 100 * WAVEFORM[::-1])
    before, after = run(model), run(model, noise)
    assert jnp.isfinite(after).all()
    np.testing.assert_array_equal(real(before), real(after))
    alone = run(model, WAVEFORM[:, :130])
    np.testing.assert_allclose(alone[1, :11], before[1, :11], atol=2e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_into_padding_are_zero_and_all_are_finite(variant):
    graph, state = nnx.split(build(**VARIANTS[variant]))
    total = lambda state, waveform: jnp.sum(real(nnx.merge(graph, state)(waveform, LENGTH))[:, :, :3])
    gradients, into = jax.jit(jax.grad(total, (0, 1)))(state, WAVEFORM)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    behind = jnp.arange(200)[None] >= LENGTH[:, None]
    assert (jnp.where(behind, into, 0) == 0).all() and (into[0] != 0).any()


def test_hidden_frames_are_not_seen():
    """With every frame hidden all waveforms look alike; with none, the learned vector plays no part."""
    model = build()
    everything = jnp.ones((4, 18), bool)
    full = jnp.full((4,), 200)
    hidden = run(model, WAVEFORM, full, everything)
    np.testing.assert_array_equal(hidden[0], hidden[1])
    seen = run(model, WAVEFORM, full, ~everything)
    model.mask_embedding[...] += 1.0
    np.testing.assert_array_equal(seen, run(model, WAVEFORM, full, ~everything))
    assert (hidden != run(model, WAVEFORM, full, everything)).any()


def test_gradient_of_the_convolutions_is_scaled():
    def gradient(factor):
        graph, state = nnx.split(build(feature_gradient=factor))
        return jax.jit(jax.grad(lambda state: jnp.sum(nnx.merge(graph, state)(WAVEFORM, LENGTH)[..., :3])))(state)

    whole, tenth = gradient(1.0), gradient(0.1)
    for (path, one), other in zip(jax.tree_util.tree_leaves_with_path(whole), jax.tree.leaves(tenth), strict=True):
        factor = 0.1 if "convolutions" in jax.tree_util.keystr(path) else 1.0
        np.testing.assert_allclose(factor * one, other, rtol=1e-5, atol=1e-6, err_msg=jax.tree_util.keystr(path))


def test_states_end_with_what_the_call_gives():
    model = build()
    states = nnx.jit(lambda model: model.states(WAVEFORM, LENGTH))(model)
    assert states.shape == (2, 4, 18, 16)
    np.testing.assert_allclose(states[-1], run(model), atol=1e-6)


def test_statistics_over_time_are_of_real_frames():
    x = jax.random.normal(jax.random.key(0), (2, 6, 3)) * 3 + 1
    there = jnp.arange(6)[None] < jnp.array([[6], [4]])
    y = TimeNorm(3, rngs=nnx.Rngs(0))(x, there)
    for row, count in enumerate((6, 4)):
        np.testing.assert_allclose(y[row, :count].mean(0), 0, atol=1e-6)
        np.testing.assert_allclose(y[row, :count].std(0), 1, atol=1e-4)


def test_bfloat16_remat_and_dropout():
    model = build(dtype="bfloat16", remat=True, scan=True, dropout=0.1)
    assert run(model, WAVEFORM, LENGTH, None, jax.random.key(0), True).dtype == jnp.bfloat16
    with pytest.raises(ValueError, match="needs the argument key"):
        run(model, WAVEFORM, LENGTH, None, None, True)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"conv_strides": (5,)}, "conv_channels .* must be as long as conv_kernels"),
        ({"position_groups": 3}, "width 16 is not divisible by position_groups 3"),
        ({"conv_norm": "batch"}, "conv_norm 'batch' is not one of group, layer"),
        ({"position_depth": 0}, "position_depth 0 is below 1"),
        ({"feature_gradient": 0.0}, "feature_gradient 0.0 must be positive"),
        ({"conv_kernels": (10, 0)}, "conv_kernels 0 is below 1"),
        ({"heads": 3}, "width 16 is not divisible by heads 3"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        WaveformTransformer(**{**SMALL, **settings}, rngs=nnx.Rngs(0))
