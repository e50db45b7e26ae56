"""A method that lives in a test trains through the unchanged step, evaluation, checkpoints and report."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax import augment
from ssl_jax.experiment import build, run
from ssl_jax.methods import METHODS
from ssl_jax.models.heads import Predictor, Projector
from ssl_jax.train import mesh as meshes
from ssl_jax.train.step import make_train_step
from tests import tiny


class Target(nnx.Variable):
    """Weights that follow and are not trained."""


class Follower(nnx.Module):
    """A small BYOL: a predictor of a slowly following target network's projections."""

    def __init__(self, backbone, view, *, momentum: float = 0.9, rngs: nnx.Rngs):
        self.backbone, self.view, self.momentum = backbone, view, momentum
        self.projector = Projector(backbone.features, hidden=16, out=8, layers=2, rngs=rngs)
        self.predictor = Predictor(8, hidden=16, out=8, rngs=rngs)
        self.target = nnx.data([Target(leaf) for leaf in self._online()])

    def _online(self) -> list[jax.Array]:
        return jax.tree.leaves((nnx.state(self.backbone, nnx.Param), nnx.state(self.projector, nnx.Param)))

    def views(self, batch, key):
        first, second = (augment.per_example(self.view.train, k, batch) for k in jax.random.split(key))
        return {"first": first, "second": second}

    def loss(self, views, key, *, train: bool = True):
        online = self.predictor(self._project(views["first"], train), train=train)
        target = jax.lax.stop_gradient(self._target_projection(views["second"], train))
        cosine = (_unit(online) * _unit(target)).sum(-1)
        return jnp.mean(2 - 2 * cosine), {"cosine": jnp.mean(cosine)}

    def _project(self, images, train):
        return self.projector(self.backbone(images, train=train), train=train)

    def _target_projection(self, images, train):
        parts = (self.backbone, self.projector)
        graphdef, params, rest = nnx.split(parts, nnx.Param, ...)
        treedef = jax.tree.structure((nnx.state(self.backbone, nnx.Param), nnx.state(self.projector, nnx.Param)))
        weights = treedef.unflatten([leaf[...] for leaf in self.target])
        flat = jax.tree.structure(params).unflatten(jax.tree.leaves(weights))
        backbone, projector = nnx.merge(graphdef, flat, rest, copy=True)
        return projector(backbone(images, train=train), train=train)

    def follow(self, step):
        for target, online in zip(self.target, self._online()):
            target[...] = self.momentum * target[...] + (1 - self.momentum) * online

    def embed(self, inputs):
        return self.backbone(jax.vmap(self.view.evaluate)(inputs), train=False)


def _unit(x):
    return x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1e-6)


TABLE = METHODS | {"follower": Follower}


def config(**leaves):
    return tiny.config("simclr", steps=6, checkpoint=dict(every=3), log_every=1, **leaves) | {
        "method": {"name": "follower", "momentum": 0.5}
    }


@pytest.mark.filterwarnings("ignore:.*sharding.*")
def test_from_config_to_report(tmp_path, data_dir):
    assert run(config(), tmp_path / "run", data_dir=data_dir, method_table=TABLE) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert {"pretrained/knn_full", "untrained/knn_full", "raw/knn_full", "pretrained/cosine"} <= results.keys()
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000
    assert run(config(), tmp_path / "run", data_dir=data_dir, method_table=TABLE) == 0, "a finished run does nothing"


def test_the_target_follows_by_its_momentum(data_dir):
    experiment = build(config(), data_dir=data_dir, method_table=TABLE)
    recipe, state = experiment.recipe, experiment.initial_state()
    before = [np.asarray(leaf) for leaf in experiment.module(state)._online()]
    step = jax.jit(make_train_step(recipe.graphdef, recipe.optimizer, recipe.schedule, recipe.seed))
    for number in range(2):  # the first step has learning rate 0
        state, _ = step(state, meshes.put_rows(experiment.batch_at(number), recipe.mesh))
    after = experiment.module(state)
    for target, old, new in zip(after.target, before, after._online()):
        np.testing.assert_allclose(np.asarray(target[...]), 0.5 * old + 0.5 * np.asarray(new), rtol=1e-6, atol=1e-7)
    assert any(np.abs(np.asarray(new) - old).max() > 1e-6 for old, new in zip(before, after._online()))
