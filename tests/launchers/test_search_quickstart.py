"""The real thing: a search over the quick start's temperature and learning rate, with few steps, stopped on its way;
and a run that learns little, ended early."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from ssl_jax.train import runs
from tests.killed import compiling_little
from tests.launchers.drive import ROOT

pytestmark = pytest.mark.slow
LITTLE = ("--config.evaluate.tasks=('knn_full',)", "--config.evaluate.map_limit=30")  # is looked at in the end
ENVIRONMENT = os.environ | compiling_little(1)


def test_the_quick_start_is_searched(tmp_path):
    command = [sys.executable, "launch.py", "sweep", f"--workdir={tmp_path}", "--on.jobs=2"]
    command += ["--search=tpe", "--search.trials=4", "--search.startup=1", "--search.prune_on=eval/rank_me"]
    command += ["--config.steps=20", "--config.schedule.warmup_steps=2", "--config.log_every=5"]
    command += ["--config.evaluate.every=5", "--config.checkpoint.every=5", *LITTLE]
    process = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("*/results.json")):
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 75, said
    before = {run.folder: run.overrides for run in runs.found(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {run.folder: run for run in runs.found(tmp_path)}
    assert len(found) == 4 and all(found[folder].overrides == overrides for folder, overrides in before.items())
    states = [run.state() for run in found.values()]
    assert set(states) <= {"done", "pruned"} and states.count("done") >= 1
    for run in found.values():
        steps = [line["step"] for line in map(json.loads, (run.folder / "metrics.jsonl").read_text().splitlines())]
        assert steps == sorted(steps) and (run.state() == "pruned" or steps[-1] == 20)
    best = max(run.results()["pretrained/knn_full"] for run in found.values() if run.state() == "done")
    assert f"Best of 4 trials: pretrained/knn_full {best:.4g} with --config.steps=20" in done.stdout


def test_what_does_badly_is_pruned(tmp_path):
    command = [sys.executable, "launch.py", "sweep", "--config=tests/launchers/bad_rates.py", f"--workdir={tmp_path}"]
    command += ["--search=tpe", "--search.trials=2", "--search.startup=1", "--search.prune_on=eval/knn_full"]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {run.overrides["seed"]: run for run in runs.found(tmp_path)}
    assert {seed: run.state() for seed, run in found.items()} == {0: "done", 1: "pruned"}
    assert not (found[1].folder / "results.json").exists()
