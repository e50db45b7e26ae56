"""SwAV composed by hand from its modules; its queue, its frozen prototypes and their length, step by step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax import losses
from ssl_jax.errors import UserError
from ssl_jax.experiment import build
from ssl_jax.train import mesh as meshes
from tests import probe, tiny
from tests.probe import KEY
from tests.stepping import Stepper

BATCH = 32


def experiment_of(data_dir, **leaves):
    return build(tiny.config("swav", **leaves), data_dir=data_dir, mesh=meshes.make_mesh(jax.devices()[:1]))


@nnx.jit
def projections(method, views):
    """Both sizes through the backbone on their own, all crops through the projector together, crop by crop."""
    features = []
    for kind in ("image", "local"):
        crops = jnp.swapaxes(views[kind], 0, 1)
        features.append(method.backbone(crops.reshape(-1, *crops.shape[2:]), train=True))
    z = method.projector(jnp.concatenate(features), train=True).reshape(4, BATCH, -1)
    return unit_rows(z)


def unit_rows(x):
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


def swapped(scores, *, temperature=0.1, epsilon=0.05, extra=None):
    """Of scores [4, B, K]: the first two views assign, with `extra` [2, Q, K] in the balance."""
    total, log_p = 0.0, jax.nn.log_softmax(scores / temperature)
    for g in range(2):
        rows = scores[g] if extra is None else jnp.concatenate([scores[g], extra[g]])
        q = losses.sinkhorn_knopp(rows, temperature=epsilon)[:BATCH]
        total -= sum((q * log_p[v]).sum(-1).mean() for v in range(4) if v != g) / 3
    return total / 2


def test_loss_is_the_swapped_prediction_of_large_crops_from_all(data_dir):
    method, views = probe.made("swav", data_dir)
    again = nnx.clone(method)
    expected = swapped(projections(again, views) @ method.prototypes.kernel[...])
    np.testing.assert_allclose(probe.loss(method, views), expected, rtol=1e-5)
    for ours, by_hand in zip(*(jax.tree.leaves(nnx.state(m, nnx.BatchStat)) for m in (method, again))):
        np.testing.assert_allclose(ours, by_hand, rtol=1e-4, atol=1e-6)  # crops of one size shared a pass


@pytest.mark.parametrize(
    ("option", "settings"), [("temperature", dict(temperature=0.3)), ("epsilon", dict(epsilon=0.2))]
)
def test_temperatures_of_predictions_and_assignments(option, settings, data_dir):
    method, views = probe.made("swav", data_dir, **settings)
    expected = swapped(projections(nnx.clone(method), views) @ method.prototypes.kernel[...], **settings)
    np.testing.assert_allclose(probe.loss(method, views), expected, rtol=1e-5)


def test_without_balancing_assignments_are_soft_cluster_scores(data_dir):
    method, views = probe.made("swav", data_dir, sinkhorn_iterations=0)
    scores = projections(nnx.clone(method), views) @ method.prototypes.kernel[...]
    log_p, q = jax.nn.log_softmax(scores / 0.1), jax.nn.softmax(scores[:2] / 0.05)
    pairs = [-(q[g] * log_p[v]).sum(-1).mean() for g in range(2) for v in range(4) if v != g]
    np.testing.assert_allclose(probe.loss(method, views), np.mean(pairs), rtol=1e-5)


def test_without_small_crops_the_large_ones_predict_each_other(data_dir):
    method, views = probe.made("swav", data_dir, dict(views=dict(local_crops=0)))
    assert set(views) == {"image"} and np.isfinite(probe.loss(method, views))


def test_queue_fills_from_its_start_and_balances_once_it_is_full(data_dir):
    """Q = 64 is two batches, from step 1: filled after steps 1 and 2, used from step 3."""
    method, views = probe.made("swav", data_dir, freeze_prototypes_steps=0)
    expected_queue, used = np.zeros((64, 2, 8), np.float32), []
    for step in range(5):
        kernel = method.prototypes.kernel[...]
        z = projections(nnx.clone(method), views)
        extra = jnp.einsum("qgd,dk->gqk", method.queue[...], kernel)
        alone, together = swapped(z @ kernel), swapped(z @ kernel, extra=extra)
        loss = probe.loss(method, views)
        used.append(bool(abs(loss - together) < abs(loss - alone)))
        np.testing.assert_allclose(loss, together if used[-1] else alone, rtol=1e-5)
        if step >= 1:
            expected_queue = np.concatenate([expected_queue[BATCH:], np.swapaxes(z[:2], 0, 1)])
        np.testing.assert_allclose(method.queue[...], expected_queue, rtol=1e-4, atol=1e-6)
        method.follow(jnp.int32(step))
        views = {name: jnp.flip(crops, axis=-3) for name, crops in views.items()}
    assert used == [False, False, False, True, True]


def test_few_examples_are_balanced_with_a_full_queue(data_dir):
    """Held-out losses of less than a batch: from step 3 on, as in training."""
    method, views = probe.made("swav", data_dir)
    few = {name: crops[: BATCH // 2] for name, crops in views.items()}
    method.queue[...] = unit_rows(jax.random.normal(KEY, method.queue.shape))
    balanced = []
    for step in (2, 3):
        method.done[...] = jnp.int32(step)
        found = probe.loss(method, few, train=False)
        other = nnx.clone(method)
        other.queue[...] = -other.queue[...]
        balanced.append(bool(abs(probe.loss(other, few, train=False) - found) > 1e-4))
    assert balanced == [False, True]


def test_evaluating_the_loss_changes_nothing(data_dir):
    method, views = probe.made("swav", data_dir, queue_start=0)
    before = nnx.state(nnx.clone(method))
    probe.loss(method, views, train=False)
    jax.tree.map(np.testing.assert_array_equal, before, nnx.state(method))


def test_prototypes_have_no_gradient_while_they_are_frozen_and_all_else_always(data_dir):
    method, views = probe.made("swav", data_dir, freeze_prototypes_steps=3)
    for step in range(4):
        probe.check_gradients(method, views, without=("prototypes",) if step < 3 else ())
        method.follow(jnp.int32(step))


@pytest.mark.parametrize("optimizer", ["larc", "adamw"])
def test_prototypes_keep_unit_length_and_stand_still_while_frozen(optimizer, data_dir):
    settings = dict(name=optimizer, learning_rate=0.5, weight_decay=1e-6)
    config = tiny.config("swav", optimizer=settings, schedule=dict(warmup_steps=0))
    stepper = Stepper(config, jax.devices()[:1], data_dir)
    state = stepper.experiment.initial_state()
    kernels = []
    for number in range(6):
        kernels.append(np.asarray(stepper.experiment.module(state).prototypes.kernel[...]))
        np.testing.assert_allclose(np.linalg.norm(kernels[-1], axis=0), 1, rtol=1e-6)
        state, *_ = stepper.run(state, number, number + 1)
    moved = [float(np.abs(a - b).max()) for a, b in zip(kernels, kernels[1:])]
    assert max(moved[:3]) < 1e-6 < 1e-5 < min(moved[3:])


def test_what_is_shown_of_prototypes(data_dir):
    experiment = experiment_of(data_dir)
    method, batch = experiment.module(experiment.initial_state()), experiment.batch_at(0)
    z, p = method.project(batch), method.assign(batch)
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(p, jax.nn.softmax(z @ method.prototypes.kernel[...] / 0.1), rtol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        dict(temperature=0.0),
        dict(epsilon=-1.0),
        dict(sinkhorn_iterations=-1),
        dict(prototypes=0),
        dict(freeze_prototypes_steps=-1),
        dict(queue_size=-1),
        dict(queue_start=-1),
        dict(projector_hidden=0),
        dict(projector_out=0),
    ],
)
def test_impossible_settings_are_named(settings, data_dir):
    with pytest.raises(UserError, match=f"config.method.*{next(iter(settings))}"):
        probe.made("swav", data_dir, **settings)


def test_a_queue_shorter_than_a_batch_is_refused(data_dir):
    with pytest.raises(UserError, match="config.method.queue_size 31 is below the batch_size 32"):
        experiment_of(data_dir, method=dict(queue_size=BATCH - 1))
