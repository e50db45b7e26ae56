"""Exports that cannot be; those that can are in tests/fidelity, where transformers loads them."""

import json

import pytest

from ssl_jax import experiment
from ssl_jax.errors import UserError
from tests import tiny


def write(folder, method):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(tiny.config(method)))
    return folder


def test_no_run_no_checkpoint_no_counterpart(data_dir, tmp_path):
    with pytest.raises(UserError, match="is no run's folder: it has no config.json"):
        experiment.export(tmp_path, tmp_path / "out")
    with pytest.raises(UserError, match="config.method.name: 'simclr' does not exist.* Valid: .*bert"):
        experiment.export(write(tmp_path / "simclr", "simclr"), tmp_path / "out")
    bert = write(tmp_path / "bert", "bert")
    with pytest.raises(UserError, match="has no checkpoint yet"):
        experiment.export(bert, tmp_path / "out", data_dir=data_dir)
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="bert holds something already; give --out a new folder"):
        experiment.export(bert, bert)
