"""What SimMIM, MaskFeat, BEiT, data2vec (vision) and I-JEPA hide, and what settings they refuse."""

import re

import jax
import ml_collections
import numpy as np
import pytest
from flax import nnx

from ssl_jax.errors import UserError
from tests import probe, tiny

RESNET = dict(name="resnet", stage_sizes=(1,), base_width=8, stem="small", channels=1)
COUNTS = {"simmim": 12, "mask_feat": 8, "data2vec_vision": 8, "beit": 6}  # of 16 patches


@pytest.mark.parametrize("name", COUNTS)
def test_as_many_patches_of_each_image_are_hidden(name, data_dir):
    _, views = probe.made(name, data_dir)
    hidden, places = np.asarray(views["hidden"]), np.asarray(views["places"])
    assert (hidden.sum(1) == COUNTS[name]).all() and places.shape == (32, COUNTS[name])
    assert len(np.unique(hidden, axis=0)) > 3
    np.testing.assert_array_equal(np.nonzero(hidden)[1].reshape(places.shape), places)


@pytest.mark.parametrize("name", COUNTS)
def test_what_is_hidden_is_not_seen(name, data_dir):
    """The loss knows hidden pixels as what is asked for alone: SimMIM's, as absolute errors, by their sign."""
    method, views = probe.made(name, data_dir)
    graph, state = nnx.split(method)
    loss = lambda image: nnx.merge(graph, state, copy=True).loss(views | {"image": image}, probe.KEY)[0]
    by_patch = np.abs(method.backbone.patchify(jax.jit(jax.grad(loss))(views["image"])))
    hidden = np.asarray(views["hidden"])
    assert by_patch[~hidden].mean() > 1e-6
    of_pixel = 1 / (hidden.sum() * method.backbone.patch_dim) if name == "simmim" else 0.0
    np.testing.assert_allclose(by_patch[hidden], of_pixel, rtol=1e-4, atol=1e-12)


def test_i_jepa_context_and_targets_share_no_patch(data_dir):
    _, views = probe.made("i_jepa", data_dir)
    visible, seen, targets, counted = (np.asarray(views[name]) for name in ("visible", "seen", "targets", "counted"))
    for row in range(len(visible)):
        assert not set(visible[row][seen[row]]) & set(targets[row][counted[row]].ravel())
        assert seen[row].sum() >= 2 and counted[row].any(-1).all()


RISES = dict(momentum_end=1.0, momentum_steps=10)


@pytest.mark.parametrize(
    "name, settings, step, momentum",
    [
        ("data2vec_vision", {}, 7, 0.99),
        ("data2vec_vision", RISES, 5, 0.995),
        ("i_jepa", {}, 25, 0.95),
        ("v_jepa", dict(momentum_stretch=1.0), 25, 0.95),
        ("v_jepa", {}, 25, 0.9 + 0.1 * 25 / 62),
    ],
)
def test_teachers_follow_by_their_schedule(name, settings, step, momentum, data_dir):
    """tiny has 50 steps: I-JEPA's 0.9, and V-JEPA's, is at 0.95 half way along its line."""
    method, _ = probe.made(name, data_dir, **settings)
    kernel = lambda network: np.asarray(network.patch_embedding.kernel[...])
    old = kernel(method.target_backbone)
    method.backbone.patch_embedding.kernel[...] += 1.0
    method.follow(np.int32(step))
    expected = momentum * old + (1 - momentum) * kernel(method.backbone)
    np.testing.assert_allclose(kernel(method.target_backbone), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "name, settings, message",
    [
        ("simmim", dict(mask_unit=3), "mask_unit 3 is not divisible by model.patch_size 2"),
        ("simmim", dict(mask_unit=6), "model.image_size 8 is not divisible by mask_unit 6"),
        ("simmim", dict(mask_ratio=0.9), "config.method.mask_ratio 0.9 hides 4 of 4 squares of mask_unit 4"),
        ("mae", dict(decoder_width=30), "config.method.decoder_width 30 is not divisible by"),
        ("mae", dict(decoder_depth=0), "config.method.decoder_depth 0 is below 1"),
        ("mask_feat", dict(mask_ratio=0.01), "mask_ratio 0.01 leaves nothing to see or to predict of 16 patches"),
        ("mask_feat", dict(cell=4), "model.patch_size 2 is not divisible by cell 4"),
        ("mask_feat", dict(bins=0), "config.method.bins 0 is below 1"),
        ("data2vec_vision", dict(beta=-1.0), "config.method.beta -1.0"),
        ("data2vec_vision", dict(min_block=0), "config.method.min_block 0 is below 1"),
        ("data2vec_vision", dict(top=3), "top 3 is more than the 2 blocks"),
        (
            "data2vec_vision",
            dict(momentum_end=0.5, momentum_steps=9),
            "momentum_end 0.5 is not between momentum 0.99 and 1",
        ),
        ("data2vec_vision", dict(momentum_steps=9), "momentum_end None and momentum_steps 9: set both or neither"),
        ("data2vec_vision", dict(momentum_end=1.0), "momentum_end 1.0 and momentum_steps 0: set both or neither"),
        ("data2vec_vision", dict(mask_ratio=0.99), "mask_ratio 0.99 leaves nothing to see"),
        ("i_jepa", dict(predictor_heads=5), "predictor_width 12 is not divisible by predictor_heads 5"),
        ("i_jepa", dict(context_share=0.0), "context_share 0.0 is not in 0 < context_share <= 1"),
        ("i_jepa", dict(least_visible=5), "context_share 0.27 of 16 patches are 4, fewer than least_visible 5"),
        ("i_jepa", dict(predictor_depth=0), "config.method.predictor_depth 0 is below 1"),
        ("i_jepa", dict(targets_per_image=0), "config.method.targets_per_image 0 is below 1"),
        ("i_jepa", dict(momentum=1.5), "momentum 1.5 is not in"),
    ],
)
def test_impossible_settings(name, settings, message, data_dir):
    with pytest.raises(UserError, match=re.escape(message)):
        probe.made(name, data_dir, **settings)


@pytest.mark.parametrize("name", [*COUNTS, "i_jepa"])
def test_nothing_but_a_vit_hides_patches(name, data_dir):
    with pytest.raises(UserError, match="works on patches, so config.model must be a vit, not ResNet"):
        probe.made(name, data_dir, parts={"model": ml_collections.ConfigDict(RESNET)})


RELATIVE = {"model": dict(positions="relative")}


@pytest.mark.parametrize("name, says", [("mae", "MAE"), ("i_jepa", "I-JEPA"), ("msn", "MSN")])
def test_parts_of_pictures_have_no_relative_positions(name, says, data_dir):
    views = {"views": dict(local_crops=0)} if name == "msn" else {}
    with pytest.raises(UserError, match=f"{says} shows parts of pictures: set config.model.positions to"):
        probe.made(name, data_dir, parts=RELATIVE | views)


def test_small_crops_have_no_relative_positions(data_dir):
    with pytest.raises(UserError, match="a vit with relative ones can read pictures of one size"):
        probe.made("ibot", data_dir, parts=RELATIVE)


@pytest.mark.parametrize("name, settings", [("jigsaw", dict(tile_size=2)), ("relative_position", dict(crop_size=2))])
def test_neither_have_tiles_and_pairs(name, settings, data_dir):
    vit = ml_collections.ConfigDict(tiny.config("simmim")["model"])
    with pytest.raises(UserError, match=f"{name} shows parts of pictures"):
        probe.made(name, data_dir, parts={"model": vit}, **settings)
