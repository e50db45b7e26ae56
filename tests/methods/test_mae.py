"""What MAE's parts hand to each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import losses
from ssl_jax.experiment import build
from ssl_jax.train import mesh as meshes
from tests import tiny

ONE_DEVICE = meshes.make_mesh(jax.devices()[:1])


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_every_visible_patch_reaches_its_own_place_in_the_decoder(pooling, data_dir):
    """With blocks that let tokens pass unchanged, a visible patch's latent decides its own prediction and no other."""
    experiment = build(tiny.config("mae", model=dict(pooling=pooling)), data_dir=data_dir, mesh=ONE_DEVICE)
    method = experiment.module(experiment.initial_state())
    views = jax.jit(method.views)(experiment.batch_at(0), jax.random.key(0))
    method.decoder.stack = lambda tokens: tokens
    extra = int(pooling == "cls")
    latent = jax.random.normal(jax.random.key(1), (32, views["visible"].shape[1] + extra, 24))
    moved = latent.at[:, extra].add(1.0)  # the first visible patch
    decode = jax.jit(method.decoder)
    before, after = (decode(tokens, views["restore"]) for tokens in (latent, moved))
    changed = np.asarray(jnp.abs(before - after).max(-1) > 1e-6)
    np.testing.assert_array_equal(changed.sum(1), 1)
    np.testing.assert_array_equal(changed.argmax(1), views["visible"][:, 0])


@pytest.mark.parametrize("normalize", [True, False])
def test_what_is_predicted_right_is_painted_right(normalize, data_dir):
    """The decoder is made to give its own targets: normalised by each patch's mean and deviation, or plain."""
    config = tiny.config("mae", method=dict(normalize_targets=normalize))
    experiment = build(config, data_dir=data_dir, mesh=ONE_DEVICE)
    method, batch = experiment.module(experiment.initial_state()), experiment.batch_at(0)
    patches = method.backbone.patchify(jax.vmap(method.view.evaluate)(batch))
    truth = losses.normalize_patches(patches) if normalize else patches
    method.decoder = lambda latent, restore, **given: truth
    original, _, painted = method.reconstruct(batch, jax.random.key(0))
    np.testing.assert_allclose(painted, original, atol=1e-5)
    assert (np.abs(truth - patches).max() > 0.1) == normalize


@pytest.mark.parametrize("name", ["mae", "simmim"])
def test_hidden_patches_alone_are_painted(name, data_dir):
    experiment = build(tiny.config(name), data_dir=data_dir, mesh=ONE_DEVICE)
    method, batch = experiment.module(experiment.initial_state()), experiment.batch_at(0)
    original, seen, painted = jax.jit(method.reconstruct)(batch, jax.random.key(0))
    patches = [np.asarray(method.backbone.patchify(image)) for image in (original, seen, painted)]
    hidden = np.abs(patches[1]).max(-1) == 0
    assert 0.7 < hidden.mean() < 0.8
    np.testing.assert_allclose(patches[2][~hidden], patches[0][~hidden], atol=1e-6)
    assert np.abs(patches[2][hidden] - patches[0][hidden]).mean() > 0.05
