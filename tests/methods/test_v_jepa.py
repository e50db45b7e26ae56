"""V-JEPA: what is seen and predicted of a clip, which parts learn, and what it refuses."""

import re

import jax
import ml_collections
import numpy as np
import pytest
from flax import nnx

from ssl_jax.errors import UserError
from ssl_jax.experiment import build
from ssl_jax.experiment.show import draw_views
from ssl_jax.train import mesh as meshes
from tests import probe, tiny

PATCHES, TIMES, PLACES = 32, 2, 16  # of clips of 4 x 4 places


@pytest.fixture(scope="module")
def made(data_dir):
    return probe.made("v_jepa", data_dir)


@pytest.mark.parametrize("kind", [0, 1])
def test_no_mask_shows_what_it_asks_for(made, kind):
    _, views = made
    visible, seen, targets, counted = (np.asarray(views[f"{name}_{kind}"]) for name in BLOCKS)
    assert views["image"].shape == (32, 8, 24, 24, 1) and targets.shape[1] == 1
    for row in range(len(visible)):
        shown, asked = set(visible[row][seen[row]]), set(targets[row, 0][counted[row, 0]])
        assert shown and asked and not shown & asked and len(shown | asked) <= PATCHES
        for places in (shown, asked):
            first, second = ({p % PLACES for p in places if p // PLACES == time} for time in range(TIMES))
            assert first == second


BLOCKS = ("visible", "seen", "targets", "counted")


def test_the_loss_is_the_mean_over_both_masks(made):
    """Each mask by itself, as the official code's `loss_fn`, from the parts of the method."""
    method, views = made

    def by_hand(method, views):
        states = method.target_backbone.tokens(views["image"])[1].astype("float32")
        mean, variance = states.mean(-1, keepdims=True), states.var(-1, keepdims=True)
        truths, total = (states - mean) / (variance + 1e-5) ** 0.5, 0.0
        for kind in range(2):
            visible, seen, targets, counted = (views[f"{name}_{kind}"] for name in BLOCKS)
            of = lambda tokens, places: jax.vmap(lambda row, index: row[index])(tokens, places)
            context = method.backbone.encode(of(method.backbone.embed_patches(views["image"]), visible), mask=seen)
            found = method.predictor(context, visible, seen, targets, counted, kind=kind)[:, 0]
            apart = abs(found - of(truths, targets[:, 0])).mean(-1) * counted[:, 0]
            total += apart.sum() / counted[:, 0].sum() / 2
        return total

    np.testing.assert_allclose(probe.loss(method, views), nnx.jit(by_hand)(method, views), rtol=1e-5)


def test_all_that_learns_has_a_gradient_and_nothing_else_has(made):
    probe.check_gradients(*made)


def test_views_are_drawn_frame_beside_frame(tmp_path, data_dir):
    config = tiny.config("v_jepa")
    draw_views(build(config, data_dir=data_dir, mesh=meshes.make_mesh(jax.devices()[:1])), tmp_path / "views.png")
    assert (tmp_path / "views.png").stat().st_size > 1000


PICTURES = {part: ml_collections.ConfigDict(tiny.config("mae")[part]) for part in ("data", "views", "model")}
CLIPS = {part: ml_collections.ConfigDict(tiny.config("v_jepa")[part]) for part in ("data", "views", "model")}


@pytest.mark.parametrize(
    "name, parts, message",
    [
        ("v_jepa", PICTURES, "v_jepa learns from 'clip', and config.data.modality is 'image'; a data set of videos"),
        ("mae", CLIPS, "mae learns from 'image', and config.data.modality is 'image', of which config.views"),
        ("i_jepa", CLIPS, "i_jepa learns from 'image', and config.data.modality is 'image'"),
        ("supervised", {**CLIPS, "model": PICTURES["model"]}, "a ViT reads image, and config.views give clip; a vit"),
        ("simclr", {"data": CLIPS["data"]}, "these are views of pictures, and the data are clips"),
        ("v_jepa", dict(model=dict(frames=4)), "config.model.frames is 4, but config.data and config.views give 8"),
        ("v_jepa", dict(model=dict(pooling="cls")), "V-JEPA has no class token: set config.model.pooling to 'mean'"),
    ],
)  # fmt: skip
def test_data_network_and_method_that_do_not_fit(name, parts, message, data_dir):
    with pytest.raises(UserError, match=re.escape(message)):
        probe.made(name, data_dir, parts=parts)


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(blocks=(8,)), "config.method.block_scales (0.15, 0.7) and blocks (8,) must be of as many masks"),
        (dict(predicted_shares=(0.5,)), "config.method.predicted_shares (0.5,) and blocks (8, 2) must be of as many"),
        (dict(momentum_stretch=0.5), "momentum_stretch 0.5 is below 1"),
        (dict(block_scales=(0.01, 0.7)), "config.method.block_scales 0.01 leaves no patch of 4 x 4"),
        (dict(context_shares=(0.2, 0.0)), "context_shares 0.0 is not in 0 < context_shares <= 1"),
        (dict(predicted_shares=(1.5, 0.7)), "predicted_shares 1.5 is not in"),
        (dict(momentum=1.0), "momentum 1.0 is not in"),
        (dict(predictor_heads=5), "predictor_width 12 is not divisible by predictor_heads 5"),
    ],
)
def test_impossible_settings(settings, message, data_dir):
    with pytest.raises(UserError, match=re.escape(message)):
        probe.made("v_jepa", data_dir, **settings)


def test_labels_can_be_learnt_from_clips(data_dir):
    """Supervised, by the same network: the shapes of a step."""
    node = {**CLIPS, "method": ml_collections.ConfigDict(dict(name="supervised", cutmix=1.0, mixup=0.2))}
    experiment = build(tiny.config("v_jepa", **node), data_dir=data_dir, mesh=meshes.make_mesh(jax.devices()[:1]))
    batch, key = experiment.batch_at(0), jax.random.key(0)
    graphdef, state = nnx.split(experiment.method)

    def shapes(state, batch):
        method = nnx.merge(graphdef, state, copy=True)
        return method.loss(method.views(batch, key), key)[0], method.embed(batch)

    loss, embedded = jax.eval_shape(shapes, state, batch)
    assert loss.shape == () and embedded.shape == (32, 24)
