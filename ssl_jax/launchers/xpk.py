"""The runs of a sweep as xpk's workloads: JobSets on the TPU slices of a GKE cluster."""

import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import yaml

from ssl_jax.errors import RunError, UserError
from ssl_jax.launchers import pods, slices
from ssl_jax.train import runs
from ssl_jax.train.runs import Run, Sweep
from ssl_jax.train.signals import EXIT_STOPPED, StopSignal

WORKLOAD_NAME, LONGEST_NAME = r"[a-z][a-z0-9]*(-[a-z0-9]+)*", 40  # what xpk takes
NOTHING = "<none>"  # in xpk's tables
VERSION = "take the xpk of requirements-xpk.txt"
CHIPS_OF_MACHINE = 4  # of all machine types that xpk takes, but for the slice of one chip


class Xpk:
    """Creates the workloads that the cluster does not have; Kubernetes starts them when there is room.

    The workdirs lie in a storage of the cluster. The cluster forgets a workload twelve hours after its end; its run is
    then created again, finds its own results and ends at once.
    """

    def __init__(
        self,
        *,
        cluster: str,
        project: str,
        zone: str,
        topology: str,
        storage: str,
        mount: str = "/runs",
        docker_image: str | None = None,
        base_docker_image: str = "python:3.12",
        priority: Literal["very-low", "low", "medium", "high", "very-high"] = "medium",
        max_restarts: int = 10,
        termination_grace_period_seconds: int = 120,
    ):
        """
        Args:
          cluster: made by `xpk cluster create`.
          project: of Google Cloud.
          zone: of Google Cloud.
          topology: of the slice that each run gets, such as 'v6e:16x16'.
          storage: where the workdirs lie, attached by `xpk storage attach`.
          mount: folder at which it is mounted, as that command has it.
          docker_image: has the project, with all that it needs, as its working folder; None: made from the next.
          base_docker_image: xpk adds the project to it; the rest is installed whenever a run starts.
          priority: among the cluster's workloads.
          max_restarts: how often a run is started again that failed, or that saved and stopped.
          termination_grace_period_seconds: that a run has for saving when it is told to stop.

        Raises:
          UserError: there is no such slice.
          ValueError: the mount is no folder, or a count is below 0.
        """
        self._slice, self._mount, self._image = slices.offered(topology, "--on.topology"), mount, docker_image
        pods.check_mount(mount)
        counts = dict(max_restarts=max_restarts, termination_grace_period_seconds=termination_grace_period_seconds)
        for name, count in counts.items():
            if count < 0:
                raise ValueError(f"{name} {count} must be at least 0")
        self._hosts = max(1, self._slice.chips // CHIPS_OF_MACHINE)
        self._cluster = {"cluster": cluster, "project": project, "zone": zone}
        kind, shape = self._slice.name.split(":")
        self._settings = {
            "tpu-type": f"{slices.OFFERS[kind].prefix}-{shape}",
            "num-slices": 1,
            "storage": storage,
            "priority": priority,
            "max-restarts": max_restarts,
            "restart-on-exit-codes": f"{pods.FAILED},{EXIT_STOPPED}",
            "termination-grace-period-seconds": termination_grace_period_seconds,
            **({"docker-image": docker_image} if docker_image else {"base-docker-image": base_docker_image}),
        }

    def preview(self, sweep: Sweep) -> str:
        """The commands, each with the JobSet that xpk makes of it where xpk is installed.

        Raises:
          UserError: a run does not fit on the slice, or xpk refuses a command.
          RunError: xpk makes something else of it than was meant.
        """
        commands = self._commands(sweep)
        shown = f"# {self._slice.name}: {self._slice.chips} chips, a process on each of {self._hosts} hosts.\n"
        if not shutil.which("xpk"):
            shown += "# xpk is not installed, so its JobSets are not shown.\n"
        for run, command in zip(sweep.runs, commands.values()):
            shown += f"---\n# {sweep.name(run)}\n# {shlex.join(command)}\n"
            shown += self._manifest(command) if shutil.which("xpk") else ""
        return shown

    def run(self, sweep: Sweep, stop: StopSignal) -> int:
        """Creates what the cluster neither has nor has done; returns 0, or 75 where a signal came in between.

        Raises:
          UserError: xpk is not installed or refuses a command, or a run does not fit on the slice.
          RunError: xpk failed, or makes something else of a command than was meant.
        """
        commands = self._commands(sweep)
        _find()
        for command in commands.values():
            self._manifest(command)
        with stop:
            states = self._states()
            for run, (name, command) in zip(sweep.runs, commands.items()):
                if stop.requested:
                    return EXIT_STOPPED
                state = states.get(name)
                if state in (None, "failed"):
                    state = self._create(run, name, command, again=state == "failed")
                print(f"{run.folder.name} ({sweep.name(run)}) {state}, workload {name}", flush=True)
        where = shlex.join(_options(self._cluster))
        print(f"To watch them: xpk workload list {where}; to end one: xpk workload delete --workload=NAME {where}.")
        return 0

    def _commands(self, sweep: Sweep) -> dict[str, list[str]]:
        """Name of the workload -> the command that creates it."""
        pods.check(sweep, self._slice, self._hosts)
        source = {} if self._image else {"script-dir": str(pods.project(sweep))}
        named = {pods.name(run, WORKLOAD_NAME, LONGEST_NAME): run for run in sweep.runs}
        settings = self._cluster | self._settings | source
        return {
            name: _xpk("create", {"workload": name, "command": self._command(sweep, run)}, settings)
            for name, run in named.items()
        }

    def _command(self, sweep: Sweep, run: Run) -> str:
        """For a shell of the container, which by `exec` becomes the run, so that signals reach it."""
        install = "" if self._image else f"pip install -q {shlex.join(pods.NEEDS)} && "
        return f"{install}exec python {shlex.join(pods.arguments(sweep, run, self._mount))}"

    def _manifest(self, command: Sequence[str]) -> str:
        """The JobSet that xpk makes of a command without asking any cluster.

        Raises:
          UserError: xpk refuses the command.
          RunError: the JobSet is not what was meant.
        """
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "jobset.yaml"
            dry = ("--dry-run", "--skip-validation", f"--output-manifest-file={file}")
            done = _call([*command, *dry])
            if done.returncode or not file.exists():
                raise UserError(f"xpk refuses {shlex.join(command)}: {_reason(done)}")
            text = file.read_text()
        self._check(yaml.safe_load(text))
        return "\n".join(line.rstrip() for line in text.splitlines() if line.strip()) + "\n"

    def _check(self, jobset: Mapping[str, Any]) -> None:
        meant = {
            "hosts": self._hosts,
            "shape": self._slice.name.partition(":")[2],
            "chips of a host": self._slice.chips // self._hosts,
            "started again after": [pods.FAILED, EXIT_STOPPED],
        }
        found = _facts(jobset)
        if found != meant:
            raise RunError(f"xpk's JobSet has {found}, where {meant} is meant; {VERSION}.")

    def _states(self) -> dict[str, str]:
        """Name -> 'done', 'failed' or what Kubernetes calls it before, of the cluster's workloads."""
        listed = _call(_xpk("list", self._cluster))
        if listed.returncode:
            raise RunError(f"xpk cannot tell what the cluster has, so nothing is created: {_reason(listed)}")
        _, _, table = listed.stdout.partition("Workload List Output:\n")
        try:
            return {row["Jobset Name"]: _state(row["Status"], row["Status Message"]) for row in _rows(table)}
        except KeyError as error:
            raise RunError(f"xpk lists workloads without {error}; {VERSION}.") from error

    def _create(self, run: Run, name: str, command: Sequence[str], *, again: bool) -> str:
        runs.remember(run)
        if again:
            _must(_xpk("delete", {"workload": name}, self._cluster), "delete the failed workload")
        _must(command, "create the workload")
        return "created again" if again else "created"


def _facts(jobset: Mapping[str, Any]) -> dict[str, Any]:
    """Hosts, shape, chips of a host, and after which exit statuses of launch.py a JobSet is started again."""
    try:
        job = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]
        pod = job["template"]["spec"]
        (rule,) = job["podFailurePolicy"]["rules"]
        (container,) = pod["containers"]
        statuses = rule["onExitCodes"]["values"] if rule["onExitCodes"]["operator"] == "NotIn" else ()
        return {
            "hosts": job["parallelism"],
            "shape": pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"],
            "chips of a host": container["resources"]["limits"]["google.com/tpu"],
            "started again after": [status for status in (pods.FAILED, 2, EXIT_STOPPED) if status in statuses],
        }
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise RunError(f"xpk's JobSet has another form ({error!r}); {VERSION}.") from error


def _rows(table: str) -> list[dict[str, str]]:
    """Column -> text, of a table whose columns begin where their names do."""
    header, *lines = [line for line in table.splitlines() if line.strip() and not line.startswith("[XPK]")] or [""]
    names = list(re.finditer(r"\S+(?: \S+)*", header))
    ends = [name.start() for name in names[1:]] + [None]
    return [{name[0]: line[name.start() : end].strip() for name, end in zip(names, ends)} for line in lines]


def _state(status: str, message: str) -> str:
    """Kueue's message alone tells whether a workload that is finished failed."""
    if status == "Finished":
        return "failed" if "failed" in message.lower() else "done"
    return "waiting" if status == NOTHING else status.lower()


def _xpk(verb: str, *options: Mapping[str, Any]) -> list[str]:
    return ["xpk", "workload", verb, *(text for some in options for text in _options(some))]


def _options(given: Mapping[str, Any]) -> list[str]:
    return [f"--{name}={value}" for name, value in given.items()]


def _call(command: Sequence[str]) -> subprocess.CompletedProcess:
    """Without a terminal, so that xpk takes no answer to its questions for a yes."""
    return subprocess.run([_find(), *command[1:]], stdin=subprocess.DEVNULL, capture_output=True, text=True)


def _must(command: Sequence[str], what: str) -> None:
    done = _call(command)
    if done.returncode:
        raise RunError(f"xpk could not {what}: {_reason(done)}")


def _find() -> str:
    found = shutil.which("xpk")
    if not found:
        raise UserError(
            "--on=xpk needs the command xpk: pip install -r requirements-xpk.txt in an environment of its own, "
            "whose bin folder is to be in PATH."
        )
    return found


def _reason(done: subprocess.CompletedProcess) -> str:
    """The last lines that it wrote."""
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return " ".join(lines[-3:])[-600:]
