"""A method that lives in a test trains through the unchanged step, evaluation, checkpoints and report."""

import json

import jax
import numpy as np
import pytest
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.experiment import build, run
from ssl_jax.methods import METHODS
from ssl_jax.models import targets
from ssl_jax.models.heads import Projector
from ssl_jax.train import mesh as meshes
from ssl_jax.train.loop import jit_train_step
from tests import tiny


class Follower(nnx.Module):
    """A target network that is the method's own idea: it predicts the mean of both views' targets."""

    def __init__(self, backbone, view, *, momentum: float = 0.9, rngs: nnx.Rngs):
        self.backbone, self.view, self.momentum = backbone, view, momentum
        self.projector = Projector(backbone.features, hidden=16, out=8, rngs=rngs)
        self.predictor = Projector(8, hidden=16, out=8, last_batch_norm=False, rngs=rngs)
        self.target = targets.target_copy(self.backbone)

    def views(self, batch, key):
        return {"image": augment.two_views(self.view, key, batch)}

    def loss(self, views, key, *, train: bool = True):
        project = lambda backbone: augment.each_view(
            lambda images: self.projector(backbone(images, train=train), train=train), views["image"]
        )
        online = self.predictor(project(self.backbone)[:, 0], train=train)
        loss = losses.byol(online, project(self.target).mean(1))
        return loss, {"distance": loss}

    def follow(self, step):
        targets.follow(self.target, self.backbone, self.momentum)

    def embed(self, inputs):
        return self.backbone(jax.vmap(self.view.evaluate)(inputs), train=False)


OF = {"backbone": nnx.Param, "target": targets.TargetWeight}
TABLE = METHODS | {"follower": Follower}


def config(**leaves):
    return tiny.config("simclr", steps=6, checkpoint=dict(every=3), log_every=1, **leaves) | {
        "method": {"name": "follower", "momentum": 0.5}
    }


@pytest.mark.filterwarnings("ignore:.*sharding.*")
def test_from_config_to_report(tmp_path, data_dir):
    assert run(config(), tmp_path / "run", data_dir=data_dir, method_table=TABLE) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert {"pretrained/knn_full", "untrained/knn_full", "raw/knn_full", "pretrained/distance"} <= results.keys()
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000
    assert run(config(), tmp_path / "run", data_dir=data_dir, method_table=TABLE) == 0, "a finished run does nothing"


def test_the_target_follows_by_its_momentum(data_dir):
    experiment = build(config(), data_dir=data_dir, method_table=TABLE)
    recipe, state = experiment.recipe, experiment.initial_state()
    weights = lambda state, name: [
        np.array(leaf) for leaf in jax.tree.leaves(nnx.state(getattr(experiment.module(state), name), OF[name]))
    ]
    before = weights(state, "backbone")
    step = jit_train_step(recipe, state)
    for number in range(2):  # the first step has learning rate 0
        state, _ = step(state, meshes.put_rows(experiment.batch_at(number), recipe.mesh))
    after = weights(state, "backbone")
    for target, old, new in zip(weights(state, "target"), before, after, strict=True):
        np.testing.assert_allclose(target, 0.5 * old + 0.5 * new, rtol=1e-6, atol=1e-7)
    assert any(np.abs(new - old).max() > 1e-6 for old, new in zip(before, after))
