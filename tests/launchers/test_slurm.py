"""Sweeps on a Slurm of two nodes that the tests start: arrays, several nodes, and the ways in which a job is ended.

A run is frozen (SIGSTOP) where Slurm has to act before it ends, however fast this machine is: Slurm sends SIGCONT
before SIGTERM.
"""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import pytest

from ssl_jax.train import runs
from ssl_jax.train.runs import Run
from ssl_jax.train.workdir import read_json
from tests.killed import ROOT, assert_same, compiling_little, last_step, outcome
from tests.launchers import slurm_cluster
from tests.launchers.slurm_cluster import Cluster

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of Orbax, on reading without shardings
    pytest.mark.skipif(bool(slurm_cluster.missing()), reason=slurm_cluster.missing()),
]
STEPS = 80
COMMON = {"steps": STEPS, "log_every": 2, "checkpoint.every": 10}
COMMON |= {"evaluate.during": (), "evaluate.tasks": ("knn_full",)}
BAD = {"optimizer.learning_rate": 1e30}
URGENT = ("sbatch", "--partition=urgent", "--nodes=2", "--output=/dev/null", "--wrap=sleep 1")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="slurm_") as folder:
        with Cluster(pathlib.Path(folder)).running() as found:
            yield found


class Swept:
    """A sweep on the cluster; each run computes on two devices, of one node or of two."""

    def __init__(self, cluster: Cluster, folder: pathlib.Path, data_dir: str, *overrides: dict, nodes: int = 1):
        folder.mkdir()
        config = folder / "config.py"
        config.write_text(f"from tests.tiny import get_config\n\n\ndef sweep():\n    yield from {overrides!r}\n")
        self.cluster, self.runs = cluster, runs.expand(folder, overrides, COMMON)
        self._command = [sys.executable, "launch.py", "sweep", f"--config={config}:byol", f"--workdir={folder}"]
        self._command += [f"--data_dir={data_dir}", "--on=slurm", f"--on.nodes={nodes}"]
        self._command += [f"--config.{leaf}={value!r}" for leaf, value in COMMON.items()]
        self._environment = cluster.environment | compiling_little(2 // nodes)

    def command(self, *options: str, status: int = 0) -> str:
        """What the command says, which returns at once, with that exit status."""
        words = [*self._command, *options]
        done = subprocess.run(words, cwd=ROOT, env=self._environment, capture_output=True, text=True)
        assert done.returncode == status, done.stderr
        return done.stderr if status else done.stdout

    def wait(self) -> None:
        """Returns when Slurm has nothing left to do."""
        self.cluster.wait(lambda: not self.cluster.queue(), seconds=300)


def job(run: Run) -> str:
    return read_json(run.folder / "slurm.json")["job"]


def log(run: Run) -> str:
    path = run.folder / runs.LOG
    return path.read_text() if path.exists() else ""


def processes(run: Run) -> list[int]:
    """Those of launch.py that work on it."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:  # it has just ended
            continue
        if f"--workdir={run.folder}" in words and "sweep" not in words:
            found.append(int(path.parent.name))
    return found


def freeze(run: Run, cluster: Cluster, step: int) -> list[int]:
    """Stops the clock of a run at about that step; returns its processes."""
    cluster.wait(lambda: last_step(run.folder) >= step, every=0.01)
    for pid in (found := processes(run)):
        os.kill(pid, signal.SIGSTOP)
    assert last_step(run.folder) < STEPS and found, "it was too fast to be frozen"
    return found


def steps_kept(run: Run) -> list[tuple[int, int]]:
    """Each time that it went on: the step at which it had stopped, and that of the checkpoint."""
    found, stopped = [], None
    for what, step in re.findall(r"^(Stopped at|Going on from the checkpoint of) step (\d+)", log(run), re.M):
        if what == "Stopped at":
            stopped = int(step)
        else:
            found.append((stopped, int(step)))
    return found


@pytest.fixture(scope="module")
def array(cluster, tmp_path_factory, data_dir) -> Swept:
    """Three runs as one array, the third one bad, at their ends."""
    swept = Swept(cluster, tmp_path_factory.mktemp("slurm") / "array", data_dir, {"seed": 0}, {"seed": 1}, BAD)
    shown = swept.command("--dry_run")
    assert "3 of 3 runs submitted" in swept.command()
    number = job(swept.runs[0]).partition("_")[0]
    assert [job(run) for run in swept.runs] == [f"{number}_{index}" for index in range(3)]
    assert shown.endswith((swept.runs[0].folder.parent / "slurm" / f"{number}_submission.sh").read_text())
    swept.wait()
    return swept


@pytest.fixture(scope="module")
def two_nodes(cluster, tmp_path_factory, data_dir) -> Run:
    """A run on two nodes that nothing disturbs, at its end."""
    swept = Swept(cluster, tmp_path_factory.mktemp("slurm") / "two", data_dir, {"seed": 0}, nodes=2)
    assert "1 of 1 runs submitted" in swept.command()
    swept.wait()
    return swept.runs[0]


def test_an_array(array, cluster):
    assert [run.state() for run in array.runs] == ["done", "done", "failed"]
    assert [cluster.job(job(run))["JobState"] for run in array.runs] == ["COMPLETED", "COMPLETED", "FAILED"]
    bad = array.runs[2]
    assert "not finite" in bad.reason() and bad.reason() in log(bad)
    submitit = bad.folder.parent / "slurm"
    assert bad.reason() in (submitit / f"{job(bad)}_0_log.err").read_text()
    before = job(bad)
    said = array.command()
    assert "1 of 3 runs submitted" in said and said.count(" done\n") == 2, "what is done is not done again"
    assert job(bad) != before
    cluster.command("scancel", job(bad))
    array.wait()


def test_two_nodes(array, two_nodes, cluster):
    """Two processes, one on each node, compute what one process does."""
    assert cluster.job(job(two_nodes))["NodeList"] == "n[1-2]" and "on 2 x cpu" in log(two_nodes)
    (_, one, scores), (_, two, others) = outcome(array.runs[0].folder, STEPS), outcome(two_nodes.folder, STEPS)
    pairs = [(a["train/loss"], b["train/loss"]) for a, b in zip(one, two, strict=True) if "train/loss" in a]
    difference = max(abs(a - b) / abs(a) for a, b in pairs)
    print(f"two nodes: largest relative difference of the loss {difference:.1e} in {len(pairs)} lines")
    assert difference < 1e-4 and scores == pytest.approx(others, abs=0.02)


def test_pre_empted(two_nodes, cluster, tmp_path, data_dir):
    """More urgent jobs take both nodes: both processes save, and go on with the very next step."""
    swept = Swept(cluster, tmp_path / "swept", data_dir, {"seed": 0}, nodes=2)
    swept.command()
    (run,) = swept.runs
    assert len(freeze(run, cluster, 4)) == 2
    cluster.command(*URGENT)
    saved = cluster.wait(lambda: "and saved" in log(run))
    queued = cluster.wait(lambda: cluster.queue().get(job(run)) == "PENDING")
    again = cluster.wait(lambda: cluster.queue().get(job(run)) == "RUNNING")
    assert "1 of 1" not in swept.command()
    swept.wait()
    print(f"pre-empted: saved after {saved:.1f} s, queued {queued:.1f} s later, started {again:.1f} s later")
    assert cluster.job(job(run))["Restarts"] == "1"
    ((stopped, went_on),) = steps_kept(run)
    print(f"pre-empted: stopped at step {stopped}, went on from step {went_on}")
    assert stopped == went_on < STEPS
    assert_same(outcome(two_nodes.folder, STEPS), outcome(run.folder, STEPS))


def test_time_limit(array, cluster, tmp_path, data_dir):
    """A run that takes longer than its job may is told before, saves, and goes on in the next job."""
    swept = Swept(cluster, tmp_path / "swept", data_dir, {"seed": 0})
    swept.command("--on.minutes=1", "--on.signal_seconds=15")  # Slurm tells it 15 to 45 s after the start
    (run,) = swept.runs
    freeze(run, cluster, 4)
    told = cluster.wait(lambda: "and saved" in log(run))
    swept.wait()
    print(f"time limit: saved after {told:.1f} s; (stopped at, went on from): {steps_kept(run)}")
    assert int(cluster.job(job(run))["Restarts"]) >= len(steps_kept(run)) >= 1
    # After its last step it is told in the evaluation, and has nothing left to save.
    assert all(went_on in (stopped, STEPS) for stopped, went_on in steps_kept(run))
    assert_same(outcome(array.runs[0].folder, STEPS), outcome(run.folder, STEPS))


def test_lost_node(array, cluster, tmp_path, data_dir):
    """Slurm gives the job another node, where the run goes on from its last checkpoint."""
    swept = Swept(cluster, tmp_path / "swept", data_dir, {"seed": 0})
    swept.command()
    (run,) = swept.runs
    freeze(run, cluster, 12)
    (lost,) = cluster.job(job(run))["NodeList"].split()
    cluster.command("scontrol", "update", f"nodename={lost}", "state=down", "reason=test")
    cluster.wait(lambda: cluster.queue().get(job(run)) != "RUNNING")
    again = cluster.wait(lambda: cluster.queue().get(job(run)) == "RUNNING")
    swept.wait()
    found = cluster.job(job(run))
    cluster.command("scontrol", "update", f"nodename={lost}", "state=resume")
    print(f"lost node: started on another after {again:.1f} s")
    assert found["Restarts"] == "1" and found["NodeList"] != lost
    assert_same(outcome(array.runs[0].folder, STEPS), outcome(run.folder, STEPS))


def test_refused(cluster, tmp_path, data_dir):
    swept = Swept(cluster, tmp_path / "swept", data_dir, {"seed": 0})
    said = swept.command("--on.partition=nowhere", status=2)
    assert said.startswith("Error: sbatch refuses: invalid partition specified: nowhere") and said.count("\n") == 1
    assert "1 of 1 runs submitted" in swept.command()
    cluster.command("scancel", job(swept.runs[0]))
    swept.wait()


def test_cancelled(cluster, tmp_path, data_dir):
    """While its job waits or runs a run is not submitted again; scancel ends the job for good."""
    endless = ({"seed": seed, "steps": 1_000_000} for seed in range(3))  # the first is at work when it is cancelled
    swept = Swept(cluster, tmp_path / "swept", data_dir, *endless)
    assert "3 of 3 runs submitted" in swept.command("--on.jobs=1")
    first, *waiting = swept.runs
    said = swept.command()
    assert "0 of 3 runs submitted" in said
    assert all(f"pending, job {job(run)}" in said for run in waiting)
    cluster.wait(lambda: "Measuring" in log(first))
    assert "0 of 3 runs submitted" in swept.command()
    cluster.command("scancel", job(first).partition("_")[0])
    swept.wait()
    time.sleep(1)
    assert not cluster.queue()
    assert {cluster.job(job(run))["JobState"] for run in swept.runs} == {"CANCELLED"}
    assert "3 of 3 runs submitted" in swept.command()
    cluster.command("scancel", job(first).partition("_")[0])
    swept.wait()
