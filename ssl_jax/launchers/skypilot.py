"""The runs of a sweep as SkyPilot's managed jobs, each on a TPU slice of its own."""

import re
import shlex
import types
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from ssl_jax.errors import RunError, UserError
from ssl_jax.launchers import pods, slices
from ssl_jax.train import runs
from ssl_jax.train.runs import Run, Sweep
from ssl_jax.train.signals import EXIT_STOPPED, StopSignal

PYTHON = "~/ssl_jax/bin/python"
# Run on each host. SkyPilot brings uv, and uv the Python that the machines' own image lacks.
SETUP = f"""export PATH="$HOME/.local/bin:$PATH"
command -v uv || python3 -m pip install --user uv
uv venv --allow-existing --python 3.12 ~/ssl_jax &&
uv pip install --python {PYTHON} {shlex.join(pods.NEEDS)}
"""
JOB_NAME, LONGEST_NAME = r"[a-zA-Z0-9]+(?:[._-]{1,2}[a-zA-Z0-9]+)*", 60
BUCKET = r"(gs|s3)://[a-z0-9][a-z0-9._-]+[a-z0-9](/[^/]+)*/?"
ENDED = ("SUCCEEDED", "CANCELLED", "FAILED")  # what the names of a job's last states begin with


class Skypilot:
    """Submits what the queue of managed jobs does not have; the jobs need no one to watch them.

    The workdirs lie in a bucket, so that it is the queue that tells which runs are done. Where it has forgotten one,
    the run is submitted again, finds its own results and ends at once.
    """

    def __init__(
        self,
        *,
        topology: str,
        bucket: str,
        mount: str = "/runs",
        spot: bool = True,
        region: str | None = None,
        zone: str | None = None,
        runtime_version: str | None = None,
        max_restarts_on_errors: int = 3,
    ):
        """
        Args:
          topology: of the slice that each run gets, such as 'v5e:16x16'.
          bucket: where the workdirs lie, such as 'gs://mine' or 'gs://mine/folder'; it must exist.
          mount: folder of the hosts at which it is mounted.
          spot: takes capacity that can be taken away; the run then goes on elsewhere from its last checkpoint.
          region: of Google Cloud; None here and below: SkyPilot chooses.
          zone: of Google Cloud.
          runtime_version: software version of the TPU's machines; None: the one that Google names for the chip.
          max_restarts_on_errors: how often a run that failed is started again; one that saved and stopped always is.

        Raises:
          UserError: there is no such slice, or SkyPilot cannot ask for it.
          ValueError: a path is none, or a count is below 0.
        """
        self._slice, self._mount, self._bucket = slices.offered(topology, "--on.topology"), mount, bucket
        usual = slices.usual(self._slice)
        if usual != self._slice:
            raise UserError(
                f"--on.topology: SkyPilot asks for chips by their number, and {self._slice.chips} of them are "
                f"{usual.name}; write that, or take --on=xpk for {topology}."
            )
        pods.check_mount(mount)
        if not re.fullmatch(BUCKET, bucket):
            raise ValueError(f"bucket {bucket!r} must be a bucket's address, such as gs://NAME or gs://NAME/FOLDER")
        if max_restarts_on_errors < 0:
            raise ValueError(f"max_restarts_on_errors {max_restarts_on_errors} must be at least 0")
        infra = ["gcp", region or "*", zone] if zone else ["gcp", region] if region else ["gcp"]
        runtime = runtime_version or slices.OFFERS[self._slice.kind].runtime
        self._resources = {
            "infra": "/".join(infra),
            "accelerators": f"tpu-{slices.accelerator(self._slice)}",
            "accelerator_args": {"runtime_version": runtime},
            "use_spot": spot,
            "job_recovery": {
                "max_restarts_on_errors": max_restarts_on_errors,
                "recover_on_exit_codes": [EXIT_STOPPED],
            },
        }

    def preview(self, sweep: Sweep) -> str:
        """The tasks, one YAML document a run, checked by SkyPilot where it is installed.

        Raises:
          UserError: a run does not fit on the slice, or SkyPilot refuses a task.
        """
        texts = self._texts(sweep)
        try:
            sky = _sky()
        except UserError as error:
            checked = f"not checked by SkyPilot: {error}"
        else:
            for text in texts.values():
                _task(sky, text)
            checked = f"checked by SkyPilot {sky.__version__}"
        shown = f"{self._slice.name}: {self._slice.chips} chips, a process on each of {self._slice.hosts} hosts"
        return f"# {len(texts)} tasks, {checked}.\n# {shown}.\n" + "".join(texts.values())

    def run(self, sweep: Sweep, stop: StopSignal) -> int:
        """Submits what has neither succeeded nor is in the queue; returns 0, or 75 where a signal came in between.

        Raises:
          UserError: SkyPilot is not installed or refuses a task, or a run does not fit on the slice.
          RunError: SkyPilot or its cloud failed.
        """
        sky, texts = _sky(), self._texts(sweep)
        tasks = {name: _task(sky, text) for name, text in texts.items()}
        with stop:
            states = _states(_queue(sky))
            for run, (name, task) in zip(sweep.runs, tasks.items()):
                if stop.requested:
                    return EXIT_STOPPED
                state = states.get(name) or _launch(sky, run, name, task)
                print(f"{run.folder.name} ({sweep.name(run)}) {state}", flush=True)
        print("To watch them: sky jobs queue; to read one's output: sky jobs logs ID; to end it: sky jobs cancel ID.")
        return 0

    def _texts(self, sweep: Sweep) -> dict[str, str]:
        """Name of the job -> its YAML document."""
        pods.check(sweep, self._slice, self._slice.hosts)
        contents = [(run, self._content(sweep, run)) for run in sweep.runs]
        return {content["name"]: f"---\n# {sweep.name(run)}\n{_yaml(content)}" for run, content in contents}

    def _content(self, sweep: Sweep, run: Run) -> dict[str, Any]:
        return {
            "name": pods.name(run, JOB_NAME, LONGEST_NAME),
            "workdir": str(pods.project(sweep)),
            "resources": self._resources,
            "file_mounts": {self._mount: {"source": self._bucket, "mode": "MOUNT"}},
            "setup": SETUP,
            "run": f"{PYTHON} {shlex.join(pods.arguments(sweep, run, self._mount))}\n",
        }


def _sky() -> types.ModuleType:
    try:
        import sky
        import sky.exceptions
    except ImportError as error:
        raise UserError("--on=skypilot needs SkyPilot: pip install -r requirements-skypilot.txt") from error
    return sky


def _yaml(content: Mapping[str, Any]) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=1000)


class _Dumper(yaml.SafeDumper):
    """Writes several lines as several lines, and nothing as a reference to what stands above."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _string)


def _task(sky: types.ModuleType, text: str) -> Any:
    """What SkyPilot makes of a document.

    Raises:
      UserError: it refuses it.
      RunError: it could not look up what there is in a region or zone.
    """
    try:
        task = sky.Task.from_yaml_config(yaml.safe_load(text))
        task.validate()
    except OSError as error:
        raise RunError(f"SkyPilot could not fetch its list of what each zone has: {_line(error)}") from error
    except Exception as error:
        raise UserError(f"SkyPilot refuses the task: {_line(error)}") from error
    return task


def _queue(sky: types.ModuleType) -> Sequence[Mapping[str, Any]]:
    """The managed jobs of all users of SkyPilot's server, ended ones too."""
    try:
        found, *_ = sky.get(sky.jobs.queue_v2(refresh=True, all_users=True))
    except sky.exceptions.ClusterDoesNotExist:  # of jobs: there has been none yet
        return []
    except Exception as error:
        raise RunError(f"SkyPilot cannot tell what is in its queue, so nothing is submitted: {_line(error)}") from error
    return found


def _states(jobs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Name -> how it stands, of the jobs that are not submitted again: those at work, and those that succeeded."""
    states = {}
    for job in sorted(jobs, key=lambda job: job["job_id"]):
        status = job["status"].value
        if status == "SUCCEEDED":
            states.setdefault(job["job_name"], f"done, job {job['job_id']}")
        elif not status.startswith(ENDED):
            states[job["job_name"]] = f"{status.lower()}, job {job['job_id']}"
    return states


def _launch(sky: types.ModuleType, run: Run, name: str, task: Any) -> str:
    """Submits a run; returns how it stands."""
    runs.remember(run)
    try:
        jobs, _ = sky.stream_and_get(sky.jobs.launch(task, name=name))
    except Exception as error:
        raise RunError(f"SkyPilot did not take {name}: {_line(error)}") from error
    return f"submitted, job {jobs[0]}" if jobs else "submitted"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:500] or type(error).__name__
