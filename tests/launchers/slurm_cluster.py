"""A Slurm of two nodes on this machine, with its own key, ports and folder; it takes root and apt's Slurm."""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator

PACKAGES = "slurm-wlm slurmctld slurmd slurm-client munge"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "setpriv", "unshare")
ROOM = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
GRACE_SECONDS = 60
# Nodes have one core each, whatever the machine has. A requeued job waits until its credential has expired: 120 s by
# default. Jobs of `urgent` take the nodes of jobs of `main`, with time to save.
CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,bf_interval=1
ReturnToService=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs=1
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs=1
PartitionName=main Default=YES Nodes=n1,n2 PriorityTier=1 GraceTime={grace}
PartitionName=urgent Nodes=n1,n2 PriorityTier=2 PreemptMode=OFF
"""


def missing() -> str:
    """Why there can be no cluster here; empty where there can."""
    absent = [program for program in PROGRAMS if not shutil.which(program)]
    if absent:
        return f"{', '.join(absent)}: not installed; needs apt-get install -y {PACKAGES}"
    if os.geteuid() or subprocess.run([*ROOM, "true"], capture_output=True).returncode:
        return "needs root that may mount, for names of nodes and for Slurm's daemons"
    return ""


class Cluster:
    """A running Slurm.

    Attributes:
      environment: in which its commands find it.
    """

    def __init__(self, folder: pathlib.Path):
        """Writes its files.

        Args:
          folder: its own, with a short path: a socket's has at most 107 letters.
        """
        self._folder, host = folder, socket.gethostname().partition(".")[0]
        controller, first, second = _free_ports(3)
        ports = dict(controller=controller, first=first, second=second)
        (folder / "slurm.conf").write_text(CONFIG.format(folder=folder, host=host, grace=GRACE_SECONDS, **ports))
        (folder / "hosts").write_text(f"127.0.0.1 localhost {host} n1 n2\n")
        (folder / "state").mkdir()
        key = folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}

    @contextlib.contextmanager
    def running(self) -> Iterator["Cluster"]:
        """Starts it; at the end it is stopped with its jobs."""
        with contextlib.ExitStack() as daemons:
            daemons.enter_context(self._daemon("munged", *self._munged()))
            self.wait(lambda: (self._folder / "munge.socket").exists())
            daemons.enter_context(self._daemon("slurmctld", "slurmctld", "-D"))
            for node in ("n1", "n2"):
                daemons.enter_context(self._daemon(node, "slurmd", "-D", "-N", node))
            self.wait(lambda: self._nodes() == {"n1": "idle", "n2": "idle"})
            yield self
            self.command("scancel", "--user=root")
            self.wait(lambda: not self.queue())

    def _munged(self) -> list[str]:
        names = {"socket": "socket", "key-file": "key", "pid-file": "pid", "seed-file": "seed", "log-file": "log"}
        files = [f"--{option}={self._folder}/munge.{suffix}" for option, suffix in names.items()]
        return ["munged", "--foreground", "--force", *files]

    @contextlib.contextmanager
    def _daemon(self, name: str, *command: str) -> Iterator[None]:
        """One that sees the cluster's names of hosts; it ends with all that it has started, also when this process is
        killed."""
        hosts, conf = self._folder / "hosts", self._folder / "slurm.conf"
        line = f'mount --bind {hosts} /etc/hosts && export SLURM_CONF={conf} && exec "$@"'
        words = ["setpriv", "--pdeathsig=KILL", *ROOM, "sh", "-c", line, "sh", *command]
        with (self._folder / f"{name}.out").open("w") as said:
            started = subprocess.Popen(words, stdout=said, stderr=said, start_new_session=True)
        try:
            yield
        finally:
            started.kill()
            started.wait()

    def command(self, *words: str) -> str:
        """What one of Slurm's commands says."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else ""

    def queue(self) -> dict[str, str]:
        """Job -> state, of those that wait or run."""
        return self._pairs("squeue", "--array", "--format=%i %T")

    def _nodes(self) -> dict[str, str]:
        return self._pairs("sinfo", "--Node", "--partition=main", "--format=%N %t")

    def _pairs(self, *words: str) -> dict[str, str]:
        """What a command says, two words a line."""
        return dict(line.split() for line in self.command(*words, "--noheader").splitlines())

    def job(self, job: str) -> dict[str, str]:
        """What Slurm knows about a job, which it forgets five minutes after its end."""
        words = self.command("scontrol", "show", "job", "--oneliner", job).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def wait(self, reached: Callable[[], bool], seconds: float = 120, every: float = 0.1) -> float:
        """Returns after how many seconds `reached()` is true; asks every so many seconds.

        Raises:
          AssertionError: it was not in time; the message is the ends of the daemons' logs.
        """
        begun = time.monotonic()
        while not reached():
            if time.monotonic() - begun > seconds:
                logs = [path for path in self._folder.iterdir() if path.suffix in (".log", ".out")]
                raise AssertionError("\n".join(f"{path.name}: {path.read_text()[-2000:]}" for path in logs))
            time.sleep(every)
        return time.monotonic() - begun


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as open_ones:
        probes = [open_ones.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
