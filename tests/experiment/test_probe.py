"""Probing the features of a run for other labels, from its folder."""

import json

import numpy as np
import pytest

import launch
from ssl_jax.experiment import probe, run, trained
from ssl_jax.experiment.scores import Scorer
from tests import tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data_dir):
    """A run of APC that has just begun, on made-up sound."""
    workdir = tmp_path_factory.mktemp("runs") / "apc"
    evaluated = dict(during=(), tasks=("knn_full",), collapse_patience=1, every=1)
    config = tiny.config("apc", steps=2, schedule=dict(warmup_steps=1), evaluate=evaluated)
    assert run(config, workdir, data_dir=data_dir) == 0
    return workdir


def test_what_was_evaluated_in_the_run_is_found_again(folder, data_dir):
    found = probe.evaluate(folder, "probe", {"tasks": ("knn_full",)}, data_dir=data_dir)
    there = json.loads((folder / "results.json").read_text())
    for stage in ("raw", "untrained", "pretrained"):
        assert found[f"{stage}/knn_full"] == there[f"{stage}/knn_full"]


def test_another_label_is_probed_from_the_command_line(folder, data_dir, capsys):
    command = ["evaluate", str(folder), "--task=probe", "--task.label_key=speaker", "--task.layers=True"]
    assert launch.main([*command, f"--data_dir={data_dir}"]) == 0
    printed = dict(line.split(" = ") for line in capsys.readouterr().out.splitlines() if " = " in line)
    names = ("knn_full", "linear", *(f"linear_layer_{layer}" for layer in (1, 2)))
    stages = [f"{stage}/{name}" for stage in ("untrained", "pretrained") for name in names]
    assert set(printed) == {"raw/knn_full", "raw/linear", "chance", *stages}
    kept = json.loads((folder / "probes.json").read_text())
    name = "label_key=speaker, eval_train_split=None, eval_split=test"
    assert set(kept[name]) == set(printed)
    probe.evaluate(folder, "probe", {"label_key": "speaker", "tasks": ("knn_1shot",)}, data_dir=data_dir)
    more = json.loads((folder / "probes.json").read_text())[name]
    assert set(more) > {*printed, "pretrained/knn_1shot"}, "what another probe found is kept"
    experiment, _, state = trained.load(folder, data_dir=data_dir, data={"label_key": "speaker"})
    labels = Scorer(experiment).splits(state)[1][1]
    assert printed["chance"] == f"{np.bincount(labels).max() / len(labels):.4f}"


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--task.label_kye=digit", "Did you mean 'label_key'?"),
        ("--task.label_key=loudness", "'loudness'"),
        ("--task.tasks=('knn',)", "'knn' does not exist"),
    ],
)
def test_wrong_settings(argument, message, folder, data_dir, capsys):
    assert launch.main(["evaluate", str(folder), "--task=probe", argument, f"--data_dir={data_dir}"]) == 2
    assert message in capsys.readouterr().err


def test_there_is_one_task_of_that_name(folder, data_dir, capsys):
    assert launch.main(["evaluate", str(folder), "--task=probe/digit", f"--data_dir={data_dir}"]) == 2
    assert "features are probed by --task=probe" in capsys.readouterr().err
