"""A ViT of clips: patches that last several frames, and where they are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.models import ViT
from ssl_jax.models.heads import JEPAPredictor
from ssl_jax.models.patches import patchify_clips
from ssl_jax.models.positions import sincos, sincos2d, sincos3d

SMALL = dict(width=16, depth=1, heads=2, mlp_dim=32, patch_size=4, image_size=12, frames=6, positions="sincos3d")


def test_patches_are_boxes_of_frames_rows_and_columns():
    clips = jnp.arange(2 * 6 * 8 * 12 * 3).reshape(2, 6, 8, 12, 3)
    patches = patchify_clips(clips, 4, 2)
    assert patches.shape == (2, 3 * 2 * 3, 2 * 4 * 4 * 3)
    number = 2 * 6 + 1 * 3 + 2  # the third time, the second row, the third column
    assert (patches[1, number].reshape(2, 4, 4, 3) == clips[1, 4:6, 4:8, 8:12]).all()
    with pytest.raises(ValueError, match="clip length 6 is not divisible by tubelet_size 4"):
        patchify_clips(clips, 4, 4)


@pytest.mark.parametrize("width", [12, 16, 20])
def test_positions_are_those_of_the_official_code(width):
    """`get_3d_sincos_pos_embed` with `uniform_power`, one number after the other."""
    times, rows, columns = 2, 3, 4
    third = int(np.ceil(width / 6) * 2)
    wave = lambda place, i: place / 10_000 ** ((i % (third // 2)) / (third / 2))
    of_axis = lambda place: [(np.sin, np.cos)[i >= third // 2](wave(place, i)) for i in range(third)]
    table = [
        [*of_axis(time), *of_axis(row), *of_axis(column)][:width]
        for time in range(times)
        for row in range(rows)
        for column in range(columns)
    ]
    np.testing.assert_allclose(sincos3d((times, rows, columns), width), table, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(sincos((2, 3), 8), sincos2d((2, 3), 8))


def test_a_shorter_clip_has_positions_further_apart():
    whole, half = sincos3d((4, 3, 3), 12), sincos3d((2, 3, 3), 12, over=(4, 3, 3))
    expected = sincos3d((8, 3, 3), 12, over=(4, 3, 3)).reshape(8, 9, 12)  # at -0.25, 0.25, ...
    assert half.shape == (18, 12) and not np.allclose(half[:9], whole[:9])
    np.testing.assert_allclose(half.reshape(2, 9, 12)[:, :, 4:], expected[:2, :, 4:], atol=1e-6)  # rows and columns
    np.testing.assert_allclose(half[0, 0], np.sin(0.5), rtol=1e-6)


def test_shapes():
    model = nnx.eval_shape(lambda: ViT(**SMALL, pooling="mean", rngs=nnx.Rngs(0)))
    assert (model.reads, model.grid, model.num_patches, model.patch_dim) == ("clip", (3, 3, 3), 27, 2 * 4 * 4 * 3)
    embed = lambda clips: nnx.eval_shape(lambda model: model.embed_patches(clips), model).shape
    assert embed(jnp.zeros((2, 6, 12, 12, 3))) == (2, 27, 16)
    assert embed(jnp.zeros((2, 4, 8, 12, 3))) == (2, 12, 16)
    with pytest.raises(ValueError, match="images have 1 channels"):
        embed(jnp.zeros((2, 6, 12, 12, 1)))


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(frames=5), "frames 5 is not divisible by tubelet_size 2"),
        (dict(frames=0), "frames 0 is below 1"),
        (dict(positions="learned"), "positions 'learned' are not for clips of 6 frames: set 'sincos3d'"),
        (dict(frames=None), r"positions 'sincos3d' are not for pictures \(frames is None\): set 'sincos2d'"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        ViT(**SMALL | settings, rngs=nnx.Rngs(0))


def test_each_kind_of_target_has_a_mask_token_of_its_own():
    """What is predicted of one kind hangs on its own token alone; both begin at 0."""
    sizes = dict(grid=(2, 2, 2), kinds=2, width=12, depth=1, heads=2)
    predictor = JEPAPredictor(8, **sizes, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(predictor.mask_token, np.zeros((2, 12)))
    context, places = jax.random.normal(jax.random.key(0), (1, 3, 8)), jnp.arange(3)[None]
    given = (context, places, places >= 0, places[:, None] + 4, places[:, None] >= 0)
    graph, state = nnx.split(predictor)

    @jax.jit
    def both(token):
        made = nnx.merge(graph, state, copy=True)
        made.mask_token[...] = token
        return jnp.stack([made(*given, kind=kind) for kind in range(2)])

    first, moved = both(jnp.zeros((2, 12))), both(jnp.zeros((2, 12)).at[1, 3].set(1.0))
    np.testing.assert_array_equal(first[0], first[1])
    np.testing.assert_array_equal(moved[0], first[0])
    assert np.abs(moved[1] - first[1]).max() > 1e-4
