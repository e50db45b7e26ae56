"""A linear probe of each layer."""

import numpy as np
import pytest

from ssl_jax import evaluate
from ssl_jax.errors import UserError
from ssl_jax.experiment import build, check
from ssl_jax.experiment.scores import Scorer
from tests import tiny


def config(method, **leaves):
    return tiny.config(method, evaluate=dict(layers=True, tasks=("linear",), **leaves))


def test_last_layer_is_what_the_probe_of_the_encoder_sees(data_dir):
    """BERT's last block is the encoder's output; the first is another one."""
    experiment = build(config("bert", limit=256, max_iter=20), data_dir=data_dir)
    state, scorer = experiment.initial_state(), Scorer(experiment)
    found = scorer.layers(state)
    assert found.keys() == {"linear_layer_1", "linear_layer_2"}
    train, test = scorer.splits(state)
    assert found["linear_layer_2"] == pytest.approx(evaluate.linear_probe(*train, *test, max_iter=20))
    method, batch = experiment.module(state), experiment.data.eval.read(np.arange(4))
    first, last = np.moveaxis(np.asarray(method.embed_layers(batch)), 1, 0)
    np.testing.assert_allclose(last, method.embed(batch), rtol=1e-5, atol=1e-6)
    assert np.abs(first - last).max() > 1e-3


def test_a_method_without_layers_is_refused():
    with pytest.raises(UserError, match="config.evaluate.layers: simclr does not give the features of its layers"):
        check(config("simclr"))
