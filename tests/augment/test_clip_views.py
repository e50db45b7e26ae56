"""Views of clips: one crop and one coin for all frames."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import augment

FRAMES, SIDE = 3, 12
CLIP = jnp.asarray(np.random.default_rng(0).integers(0, 256, (FRAMES, SIDE, SIDE, 1), np.uint8))
PLAIN = dict(mean=(0.3,), std=(0.4,))


def of_clips(name="mae", **settings):
    spec = types.SimpleNamespace(shapes={"image": CLIP.shape, "label": ()})
    return augment.VIEWS[name](spec, **PLAIN, **settings)


def test_each_frame_is_the_view_of_a_picture_with_the_same_draws():
    clips = of_clips(out_size=8)
    pictures = augment.MAEView(types.SimpleNamespace(shapes={"image": CLIP.shape[1:]}), out_size=8, **PLAIN)
    assert (clips.gives, clips.shape, pictures.gives) == ("clip", (FRAMES, 8, 8, 1), "image")
    train = jax.jit(jax.vmap(lambda key: clips.train(key, {"image": CLIP, "label": 1})))
    one = jax.jit(jax.vmap(lambda key: jnp.stack([pictures.train(key, {"image": frame}) for frame in CLIP])))
    keys = jax.random.split(jax.random.key(0), 20)
    np.testing.assert_allclose(train(keys), one(keys), atol=1e-5)
    whole = jnp.stack([pictures.evaluate({"image": frame}) for frame in CLIP])
    np.testing.assert_allclose(clips.evaluate({"image": CLIP}), whole, atol=1e-5)
    np.testing.assert_allclose(clips.displayable(whole)[0], pictures.displayable(whole[0]), atol=1e-6)


@pytest.mark.parametrize("name", ["simclr", "affine"])
def test_other_views_are_of_pictures(name):
    with pytest.raises(ValueError, match="these are views of pictures, and the data are clips; set config.views.name"):
        of_clips(name)


def test_clips_are_mixed_as_wholes():
    """A box of CutMix is the same in all frames, and the targets' share is the pixels'."""
    clips = jnp.stack([jnp.zeros((FRAMES, SIDE, SIDE, 1)), jnp.ones((FRAMES, SIDE, SIDE, 1))])
    mixed, targets = augment.mix_batch(jax.random.key(3), clips, jnp.eye(2), cutmix_alpha=1.0)
    assert mixed.shape == clips.shape and (mixed == mixed[:, :1]).all()
    share = mixed[0].mean()
    assert 0 < share < 1
    np.testing.assert_allclose(targets[0], [1 - share, share], rtol=1e-5)
