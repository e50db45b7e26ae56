"""LiDAR of a run: the views that it is measured on."""

import jax
import numpy as np
import pytest
from flax import nnx

from ssl_jax import diagnostics
from ssl_jax.experiment import build, drawn_views
from ssl_jax.experiment.scores import Scorer
from tests import tiny


@pytest.fixture(scope="module")
def run(data_dir):
    experiment = build(tiny.config("simclr"), data_dir=data_dir)
    return experiment, experiment.initial_state()


def test_views_are_those_of_training_and_belong_to_their_example(run):
    experiment, state = run
    method, view = experiment.module(state), experiment.method.view
    rows = np.array([3, 8, 5])
    batch = experiment.data.eval.read(rows)
    key = jax.random.key(7)
    found = drawn_views.features_of_views(method, batch | {"row": rows}, key)
    assert found.shape == (3, drawn_views.VIEWS, experiment.module(state).backbone.features)
    drawn = jax.random.split(jax.random.fold_in(key, 8), drawn_views.VIEWS)[4]
    image = view.train(drawn, {name: array[1] for name, array in batch.items()})
    alone = experiment.module(state).backbone(image[None])[0]
    np.testing.assert_allclose(found[1, 4], alone, rtol=1e-5, atol=1e-6)


def test_lidar_of_a_state_is_that_of_all_held_out_images(run):
    experiment, state = run
    scorer = Scorer(experiment)
    rows = np.arange(len(experiment.data.eval))
    batch = experiment.data.eval.read(rows) | {"row": rows}
    key = jax.random.split(jax.random.key(0), 3)[2]
    features = drawn_views.features_of_views(experiment.module(state), batch, key)
    assert scorer.lidar(state)["lidar"] == pytest.approx(float(diagnostics.lidar(features)), rel=1e-3)


def test_text_has_no_views_to_draw(data_dir):
    experiment = build(tiny.config("bert"), data_dir=data_dir)
    assert not drawn_views.can_draw(experiment.method) and isinstance(experiment.method, nnx.Module)
    assert Scorer(experiment).lidar(None) == {}
