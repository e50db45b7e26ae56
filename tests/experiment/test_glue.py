"""GLUE on made-up examples: the sequences, and fine-tuning a run from its folder."""

import json

import numpy as np
import pytest

import launch
from ssl_jax.data import glue
from ssl_jax.experiment import run
from ssl_jax.experiment.build import build
from tests import tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data_dir):
    """A run of BERT that has just begun."""
    workdir = tmp_path_factory.mktemp("runs") / "bert"
    less = dict(during=(), tasks=(), diagnostics=False)
    assert (
        run(tiny.config("bert", steps=2, schedule=dict(warmup_steps=1), evaluate=less), workdir, data_dir=data_dir) == 0
    )
    return workdir


def test_sequences_of_pairs_and_of_single_texts(data_dir):
    opened = build(tiny.config("bert"), data_dir=data_dir).data
    spell = (opened.tokenizer, opened.vocabulary, 24)
    pairs = glue.read("mrpc", "train", *spell, data_dir=data_dir, mock=5)
    assert pairs["tokens"].shape == pairs["segments"].shape == (5, 24) and pairs["answer"].dtype == np.int32
    for tokens, segments in zip(pairs["tokens"], pairs["segments"]):
        ends = np.flatnonzero(tokens == opened.vocabulary.sep_id)
        assert tokens[0] == opened.vocabulary.cls_id and len(ends) == 2 and ends[1] == 23  # made-up texts are long
        np.testing.assert_array_equal(segments, (np.arange(24) > ends[0]) & (np.arange(24) <= ends[1]))
    single = glue.read("cola", "validation", *spell, data_dir=data_dir, mock=5)
    assert ((single["tokens"] == opened.vocabulary.sep_id).sum(1) == 1).all() and not single["segments"].any()
    assert glue.read("stsb", "validation", *spell, data_dir=data_dir, mock=5)["answer"].dtype == np.float32
    assert [glue.classes(name, data_dir) for name in ("mrpc", "mnli", "stsb")] == [2, 3, 1]


@pytest.mark.parametrize("task, names", [("mrpc", ["accuracy", "f1"]), ("stsb", ["pearson", "spearman"])])
def test_a_run_is_fine_tuned_from_its_folder(task, names, folder, data_dir, capsys):
    command = ["evaluate", str(folder), f"--task=glue/{task}", "--task.mock=40", "--task.epochs=1"]
    assert launch.main([*command, "--task.pool=mean", f"--data_dir={data_dir}"]) == 0
    printed = dict(line.split(" = ") for line in capsys.readouterr().out.splitlines() if " = " in line)
    assert list(printed) == names
    kept = json.loads((folder / "fine_tuned.json").read_text())[f"glue/{task}"]
    assert kept["settings"]["mock"] == 40 and kept["settings"]["epochs"] == 1
    assert {name: f"{kept[name]:.4f}" for name in names} == printed


def test_mnli_is_measured_on_both_of_its_splits(folder, data_dir):
    from ssl_jax import experiment

    found = experiment.evaluate(folder, "glue/mnli", {"mock": 33, "epochs": 1, "pool": "mean"}, data_dir=data_dir)
    assert set(found) == {"matched/accuracy", "mismatched/accuracy"}


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--task=glue/mprc"], "Did you mean 'glue/mrpc'?"),
        (["--task=squad"], "--task"),
        (["--task=glue/mrpc", "--task.epocs=3"], "Did you mean 'epochs'?"),
        (["--task=glue/mrpc", "--task.epochs=0"], "--task.epochs 0 is not positive"),
        (["--task=glue/mrpc", "--task.pool=max"], "--task.pool is 'max'"),
        ([], "--task=glue/mrpc"),
        (["--task=glue/mrpc", "--task.epochs=1"], "is not prepared"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(arguments, message, folder, data_dir, capsys):
    assert launch.main(["evaluate", str(folder), *arguments, f"--data_dir={data_dir}"]) == 2
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1
