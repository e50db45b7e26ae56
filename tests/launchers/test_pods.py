"""What the engines of TPU pods have in common."""

import pathlib
import re

import pytest

from ssl_jax.errors import UserError
from ssl_jax.launchers import pods
from ssl_jax.launchers.chips import Slice
from ssl_jax.train import runs
from tests.launchers.pod_sweep import ROOT, pod_sweep

NAME = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"


def run_of(sweep: str) -> runs.Run:
    return runs.Run({"seed": 0}, pathlib.Path("/anywhere") / sweep / "0123456789")


def test_what_a_host_starts():
    sweep = pod_sweep({"views.scale": (0.8, 1.2), "data.name": "digits"}, variant=":smoke", data_dir="/runs/tfds")
    assert pods.project(sweep) == ROOT
    assert pods.arguments(sweep, sweep.runs[0], "/mnt/b") == [
        "launch.py",
        "--config=configs/quickstart.py:smoke",
        "--data_dir=/runs/tfds",
        f"--workdir=/mnt/b/digits_sweep/{sweep.runs[0].folder.name}",
        "--config.views.scale=(0.8, 1.2)",
        "--config.data.name='digits'",
    ]


def test_a_config_that_is_not_copied(tmp_path):
    (tmp_path / "mine.py").touch()
    sweep = runs.Sweep(("python", str(ROOT / "launch.py")), str(tmp_path / "mine.py"), pod_sweep({}).runs)
    with pytest.raises(UserError, match="--config: .*mine.py is not in .*; move it there"):
        pods.arguments(sweep, sweep.runs[0], "/runs")


def test_a_name_is_of_the_sweep_and_the_run():
    assert pods.name(run_of("lr"), NAME, 40) == "lr-0123456789"
    assert pods.name(run_of("quick_sweep"), r"[a-z_0-9-]+", 40) == "quick_sweep-0123456789"
    other = [run_of(name) for name in ("quick_sweep", "quick-sweep_", "x" * 50, "x" * 51, "3", "9", "___", "é" * 3)]
    names = [pods.name(run, NAME, 40) for run in other]
    assert len(set(names)) == len(names)
    for name in names:
        assert re.fullmatch(NAME, name) and len(name) <= 40 and name.endswith("-0123456789")
    assert names[0].startswith("quick-sweep-") and names[2].startswith("x" * 20)


def test_a_batch_that_does_not_split_over_the_chips():
    sweep = pod_sweep({"batch_size": 512}, {"batch_size": 384})
    pods.check(sweep, Slice("v5e", (8, 16)), 32)
    with pytest.raises(
        UserError, match="v5e:16x16, run batch_size=384: config.batch_size 384 .* 256 devices; 256 would"
    ):
        pods.check(sweep, Slice("v5e", (16, 16)), 64)
    split = pod_sweep({"batch_size": 384, "sharding.model": 4})
    pods.check(split, Slice("v5e", (8, 16)), 32)
    pods.check(pod_sweep({"batch_size": 64, "sharding.model": 4}), Slice("v5e", (16, 16)), 64)
    with pytest.raises(UserError, match="config.sharding.model is 8, which does not divide the 4 chips of a host"):
        pods.check(pod_sweep({"sharding.model": 8}), Slice("v5e", (16, 16)), 64)


@pytest.mark.parametrize("mount", ["runs", "", "/", "/a/../b", "~/runs"])
def test_what_is_no_mount(mount):
    with pytest.raises(ValueError, match="mount .* must be a folder"):
        pods.check_mount(mount)
    pods.check_mount("/runs/of mine")
