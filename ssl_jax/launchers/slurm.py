"""The runs of a sweep on a Slurm cluster: submitted as one array through submitit, and left to Slurm.

A run that is told to stop, before its time limit or for more urgent jobs, saves and exits with 75; then its job puts
itself back into the queue and goes on from there.
"""

import contextlib
import io
import json
import pathlib
import shlex
import shutil
import subprocess
import sys
import types
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import filelock

from ssl_jax.errors import UserError
from ssl_jax.launchers.slurm_task import Task
from ssl_jax.train import runs
from ssl_jax.train.runs import Run, Sweep
from ssl_jax.train.signals import EXIT_STOPPED, StopSignal
from ssl_jax.train.workdir import read_json, write_atomically

FOLDER, JOB = "slurm", "slurm.json"  # of the sweep: submitit's files; of a run: its job
ROOT = pathlib.Path(__file__).resolve().parents[2]
# Lines of the job's script after srun, which ends when all processes of the run have. 143: SIGTERM came before they
# could take it. The job of an array is named in full, as the number of the last one alone stands for all of them.
# A job that scancel or Slurm itself ends is no longer RUNNING.
REQUEUE = """status=$?
job=$SLURM_JOB_ID
if [ -n "$SLURM_ARRAY_JOB_ID" ]; then job=${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID; fi
if [ $status = {stopped} ] || [ $status = 143 ]; then
  if [ "${{SLURM_RESTART_COUNT:-0}}" -ge {requeues} ]; then
    echo "Not requeued: it was {requeues} times (--on.requeues). The same sweep command goes on." >&2
  elif scontrol show job --oneliner $job | grep -q JobState=RUNNING; then
    scontrol requeue $job
  fi
fi
exit $status
"""


class Queued(NamedTuple):
    """A job that waits or runs: its number, such as 12 or 12_3, and its state."""

    job: str
    state: str


class Slurm:
    """Submits what is open and returns; the jobs need no one to watch them."""

    def __init__(
        self,
        *,
        nodes: int = 1,
        tasks_per_node: int = 1,
        gpus_per_node: int = 0,
        cpus_per_task: int = 1,
        minutes: int = 240,
        signal_seconds: int = 120,
        requeues: int = 100,
        jobs: int | None = None,
        partition: str | None = None,
        account: str | None = None,
        qos: str | None = None,
        constraint: str | None = None,
        flags: tuple[str, ...] = (),
    ):
        """
        Args:
          nodes: of each run.
          tasks_per_node: processes of a run on each node: one that has all GPUs of the node, or one for each GPU.
          gpus_per_node: that a run gets on each node.
          cpus_per_task: cores of each process.
          minutes: time limit of a job; a run that takes longer goes on in its next job.
          signal_seconds: how long before the time limit a run is told to save; Slurm may be a minute early.
          requeues: how often a job is put back into the queue at most.
          jobs: how many runs at a time at most; None: as many as Slurm lets run.
          partition: of the cluster; None here and below: Slurm's default.
          account: that is charged.
          qos: quality of service.
          constraint: features that the nodes must have.
          flags: further ones of sbatch, such as ('--mem=64G', '--exclusive').

        Raises:
          ValueError: a number is too small, processes and GPUs do not go together, or a flag is none or is set here.
        """
        counts = dict(nodes=nodes, tasks_per_node=tasks_per_node, cpus_per_task=cpus_per_task, minutes=minutes)
        _check_counts(counts | dict(signal_seconds=signal_seconds, jobs=1 if jobs is None else jobs), at_least=1)
        _check_counts(dict(gpus_per_node=gpus_per_node, requeues=requeues), at_least=0)
        if signal_seconds >= 60 * minutes:
            raise ValueError(f"signal_seconds {signal_seconds} must be below the {60 * minutes} of the time limit")
        if gpus_per_node and tasks_per_node not in (1, gpus_per_node):
            raise ValueError(f"tasks_per_node {tasks_per_node} must be 1 or {gpus_per_node}, as gpus_per_node is")
        self._requeues, self._jobs = requeues, jobs
        self._resources = dict(nodes=nodes, ntasks_per_node=tasks_per_node, cpus_per_task=cpus_per_task, time=minutes)
        where = dict(gpus_per_node=gpus_per_node, partition=partition, account=account, qos=qos, constraint=constraint)
        self._resources |= {name: value for name, value in where.items() if value}
        ours = {"signal": f"TERM@{signal_seconds}", "requeue": True}
        taken = (*self._resources, *ours, "job-name", "array", "output", "error", "open-mode")
        self._flags = _parsed(flags, taken) | ours

    def preview(self, sweep: Sweep) -> str:
        """The script that sbatch would get; empty where nothing is open.

        Raises:
          UserError: submitit is not installed, or the queue cannot be asked about the sweep's jobs.
        """
        slurm, chosen = _submitit(), _open(sweep, _queued(sweep.runs))
        if not chosen:
            return ""
        folder, array = _folder(sweep), {"map_count": len(chosen)} if len(chosen) > 1 else {}
        command = f"{shlex.quote(sys.executable)} -u -m submitit.core._submit {shlex.quote(str(folder))}"
        return slurm._make_sbatch_string(command, folder, **self._parameters(sweep, len(chosen)), **array)

    def run(self, sweep: Sweep, stop: StopSignal) -> int:
        """Submits what is neither done nor in the queue; returns 0 at once.

        Raises:
          UserError: Slurm's commands or submitit are not here, or sbatch refuses.
        """
        _find("sbatch")
        slurm, folder = _submitit(), _folder(sweep)
        folder.mkdir(parents=True, exist_ok=True)
        with stop, filelock.FileLock(folder / ".lock"):
            queued = _queued(sweep.runs)
            submitted = self._submit(slurm, sweep, _open(sweep, queued))
        _tell(sweep, queued | submitted, len(submitted))
        return 0

    def _submit(self, slurm: types.ModuleType, sweep: Sweep, chosen: Sequence[Run]) -> dict[pathlib.Path, Queued]:
        """Their jobs by folder, where they are noted as well."""
        if not chosen:
            return {}
        executor = slurm.SlurmExecutor(_folder(sweep))
        executor.update_parameters(**self._parameters(sweep, len(chosen)))
        for run in chosen:
            runs.remember(run)
        tasks = [Task(sweep.command(run), run.folder / runs.LOG) for run in chosen]
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # submitit prints what it raises
                jobs = executor.submit_array(tasks)
        except RuntimeError as error:
            reason = " ".join(line.removeprefix("sbatch: error: ") for line in str(error).splitlines())
            raise UserError(f"sbatch refuses: {reason}") from error
        for run, job in zip(chosen, jobs, strict=True):
            write_atomically(run.folder / JOB, json.dumps({"job": job.job_id}) + "\n")
        return {run.folder: Queued(job.job_id, "submitted") for run, job in zip(chosen, jobs)}

    def _parameters(self, sweep: Sweep, count: int) -> dict[str, Any]:
        """For submitit."""
        return self._resources | dict(
            job_name=_folder(sweep).parent.name,
            array_parallelism=self._jobs or count,
            # srun does not take the first from sbatch; the second lets a process save while others have ended.
            srun_args=[f"--cpus-per-task={self._resources['cpus_per_task']}", "--kill-on-bad-exit=0"],
            setup=[f"export PYTHONPATH={shlex.quote(str(ROOT))}${{PYTHONPATH:+:$PYTHONPATH}}"],
            teardown=REQUEUE.format(stopped=EXIT_STOPPED, requeues=self._requeues).split("\n"),
            additional_parameters=self._flags,
        )


def _check_counts(counts: Mapping[str, int], *, at_least: int) -> None:
    for name, count in counts.items():
        if count < at_least:
            raise ValueError(f"{name} {count} must be at least {at_least}")


def _parsed(flags: Sequence[str], taken: Sequence[str]) -> dict[str, Any]:
    """Flag without its hyphens -> value, True where it has none."""
    found = {}
    for flag in flags:
        name, equals, value = flag.removeprefix("--").partition("=")
        if not flag.startswith("--") or not name or " " in name:
            raise ValueError(f"flags has {flag!r}; write long flags of sbatch, such as '--mem=64G'")
        if name.replace("-", "_") in taken or name in taken:
            raise ValueError(f"flags has {flag!r}, which this engine sets itself, some by a setting of that name")
        found[name] = value if equals else True
    return found


def _folder(sweep: Sweep) -> pathlib.Path:
    return sweep.runs[0].folder.parent / FOLDER


def _open(sweep: Sweep, queued: Mapping[pathlib.Path, Queued]) -> list[Run]:
    return [run for run in sweep.open() if run.folder not in queued]


def _queued(of: Sequence[Run]) -> dict[pathlib.Path, Queued]:
    """By folder, of the runs whose last job waits or runs."""
    jobs = {run.folder: noted["job"] for run in of if (noted := read_json(run.folder / JOB))}
    if not jobs:
        return {}
    numbers = sorted({_number(job) for job in jobs.values()})
    command = [_find("squeue"), "--noheader", "--array", "--format=%i %T", f"--jobs={','.join(numbers)}"]
    asked = subprocess.run(command, capture_output=True, text=True)
    if asked.returncode and "Invalid job id" not in asked.stderr:  # which it says of one that is long over
        raise UserError(f"squeue failed, so that nothing is submitted: {' '.join(asked.stderr.split())}")
    states = dict(line.split() for line in asked.stdout.splitlines())
    return {folder: Queued(job, states[job].lower()) for folder, job in jobs.items() if job in states}


def _number(job: str) -> str:
    """Of an array's job, that of the array."""
    return job.partition("_")[0]


def _tell(sweep: Sweep, queued: Mapping[pathlib.Path, Queued], submitted: int) -> None:
    for run in sweep.runs:
        state, found = run.state(), queued.get(run.folder)
        now = f"{found.state}, job {found.job}" if found and state != "done" else state
        before = f"; before it failed: {run.reason()}" if state == "failed" else ""
        print(f"{run.folder.name} ({sweep.name(run)}) {now}{before}")
    print(f"{submitted} of {len(sweep.runs)} runs submitted.")
    if queued:
        numbers, folder = sorted({_number(found.job) for found in queued.values()}), _folder(sweep)
        print(f"Each run writes to {folder.parent}/RUN/{runs.LOG}, Slurm and a run's other processes to {folder}.")
        print(f"To watch them: squeue --jobs={','.join(numbers)}; to end them: scancel {' '.join(numbers)}.")


def _find(command: str) -> str:
    found = shutil.which(command)
    if not found:
        raise UserError(f"{command} is not here; run this where Slurm's commands are.")
    return found


def _submitit() -> types.ModuleType:
    try:
        from submitit.slurm import slurm
    except ImportError as error:
        raise UserError("--on=slurm needs submitit: pip install -r requirements-slurm.txt") from error
    return slurm
