"""Runs of a sweep as SkyPilot's managed jobs: the tasks, what SkyPilot makes of them, what is submitted."""

import os
import pathlib
import signal
import subprocess
import types
from collections.abc import Iterator

import pytest
import yaml

from ssl_jax.errors import RunError, UserError
from ssl_jax.launchers import engines, skypilot
from ssl_jax.train.signals import EXIT_STOPPED
from tests.launchers.pod_sweep import ROOT, pod_sweep

SETTINGS = {"topology": "v5e:4x4", "bucket": "gs://mine/ssl"}


def made(**settings) -> skypilot.Skypilot:
    return engines.engine("skypilot", SETTINGS | settings)


def tasks(engine: skypilot.Skypilot, sweep) -> list[dict]:
    return [task for task in yaml.safe_load_all(engine.preview(sweep)) if task]


@pytest.fixture
def without_sky(monkeypatch) -> None:
    def missing() -> None:
        raise UserError("it is not here")

    monkeypatch.setattr(skypilot, "_sky", missing)


@pytest.fixture(scope="module")
def sky(tmp_path_factory) -> Iterator[types.ModuleType]:
    """SkyPilot itself, which keeps its files in a home of its own and tells no one that it is used."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("SKYPILOT_DISABLE_USAGE_COLLECTION", "1")
        yield pytest.importorskip("sky", reason="SkyPilot is not in this environment (requirements-skypilot.txt)")


def test_a_task_for_each_run(without_sky):
    sweep = pod_sweep({"seed": 0}, {"seed": 1})
    found = tasks(made(), sweep)
    assert [task["name"] for task in found] == [f"digits_sweep-{run.folder.name}" for run in sweep.runs]
    assert found[0] | {"setup": None, "run": None} == {
        "name": f"digits_sweep-{sweep.runs[0].folder.name}",
        "workdir": str(ROOT),
        "resources": {
            "infra": "gcp",
            "accelerators": "tpu-v5litepod-16",
            "accelerator_args": {"runtime_version": "v2-alpha-tpuv5-lite"},
            "use_spot": True,
            "job_recovery": {"max_restarts_on_errors": 3, "recover_on_exit_codes": [75]},
        },
        "file_mounts": {"/runs": {"source": "gs://mine/ssl", "mode": "MOUNT"}},
        "setup": None,
        "run": None,
    }
    shown = made().preview(sweep)
    assert "# 2 tasks, not checked by SkyPilot: it is not here." in shown
    assert "# v5e:4x4: 16 chips, a process on each of 4 hosts." in shown and "# seed=1\nname:" in shown


def test_settings_of_a_task(without_sky):
    given = dict(region="us-west4", zone="us-west4-a", spot=False, mount="/mnt/b", max_restarts_on_errors=0)
    (task,) = tasks(made(topology="v5p:4x4x4", runtime_version="mine", **given), pod_sweep({}))
    assert task["resources"]["infra"] == "gcp/us-west4/us-west4-a" and task["resources"]["use_spot"] is False
    assert task["resources"]["accelerators"] == "tpu-v5p-128"
    assert task["resources"]["accelerator_args"] == {"runtime_version": "mine"}
    assert task["resources"]["job_recovery"]["max_restarts_on_errors"] == 0
    assert list(task["file_mounts"]) == ["/mnt/b"] and " --workdir=/mnt/b/digits_sweep/" in task["run"]
    (task,) = tasks(made(zone="us-west4-a"), pod_sweep({}))
    assert task["resources"]["infra"] == "gcp/*/us-west4-a"
    (task,) = tasks(made(region="us-west4"), pod_sweep({}))
    assert task["resources"]["infra"] == "gcp/us-west4"


def test_a_host_starts_the_run_in_the_environment_that_was_set_up(without_sky, tmp_path):
    (task,) = tasks(made(), pod_sweep({"views.scale": (0.8, 1.2), "data.name": "it's $HOME"}))
    for name, kept in (("uv", "setup"), ("ssl_jax/bin/python", "run")):
        program = tmp_path / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f'#!/bin/sh\nfor each in "$@"; do echo "$each" >> {tmp_path}/{kept}; done\nexit 75\n')
        program.chmod(0o755)
    environment = {"HOME": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    run = subprocess.run(["bash", "-c", task["run"]], env=environment)
    assert run.returncode == 75, "SkyPilot is to see launch.py's exit status"
    assert (tmp_path / "run").read_text().splitlines() == [
        "launch.py",
        "--config=configs/quickstart.py",
        f"--workdir=/runs/digits_sweep/{task['name'].rpartition('-')[2]}",
        "--config.views.scale=(0.8, 1.2)",
        '--config.data.name="it\'s $HOME"',
    ]
    assert subprocess.run(["bash", "-c", task["setup"]], env=environment, capture_output=True).returncode == 75
    assert (tmp_path / "setup").read_text().splitlines()[:2] == ["venv", "--allow-existing"], (
        "the first failure ends it"
    )


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"topology": "v5e:2x8"}, "--on.topology: Google Cloud has no slice 'v5e:2x8'; near it are v5e:4x4"),
        ({"topology": "v5p:4x4x32"}, "512 of them are v5p:8x8x8; write that, or take --on=xpk"),
        ({"bucket": "mine"}, "--on.bucket 'mine' must be a bucket's address"),
        ({"bucket": "gs://"}, "--on.bucket 'gs://' must be"),
        ({"mount": "runs"}, "--on.mount 'runs' must be a folder"),
        ({"max_restarts_on_errors": -1}, "--on.max_restarts_on_errors -1 must be at least 0"),
        ({"accelerator": "tpu"}, "--on .Skypilot.: 'accelerator' does not exist"),
    ],
)
def test_wrong_settings(settings, said):
    with pytest.raises(UserError, match=said):
        made(**settings)


def test_a_run_that_does_not_fit_is_refused_before_anything_is_asked(monkeypatch, stop):
    monkeypatch.setattr(skypilot, "_sky", lambda: types.SimpleNamespace())
    for act in (lambda engine, sweep: engine.preview(sweep), lambda engine, sweep: engine.run(sweep, stop)):
        with pytest.raises(UserError, match="config.batch_size 24 does not split over 16 devices; 16 would"):
            act(made(), pod_sweep({"batch_size": 24}))


class Server:
    """Stands in for SkyPilot's server: a queue, and what is submitted."""

    class ClusterDoesNotExist(Exception):
        pass

    def __init__(self, *jobs: tuple[str, str]):
        self.exceptions, self.jobs = self, self
        self.queue, self.launched = list(jobs), []
        self.Task = types.SimpleNamespace(from_yaml_config=lambda content: types.SimpleNamespace(validate=lambda: None))

    def queue_v2(self, *, refresh: bool, all_users: bool) -> str:
        assert refresh and all_users
        return "queue"

    def get(self, request: str):
        if not self.queue:
            raise self.ClusterDoesNotExist
        records = [
            {"job_id": number, "job_name": name, "status": types.SimpleNamespace(value=status)}
            for number, (name, status) in enumerate(self.queue, 1)
        ]
        return records[::-1], len(records), {}, len(records)

    def launch(self, task: object, *, name: str) -> str:
        self.launched.append(name)
        self.queue.append((name, "PENDING"))
        return name

    def stream_and_get(self, request: str):
        return [len(self.queue)], None


@pytest.fixture
def serve(monkeypatch):
    def start(*jobs: tuple[str, str]) -> Server:
        server = Server(*jobs)
        monkeypatch.setattr(skypilot, "_sky", lambda: server)
        return server

    return start


def test_a_rerun_submits_only_what_is_open(serve, tmp_path, capsys, stop):
    sweep = pod_sweep(*({"seed": seed} for seed in range(6)), folder=tmp_path / "lr")
    names = [f"lr-{run.folder.name}" for run in sweep.runs]
    of = dict(zip("abcde", names))
    server = serve(
        (of["a"], "FAILED"), (of["a"], "SUCCEEDED"), (of["b"], "RECOVERING"), (of["c"], "FAILED_SETUP"),
        (of["d"], "CANCELLED"), (of["e"], "SUCCEEDED"), (of["e"], "RUNNING"), ("other", "RUNNING"),
    )  # fmt: skip
    assert made().run(sweep, stop) == 0
    assert server.launched == [of["c"], of["d"], names[5]]
    said = capsys.readouterr().out.splitlines()
    states = ["done, job 2", "recovering, job 3", "submitted, job 9", "submitted, job 10", "running, job 7"]
    for line, run, seed, state in zip(said, sweep.runs, range(6), [*states, "submitted, job 11"]):
        assert line == f"{run.folder.name} (seed={seed}) {state}"
    assert [run.folder.exists() for run in sweep.runs] == [False, False, True, True, False, True]
    assert made().run(sweep, stop) == 0 and len(server.launched) == 3


def test_the_first_job_of_all(serve, tmp_path, stop):
    server, sweep = serve(), pod_sweep({}, folder=tmp_path / "lr")
    assert made().run(sweep, stop) == 0 and len(server.launched) == 1


def test_a_signal_ends_the_submitting(serve, tmp_path, stop):
    server, stop.requested = serve(), signal.SIGTERM
    assert made().run(pod_sweep({}, folder=tmp_path / "lr"), stop) == EXIT_STOPPED and not server.launched


def test_what_goes_wrong_at_the_server(serve, tmp_path, monkeypatch, stop):
    server, sweep = serve(("other", "RUNNING")), pod_sweep({}, folder=tmp_path / "lr")

    def broken(*_: object) -> None:
        raise ConnectionError("no\nserver")

    monkeypatch.setattr(server, "stream_and_get", broken)
    with pytest.raises(RunError, match="^SkyPilot did not take lr-.*: no server$"):
        made().run(sweep, stop)
    monkeypatch.setattr(server, "get", broken)
    with pytest.raises(RunError, match="cannot tell what is in its queue, so nothing is submitted: no server"):
        made().run(sweep, stop)
    server.Task = types.SimpleNamespace(from_yaml_config=broken)
    with pytest.raises(RunError, match="could not fetch its list of what each zone has: no server"):
        made().preview(sweep)


def test_skypilot_takes_the_tasks(sky):
    shown = made().preview(pod_sweep({"seed": 0}, {"seed": 1}))
    assert f"# 2 tasks, checked by SkyPilot {sky.__version__}." in shown
    text = shown.split("---\n")[1]
    (resources,) = skypilot._task(sky, text).resources
    assert resources.accelerators == {"tpu-v5litepod-16": 1} and resources.use_spot
    assert resources.accelerator_args == {"runtime_version": "v2-alpha-tpuv5-lite"}
    with pytest.raises(UserError, match="^SkyPilot refuses the task: .*recover_on_exit_codes"):
        skypilot._task(sky, text.replace("- 75", "- 7500"))


def test_skypilot_looks_a_zone_up(sky):
    """In its own list, here one of a single zone."""
    columns = (
        "InstanceType,vCPUs,MemoryGiB,AcceleratorName,AcceleratorCount,GpuInfo,Price,SpotPrice,Region,AvailabilityZone"
    )
    row = "TPU-VM,,,tpu-v5litepod-16,1,tpu-v5litepod-16,19.2,9.6,us-west4,us-west4-a"
    catalog = pathlib.Path.home() / ".sky/catalogs/v8/gcp/vms.csv"
    catalog.parent.mkdir(parents=True, exist_ok=True)
    catalog.write_text(f"{columns},AvailabilityZone\n{row},us-west4-a\n")
    assert "checked by SkyPilot" in made(zone="us-west4-a").preview(pod_sweep({}))
    with pytest.raises(UserError, match="^SkyPilot refuses the task: .*us-west4-z"):
        made(zone="us-west4-z").preview(pod_sweep({}))


def test_skypilot_starts_a_run_again_by_its_exit_status(sky):
    """Any number of times after 75, as often as `max_restarts_on_errors` says after another."""
    from sky.jobs import recovery_strategy
    from sky.utils import dag_utils

    dag = dag_utils.convert_entrypoint_to_dag(skypilot._task(sky, made().preview(pod_sweep({})).split("---\n")[1]))
    dag_utils.fill_default_config_in_dag_for_job_launch(dag)  # as its server does
    backend = sky.backends.CloudVmRayBackend()
    strategy = recovery_strategy.StrategyExecutor.make(None, backend, dag.tasks[0], 1, 0, None, set(), None, None)
    exits = [75, 75, 75, 75, 1, 134, 1, 75, 1]
    again = [strategy.should_restart_on_failure(exit_codes=[exit, 137, 137]) for exit in exits]
    assert again == [True] * 8 + [False]


def test_names_of_states(sky):
    """The engine tells a job's last states by the beginnings of their names."""
    from sky.jobs import ManagedJobStatus

    ended = [status for status in ManagedJobStatus if status.value.startswith(skypilot.ENDED)]
    assert set(ended) == set(ManagedJobStatus.terminal_statuses())
