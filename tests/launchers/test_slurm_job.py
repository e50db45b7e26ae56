"""What needs no Slurm: settings, the job's script and its task. Real jobs are in test_slurm.py."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from ssl_jax.errors import UserError
from ssl_jax.launchers import engines, slurm
from ssl_jax.launchers.slurm_task import Task
from ssl_jax.train import runs
from ssl_jax.train.signals import StopSignal


@pytest.fixture
def sweep(tmp_path):
    found = runs.expand(tmp_path / "swept", [{"seed": 0}, {"seed": 1}], {})
    return runs.Sweep((sys.executable, "launch.py"), "c.py", tuple(found))


@pytest.mark.parametrize(
    "settings, said",
    [
        (dict(nodes=0), "--on.nodes 0 must be at least 1"),
        (dict(requeues=-1), "--on.requeues -1 must be at least 0"),
        (dict(minutes=1, signal_seconds=60), "--on.signal_seconds 60 must be below the 60 of the time limit"),
        (dict(gpus_per_node=4, tasks_per_node=2), "--on.tasks_per_node 2 must be 1 or 4"),
        (dict(node=2), "'node' does not exist. Did you mean 'nodes'"),
        (dict(minutes="1:00"), "--on.minutes is '1:00'"),
        (dict(flags="--mem=64G"), "write ('--mem=64G',)"),
        (dict(flags=("-p x",)), "--on.flags has '-p x'; write long flags of sbatch"),
        (dict(flags=("--time=5",)), "--on.flags has '--time=5', which this engine sets itself"),
        (dict(flags=("--cpus-per-task=5",)), "which this engine sets itself"),
        (dict(flags=("--signal=USR1",)), "which this engine sets itself"),
    ],
)
def test_wrong_settings(settings, said):
    with pytest.raises(UserError, match=re.escape(said)):
        engines.engine("slurm", settings)


def test_settings_are_in_the_script(sweep):
    settings = dict(nodes=2, tasks_per_node=4, gpus_per_node=4, cpus_per_task=12, minutes=90, jobs=1, partition="gpu")
    settings |= dict(
        account="lab", qos="low", constraint="a100", signal_seconds=200, flags=("--mem=64G", "--exclusive")
    )
    script = engines.engine("slurm", settings).preview(sweep)
    asked = set(re.findall(r"^#SBATCH --(.*)$", script, re.M))
    assert asked >= {"nodes=2", "ntasks-per-node=4", "gpus-per-node=4", "cpus-per-task=12", "time=90", "array=0-1%1"}
    assert asked >= {"partition=gpu", "account=lab", "qos=low", "constraint=a100", "mem=64G", "exclusive"}
    assert asked >= {"signal=TERM@200", "requeue", "job-name=swept"}
    assert not [flag for flag in asked if "None" in flag]


def test_without_slurm(sweep, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="sbatch is not here; run this where Slurm's commands are"):
        engines.engine("slurm", {}).run(sweep, StopSignal())
    assert not sweep.runs[0].folder.parent.exists()


def test_without_submitit(sweep, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit.slurm", None)
    with pytest.raises(UserError, match="pip install -r requirements-slurm.txt"):
        engines.engine("slurm", {}).preview(sweep)


@pytest.mark.parametrize(
    "status, state, restarts, array, requeued",
    [
        (75, "RUNNING", 0, "", "7"),
        (75, "RUNNING", 2, "", "7"),
        (143, "RUNNING", 0, "", "7"),
        (75, "RUNNING", 0, "5", "5_1"),
        (75, "RUNNING", 3, "", ""),
        (75, "COMPLETING", 0, "", ""),
        (0, "RUNNING", 0, "", ""),
        (1, "RUNNING", 0, "", ""),
    ],
)
def test_what_a_job_does_at_its_end(status, state, restarts, array, requeued, tmp_path):
    """The lines after srun, with a scontrol that notes what it is asked."""
    scontrol = tmp_path / "scontrol"
    asked = (
        f'if [ "$1" = show ]; then echo "JobId=7 JobState={state} Reason=None"; else echo "$@" > {tmp_path}/asked; fi'
    )
    scontrol.write_text(f"#!/bin/sh\n{asked}\n")
    scontrol.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "SLURM_JOB_ID": "7",
        "SLURM_RESTART_COUNT": str(restarts),
    }
    environment |= {"SLURM_ARRAY_JOB_ID": array, "SLURM_ARRAY_TASK_ID": "1"} if array else {}
    script = f"(exit {status})\n" + slurm.REQUEUE.format(stopped=75, requeues=3)
    done = subprocess.run([shutil.which("bash"), "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == status
    noted = tmp_path / "asked"
    assert (noted.read_text() if noted.exists() else "") == (f"requeue {requeued}\n" if requeued else "")
    assert ("Not requeued: it was 3 times" in done.stderr) == (restarts == 3)


def python(tmp_path, code: str) -> Task:
    return Task([sys.executable, "-c", code], tmp_path / "log.txt")


@pytest.fixture
def sigterm():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_task_tells_how_its_process_ended(tmp_path, sigterm):
    assert python(tmp_path, "print('all well')")() is None
    with pytest.raises(RuntimeError, match="The run ended with 2.\nall well\nError: not so"):
        python(tmp_path, "print('Error: not so'); raise SystemExit(2)")()
    assert json.loads((tmp_path / "failed.json").read_text()) == {"reason": "It ended with 2. Error: not so"}
    with pytest.raises(RuntimeError, match="was ended by SIGKILL"):
        python(tmp_path, "import os; os.kill(os.getpid(), 9)")()
    assert "ended with 2" in (tmp_path / "failed.json").read_text(), "what the run itself has said stays"
    for code in ("raise SystemExit(75)", "import os; os.kill(os.getpid(), 15)"):
        with pytest.raises(SystemExit) as end:
            python(tmp_path, code)()
        assert end.value.code == 75


def test_a_task_other_than_the_first_writes_to_its_own_log(tmp_path, sigterm, monkeypatch, capfd):
    monkeypatch.setenv("SLURM_PROCID", "1")
    python(tmp_path, "print('from the second')")()
    assert capfd.readouterr().out == "from the second\n" and not (tmp_path / "log.txt").exists()


def test_a_task_passes_sigterm_on(tmp_path, sigterm):
    code = (
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(75)); print('up', flush=True); time.sleep(60)"
    )

    def tell() -> None:
        while not (tmp_path / "log.txt").exists() or "up" not in (tmp_path / "log.txt").read_text():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    telling, begun = threading.Thread(target=tell), time.monotonic()
    telling.start()
    with pytest.raises(SystemExit) as end:
        python(tmp_path, code)()
    telling.join()
    assert end.value.code == 75 and time.monotonic() - begun < 30
