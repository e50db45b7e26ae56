"""Runs of a sweep as xpk's workloads: the commands, the JobSets that xpk makes of them, what is created."""

import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable

import pytest
import yaml

from ssl_jax.errors import RunError, UserError
from ssl_jax.launchers import engines, xpk
from ssl_jax.train.signals import EXIT_STOPPED
from tests.launchers.pod_sweep import ROOT, pod_sweep

CLUSTER = {"cluster": "mine", "project": "my-project", "zone": "us-east5-b"}
SETTINGS = CLUSTER | {"topology": "v6e:4x4", "storage": "kept"}
INSTALL = "pip install -q -r requirements.txt 'jax[tpu]' && "
# What xpk 1.16 makes of a command, as far as the engine looks at it; here for a slice v6e:4x4.
JOBSET = """
spec:
  replicatedJobs:
  - template:
      spec:
        parallelism: 4
        podFailurePolicy: {rules: [{onExitCodes: {operator: NotIn, values: [1, 42, 75, 127]}}]}
        template:
          spec:
            nodeSelector: {cloud.google.com/gke-tpu-topology: 4x4}
            containers: [{resources: {limits: {google.com/tpu: 4}}}]
"""
STAND_IN = """
import json, pathlib, sys
folder = pathlib.Path(__file__).parent
verb, options = sys.argv[2], dict(option[2:].partition("=")[::2] for option in sys.argv[3:])
if "dry-run" in options:
    pathlib.Path(options["output-manifest-file"]).write_text((folder / "jobset.yaml").read_text())
else:
    with (folder / "asked").open("a") as file:
        file.write(json.dumps([verb, options]) + "\\n")
    if (folder / "broken").exists() and verb == (folder / "broken").read_text():
        sys.exit("[XPK] it broke")
    if verb == "list":
        print("[XPK] Starting workload list\\n[XPK] Workload List Output:")
        print((folder / "table").read_text() + "[XPK] Exiting XPK cleanly")
"""


def made(**settings) -> xpk.Xpk:
    return engines.engine("xpk", SETTINGS | settings)


def commands(engine: xpk.Xpk, sweep) -> list[list[str]]:
    return [shlex.split(line[2:]) for line in engine.preview(sweep).splitlines() if line.startswith("# xpk workload")]


def options(command: list[str]) -> dict[str, str]:
    return dict(option.removeprefix("--").partition("=")[::2] for option in command)


@pytest.fixture
def without_xpk(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def cluster(monkeypatch, tmp_path) -> Callable[..., pathlib.Path]:
    """A stand-in for xpk and a cluster, which has some workloads; returns the folder of both."""

    def start(*workloads: tuple[str, str, str]) -> pathlib.Path:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        script = folder / "xpk"
        script.write_text(f"#!{sys.executable}\n{STAND_IN}")
        script.chmod(0o755)
        (folder / "jobset.yaml").write_text(JOBSET)
        form = "{:<30}   {:<20}   {:<8}   {}\n"
        rows = [("Jobset Name", "Created Time", "Status", "Status Message"), *((n, "x", s, m) for n, s, m in workloads)]
        (folder / "table").write_text("".join(form.format(*row) for row in rows))
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return folder

    return start


def asked(folder: pathlib.Path) -> list[tuple[str, str | None]]:
    found = [json.loads(line) for line in (folder / "asked").read_text().splitlines()]
    return [(verb, options.get("workload")) for verb, options in found]


def test_a_command_for_each_run(without_xpk):
    sweep = pod_sweep({"views.scale": (0.8, 1.2), "seed": 0}, {"seed": 1})
    found = commands(made(), sweep)
    assert [command[:3] for command in found] == [["xpk", "workload", "create"]] * 2
    given = options(found[0][3:])
    name = given.pop("workload")
    assert name.startswith("digits-sweep-") and name.endswith(f"-{sweep.runs[0].folder.name}") and len(name) <= 40
    workdir = f"/runs/digits_sweep/{sweep.runs[0].folder.name}"
    assert given == CLUSTER | {
        "command": f"{INSTALL}exec python launch.py --config=configs/quickstart.py --workdir={workdir} "
        "'--config.views.scale=(0.8, 1.2)' --config.seed=0",
        "tpu-type": "v6e-4x4",
        "num-slices": "1",
        "storage": "kept",
        "priority": "medium",
        "max-restarts": "10",
        "restart-on-exit-codes": "1,75",
        "termination-grace-period-seconds": "120",
        "base-docker-image": "python:3.12",
        "script-dir": str(ROOT),
    }
    assert "# v6e:4x4: 16 chips, a process on each of 4 hosts.\n# xpk is not installed" in made().preview(sweep)


def test_an_image_that_has_the_project(without_xpk):
    (command,) = commands(made(docker_image="gcr.io/a/b:c", mount="/mnt/b", topology="v5e:2x4"), pod_sweep({}))
    given, workdir = options(command), "--workdir=/mnt/b/digits_sweep/"
    assert given["docker-image"] == "gcr.io/a/b:c" and not {"base-docker-image", "script-dir"} & set(given)
    assert given["command"].startswith("exec python launch.py ") and workdir in given["command"]
    assert given["tpu-type"] == "v5litepod-2x4"
    with pytest.raises(UserError, match="--on=xpk needs the command xpk: pip install -r requirements-xpk.txt"):
        made().run(pod_sweep({}), None)


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"topology": "v6e:3x3"}, "--on.topology: Google Cloud has no slice 'v6e:3x3'; near it are"),
        ({"priority": "urgent"}, "--on.priority is 'urgent' .*one of 'very-low', 'low', 'medium'"),
        ({"mount": "runs"}, "--on.mount 'runs' must be a folder"),
        ({"max_restarts": -1}, "--on.max_restarts -1 must be at least 0"),
        ({"cluster": 3}, "--on.cluster is 3 .int.; it must be a string"),
    ],
)
def test_wrong_settings(settings, said):
    with pytest.raises(UserError, match=said):
        made(**settings)


def test_a_run_that_does_not_fit(without_xpk):
    with pytest.raises(UserError, match="config.batch_size 24 does not split over 16 devices; 16 would"):
        made().preview(pod_sweep({"batch_size": 24}))


def test_a_rerun_creates_only_what_is_open(cluster, tmp_path, capsys, stop):
    sweep = pod_sweep(*({"seed": seed} for seed in range(5)), folder=tmp_path / "lr")
    names = [f"lr-{run.folder.name}" for run in sweep.runs]
    folder = cluster(
        (names[0], "Finished", "jobset completed successfully"),
        (names[1], "Admitted", "The workload is admitted"),
        (names[2], "Finished", "jobset failed due to reaching max number of restarts"),
        (names[3], "<none>", "<none>"),
        ("other", "Admitted", ""),
    )
    assert made().run(sweep, stop) == 0
    assert asked(folder) == [("list", None), ("delete", names[2]), ("create", names[2]), ("create", names[4])]
    said = capsys.readouterr().out.splitlines()
    states = ["done", "admitted", "created again", "waiting", "created"]
    for line, run, seed, state, name in zip(said, sweep.runs, range(5), states, names):
        assert line == f"{run.folder.name} (seed={seed}) {state}, workload {name}"
    assert [run.folder.exists() for run in sweep.runs] == [False, False, True, False, True]


def test_a_signal_ends_the_creating(cluster, tmp_path, stop):
    folder, stop.requested = cluster(), signal.SIGTERM
    assert made().run(pod_sweep({}, folder=tmp_path / "lr"), stop) == EXIT_STOPPED
    assert asked(folder) == [("list", None)]


@pytest.mark.parametrize(
    "verb, said", [("list", "cannot tell what the cluster has, so nothing is"), ("create", "could not create the work")]
)
def test_xpk_fails(cluster, tmp_path, stop, verb, said):
    (cluster() / "broken").write_text(verb)
    with pytest.raises(RunError, match=f"^xpk {said}.*: .*it broke$"):
        made().run(pod_sweep({}, folder=tmp_path / "lr"), stop)


@pytest.mark.parametrize(
    "was, now",
    [
        ("parallelism: 4", "parallelism: 2"),
        ("topology: 4x4", "topology: 2x8"),
        ("tpu: 4", "tpu: 8"),
        ("[1, 42, 75", "[1, 2, 75"),
        ("NotIn", "In"),
        ("parallelism", "other"),
    ],
)
def test_a_jobset_that_is_not_what_was_meant(cluster, was, now, stop):
    folder = cluster()
    assert "parallelism: 4" in made().preview(pod_sweep({}))
    assert JOBSET.count(was) == 1
    (folder / "jobset.yaml").write_text(JOBSET.replace(was, now))
    with pytest.raises(RunError, match="xpk's JobSet has .*; take the xpk of requirements-xpk.txt"):
        made().run(pod_sweep({}), stop)
    assert not (folder / "asked").exists(), "nothing was created"


def test_a_list_of_another_form(cluster, stop):
    folder = cluster(("a", "b", "c"))
    (folder / "table").write_text("Name   State\nlr-1   there\n")
    with pytest.raises(RunError, match="xpk lists workloads without 'Jobset Name'; take the xpk of requirements-xpk"):
        made().run(pod_sweep({}), stop)


@pytest.fixture
def real_xpk(monkeypatch, tmp_path) -> pathlib.Path:
    """xpk itself, with a home of its own, telling no one that it is used, without gcloud and kubectl."""
    beside = pathlib.Path(sys.executable).parent / "xpk"
    found = shutil.which("xpk") or (beside if beside.exists() else None)
    if not found:
        pytest.skip("xpk is not in this environment (requirements-xpk.txt)")
    folder = tmp_path / "only"
    folder.mkdir()
    (folder / "xpk").symlink_to(found)
    for name, value in {"PATH": f"{folder}:/nowhere", "HOME": str(tmp_path), "TELEMETRY_ENABLED": "false"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DEPENDENCY_AUTO_DOWNLOAD", "false")
    return folder


@pytest.mark.parametrize("topology, hosts", [("v6e:1x1", 1), ("v6e:16x16", 64), ("v5e:2x4", 2), ("v5p:4x4x8", 32)])
def test_xpk_makes_jobsets_of_the_commands(real_xpk, topology, hosts):
    shown = made(topology=topology).preview(pod_sweep({"seed": 0, "batch_size": 256}, {"seed": 1, "batch_size": 256}))
    first, second = [jobset for jobset in yaml.safe_load_all(shown) if jobset]
    job = first["spec"]["replicatedJobs"][0]["template"]["spec"]
    assert job["parallelism"] == hosts and first["spec"]["failurePolicy"]["maxRestarts"] == 10
    assert job["template"]["spec"]["terminationGracePeriodSeconds"] == 120
    assert first["metadata"]["name"] != second["metadata"]["name"]


def test_xpk_refuses(real_xpk):
    with pytest.raises(UserError, match="^xpk refuses xpk workload create .*"):
        made(topology="v5e:2x2").preview(pod_sweep({}))
    with pytest.raises(UserError, match="Name must be less than 40"):
        made(cluster="My cluster").preview(pod_sweep({}))


@pytest.fixture
def container(real_xpk, monkeypatch, tmp_path) -> Callable[[str], list[str]]:
    """What xpk lets a container start, where `python` is a script and pip does nothing."""

    def start(python: str) -> list[str]:
        (jobset,) = [found for found in yaml.safe_load_all(made().preview(pod_sweep({"data.name": "it's"}))) if found]
        for name, script in {"python": textwrap.dedent(python), "pip": ""}.items():
            (tmp_path / name).write_text(f"#!{sys.executable}\n{script}")
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]["containers"][0]["command"]

    return start


def test_a_container_gives_on_arguments_and_exit_status(container):
    started = container("import sys; print(*sys.argv[1:], sep='\\n'); sys.exit(2)")
    done = subprocess.run(started, capture_output=True, text=True)
    assert done.returncode == 2
    said = done.stdout.splitlines()
    assert said[1:3] == ["launch.py", "--config=configs/quickstart.py"]
    assert said[4] == '--config.data.name="it\'s"'


def test_a_container_lets_the_run_save_on_sigterm(container):
    started = container(
        """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: (time.sleep(1), print("saved", flush=True), sys.exit(75)))
        print("started", flush=True)
        time.sleep(60)
        """
    )
    process = subprocess.Popen(started, stdout=subprocess.PIPE, text=True)
    assert any("started" in line for line in process.stdout)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 75 and "saved" in said


def test_xpk_lists_what_a_cluster_has(real_xpk):
    """The cluster is a script in the place of kubectl."""
    conditions = {
        "lr-1": [("Admitted", "The workload is admitted"), ("Finished", "jobset completed successfully")],
        "lr-2": [("Finished", "jobset failed due to one or more job failures")],
        "lr-3": [("QuotaReserved", "Quota reserved")],
        "lr-4": [],
    }
    items = []
    for name, found in conditions.items():
        told = [
            {"type": kind, "status": "True", "message": message, "lastTransitionTime": f"2026-01-0{day}T00:00:00Z"}
            for day, (kind, message) in enumerate(found, 1)
        ]
        items.append({"metadata": {"ownerReferences": [{"name": name}]}, "status": {"conditions": told}})
    listed = shlex.quote(json.dumps({"items": items}))
    for name in ("kubectl", "gcloud"):
        script = real_xpk / name
        script.write_text(f'#!/bin/sh\ncase "$*" in *"get workloads"*) echo {listed};; *) echo fine;; esac\n')
        script.chmod(0o755)
    states = {"lr-1": "done", "lr-2": "failed", "lr-3": "quotareserved", "lr-4": "waiting"}
    assert made()._states() == states
