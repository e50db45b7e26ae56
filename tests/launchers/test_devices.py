"""Devices divided among processes."""

import os
import sys

import pytest

from ssl_jax.errors import UserError
from ssl_jax.launchers import devices, slices
from ssl_jax.launchers.chips import Slice


@pytest.fixture
def four_gpus(monkeypatch):
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,5,7")


def test_gpus_of_one_run(four_gpus):
    assert [share.gpus for share in devices.of_one_run(2)] == [("0", "1"), ("5", "7")]
    with pytest.raises(UserError, match="--processes is 3, which does not divide the 4 GPUs"):
        devices.of_one_run(3)


def test_gpus_of_runs(four_gpus):
    assert [share.gpus for share in devices.of_runs(3)] == [("0", "7"), ("1",), ("5",)]
    with pytest.raises(UserError, match="--on.jobs is 5, but there are 4 GPUs"):
        devices.of_runs(5)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell which cores a process may use")
def test_cores_of_runs_are_divided_and_kept_to(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    cores = os.sched_getaffinity(0)
    shares = devices.of_runs(len(cores))
    assert sorted(core for share in shares for core in share.cores) == sorted(cores)
    assert all(share.cores for share in devices.of_runs(len(cores) + 1))
    said = "import os; raise SystemExit(sum(os.sched_getaffinity(0)) + 10)"
    process = shares[-1].start([sys.executable, "-c", said])
    assert process.wait() == sum(shares[-1].cores) + 10


@pytest.mark.parametrize("topology", ["v9:4x4", "v5e:4x4x4", "v5p:4x4", "v5e:0x4", "v5e"])
def test_what_is_no_slice(topology):
    with pytest.raises(UserError, match="--topology"):
        Slice.of(topology)


def test_a_slice():
    found = Slice.of("v5p:4x4x8")
    assert (found.chips, found.hosts, found.name) == (128, 32, "v5p:4x4x8")
    assert slices.larger(found) == "v5p:4x8x8" and slices.larger(Slice.of("v5e:8x8")) == "v5e:8x16"
    assert slices.larger(Slice.of("v5e:1x1")) == "v5e:2x2" and slices.larger(Slice.of("v5e:16x16")) is None
    assert slices.larger(Slice.of("v3:2x2")) is None


def test_tpus_go_to_one_run_at_a_time(monkeypatch, tmp_path):
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    assert not devices.tpus(tmp_path)
    (tmp_path / "accel0").touch()
    assert devices.tpus(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(devices, "tpus", lambda: True)
    with pytest.raises(UserError, match="--on.jobs is 2, but the TPUs of this machine"):
        devices.of_runs(2)
