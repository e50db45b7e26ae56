"""BERT with and without its second task."""

import jax
import numpy as np
import pytest
from flax import nnx

from ssl_jax.experiment import build
from ssl_jax.train import mesh as meshes
from tests import tiny


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_without_pairs_there_is_no_second_task(weight, data_dir):
    pairs = dict(second_segment="random" if weight else "none")
    config = tiny.config("bert", data=pairs, method=dict(next_sentence_weight=weight))
    experiment = build(config, data_dir=data_dir, mesh=meshes.make_mesh(jax.devices()[:1]))
    method, key = experiment.module(experiment.initial_state()), jax.random.key(0)
    views = jax.jit(method.views)(experiment.batch_at(0), key)
    loss, metrics = nnx.jit(lambda method: method.loss(views, key))(method)
    assert ("next" in views) == ("next_sentence_loss" in metrics) == hasattr(method, "next_head") == (weight > 0)
    both = metrics["masked_lm_loss"] + weight * metrics.get("next_sentence_loss", 0)
    np.testing.assert_allclose(loss, both, rtol=1e-6)
