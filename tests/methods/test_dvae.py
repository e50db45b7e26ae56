"""The discrete VAE: what its loss is made of, its schedules, and that its tokens come to say what a picture shows."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from ssl_jax import losses
from ssl_jax.errors import UserError
from ssl_jax.experiment import check
from ssl_jax.methods.dvae import DVAE
from ssl_jax.train import mesh as meshes
from tests import probe, tiny
from tests.stepping import Stepper

WIDE = dict(model=dict(width=16), method=dict(gumbel_steps=100))


def steps(count, data_dir):
    """A run's method before and after, its last metrics, and held-out pictures."""
    stepper = Stepper(tiny.config("dvae", steps=count, **WIDE), jax.devices()[:1], data_dir)
    experiment = stepper.experiment
    begun = experiment.initial_state()
    state = jax.tree.map(jnp.copy, begun)
    for number in range(count):
        rows = meshes.put_rows(experiment.batch_at(number), experiment.recipe.mesh)
        state, metrics = stepper.step(state, rows)
    held_out = experiment.data.eval.read(np.arange(64))
    return experiment.module(begun), experiment.module(state), jax.device_get(metrics), held_out


def test_its_tokens_tell_a_picture_from_others(data_dir):
    """What tokens decode to is nearer than the mean of all pictures, and in the untrained network farther."""
    before, after, metrics, held_out = steps(150, data_dir)
    reconstruct = jax.jit(lambda method, batch: method.reconstruct(batch, jax.random.key(0)))
    errors = []
    for method in (before, after):
        original, seen, painted = reconstruct(method, held_out)
        assert seen is None and painted.shape == original.shape
        original, painted = (np.asarray(method.view.displayable(part)) for part in (original, painted))
        errors.append(np.abs(painted - original).mean())
    of_mean = np.abs(original - original.mean(0)).mean()
    assert errors[1] < 0.9 * of_mean < errors[0]
    assert metrics["code_perplexity"] > 3 and metrics["token_divergence"] > 1


def test_every_weight_is_trained(data_dir):
    probe.check_gradients(*probe.made("dvae", data_dir))


def test_the_loss_is_that_of_the_paper(data_dir):
    """Summed over a picture, and over its 64 values: 16 cells of 4 values."""
    method, views = probe.made("dvae", data_dir, kl_weight=1.5, kl_warmup_steps=0)
    method.follow(np.int32(9))
    loss, metrics = jax.jit(lambda method: method.loss(views, probe.KEY, train=False))(method)
    pixels = method.view.displayable(views["image"])
    logits = method.backbone.logits(losses.map_pixels(pixels))
    q = np.asarray(jax.nn.softmax(logits), np.float64)
    divergence = (q * np.log(12 * q)).sum((1, 2, 3))
    predictions = method.decoder(jax.nn.one_hot(logits.argmax(-1), 12))
    likelihood = 64 * losses.logit_laplace(predictions, pixels)
    np.testing.assert_allclose(loss, (likelihood + 1.5 * divergence.mean()) / 64, rtol=1e-4)
    np.testing.assert_allclose(metrics["token_divergence"], divergence.mean() / 16, rtol=1e-4)
    painted = losses.unmap_pixels(jax.nn.sigmoid(np.split(np.asarray(predictions), 2, -1)[0]))
    saved = 1 - np.square(painted - pixels).sum() / (pixels.size * np.var(pixels))
    np.testing.assert_allclose(metrics["target_skill"], saved, rtol=1e-4)


def test_tokens_are_drawn_in_training_alone(data_dir):
    method, views = probe.made("dvae", data_dir)
    loss = lambda key, train: float(probe.loss(method, views, train=train, key=jax.random.key(key)))
    assert loss(1, True) != loss(2, True)
    assert loss(1, False) == loss(2, False)


def test_temperature_falls_and_the_divergence_rises_along_half_a_cosine(data_dir):
    method, _ = probe.made("dvae", data_dir, kl_weight=6.6)
    found = []
    for done in (0, 5, 10, 20, 40, 45):
        method.done[...] = done
        found.append((float(method.gumbel_temperature()), float(method.divergence_weight())))
    rise = (1 - np.cos(np.pi * np.minimum(np.array([0, 5, 10, 20, 40, 45]) / 10, 1))) / 2
    fall = (1 + np.cos(np.pi * np.minimum(np.array([0, 5, 10, 20, 40, 45]) / 40, 1))) / 2
    np.testing.assert_allclose(found, np.stack([1 / 16 + 15 / 16 * fall, 6.6 * rise], 1), rtol=1e-5, atol=1e-6)


def test_schedules_longer_than_the_run_are_refused_where_they_are_left_out_too(data_dir):
    config = tiny.config("dvae")
    config["method"] = {"name": "dvae"}
    with pytest.raises(
        UserError, match="config.method.gumbel_steps is 150000, and the run ends before, after 50 steps"
    ):
        check(config)


@pytest.mark.parametrize(
    "parts, settings, message",
    [
        ({}, dict(gumbel_start=0.01), "config.method.gumbel_start 0.01 is below gumbel_end 0.0625"),
        ({}, dict(kl_weight=-1.0), "config.method.kl_weight -1.0 is below 0"),
        ({}, dict(gumbel_steps=50), "config.method.gumbel_steps is 50, and the run ends before"),
        ({}, dict(code_width=0), "config.method.code_width 0 is below 1"),
        ({"model": dict(factor=3)}, {}, "config.model.factor 3 is no power of two"),
        ({"model": dict(factor=16)}, {}, "config.views give pictures of 8 x 8 pixels, which config.model.factor 16"),
        (
            {"model": ml_collections.ConfigDict(tiny.config("simmim")["model"])},
            {},
            "dvae needs config.model.name 'visual_tokenizer', not a ViT",
        ),
    ],
)
def test_impossible_settings(parts, settings, message, data_dir):
    with pytest.raises(UserError, match=message):
        probe.made("dvae", data_dir, parts=parts, **settings)


def test_sound_has_no_bounds(data_dir):
    method, _ = probe.made("dvae", data_dir)
    with pytest.raises(ValueError, match="dvae paints pictures, whose pixels have bounds"):
        DVAE(method.backbone, object(), rngs=None)
