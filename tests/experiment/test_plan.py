"""Planning for devices that are not here."""

import concurrent.futures
import importlib
import importlib.util
import os
import subprocess
import sys

import pytest

from ssl_jax.errors import UserError
from ssl_jax.experiment import targets
from ssl_jax.experiment.plan import plan, remedies, table
from ssl_jax.experiment.targets import Target, target
from ssl_jax.launchers.chips import TPUS, environment
from tests import tiny
from tests.killed import ROOT

planning = importlib.import_module("ssl_jax.experiment.plan")
has_compiler = pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason="needs the TPU compiler: pip install -r requirements-plan.txt"
)


@pytest.fixture(scope="module")
def eight() -> Target:
    return target("cpu:8")


def shown(found) -> dict[str, str]:
    rows = table(found).columns
    return dict(zip(rows[0].cells, rows[1].cells, strict=True))


def test_a_step_on_eight_devices(eight):
    found = plan(tiny.config("simclr"), eight)
    assert (len(eight.devices), eight.chips, eight.chip) == (8, 8, None)
    assert found.fits and found.step_seconds is None and found.hours is None
    assert found.memory["whole"] == sum(found.memory.values()) / 2 > 0
    assert found.traffic["all-reduce"].count > 0 and found.moved > found.memory["state and batch"]
    assert shown(found)["time of a step"] == "this chip's speed is not known"


def test_times_follow_from_the_chips_figures(eight):
    """A chip of two devices has half of everything for each."""
    chip = TPUS["v3"]
    pretended = Target("v3:2x2", eight.devices, 4, 1, chip.memory / 2, chip)
    found = plan(tiny.config("simclr"), pretended)
    assert found.times["compute"] == pytest.approx(found.flops / 4 / 123e12)
    assert found.times["memory"] == pytest.approx(found.moved * 2 / 900e9)
    sent = sum(each.sent for each in found.traffic.values())
    assert found.times["network"] == pytest.approx(sent / 332e9)
    assert found.step_seconds == max(found.times.values())
    assert found.hours == pytest.approx(found.step_seconds * 50 / 3600)
    rows = shown(found)
    assert rows["examples/s that each host then feeds"] == f"{32 / found.step_seconds:,.0f}"


def test_what_is_proposed_where_it_does_not_fit(eight):
    """The least change first; each with those before it, and larger slices for themselves."""
    chip = TPUS["v5e"]
    small = Target("cpu:8", eight.devices, 8, 1, 1e5, chip)
    assert not plan(tiny.config("simclr"), small).fits
    written = [each for each, *_ in remedies(tiny.config("mae"), small)]
    assert written == [
        "--config.model.remat=elementwise",
        "--config.model.remat=True",
        "--config.model.remat=True --config.sharding.state=fsdp",
        *(f"--config.model.remat=True --config.sharding.state=fsdp --config.model.accumulate={n}" for n in (2, 4, 8)),
    ]
    before = tiny.config("mae", batch_size=64)
    *_, (_, changed, where) = remedies(before, small)
    assert plan(changed, where).memory["temporary"] < plan(before, small).memory["temporary"]
    further = tiny.config("mae", model=dict(remat="elementwise", accumulate=4))
    assert [each.split()[-1] for each, *_ in remedies(further, small)] == [
        "--config.model.remat=True",
        "--config.sharding.state=fsdp",
        "--config.model.accumulate=8",
    ]
    assert [each for each, *_ in remedies(tiny.config("byol"), small)][0] == "--config.model.remat=True"


def test_larger_slices_are_proposed_as_they_are_and_with_what_makes_a_step_smaller(eight, monkeypatch):
    there = lambda name: Target(name, eight.devices, 1, 1, 1e5, TPUS["v5e"])
    monkeypatch.setattr(targets, "target", there)
    written = [each for each, *_ in remedies(tiny.config("byol"), there("v5e:8x16"))]
    smaller = "--config.model.remat=True --config.sharding.state=fsdp"
    assert written[-2:] == ["--topology=v5e:16x16", f"--topology=v5e:16x16 {smaller}"]


def test_a_batch_that_does_not_split_ends_no_search_for_a_remedy(eight, monkeypatch, capsys):
    small = Target("cpu:8", eight.devices, 8, 1, 1.0, None)
    monkeypatch.setattr(planning, "target", lambda name: small)
    assert planning.show(tiny.config("mae"), "cpu:8") == 1
    told = capsys.readouterr().out
    assert "config.batch_size 32 does not split into 8 parts" in told and "Nothing that was tried" in told


def test_where_it_can_be_planned_for():
    assert environment("cpu:8")["XLA_FLAGS"].endswith("--xla_force_host_platform_device_count=8")
    assert environment("v5e:4x4")["JAX_PLATFORMS"] == "cpu" and not environment("gpu")
    for wrong in ("cpu:0", "cpu:x", "cpux:1", "v5e:4", "h100"):
        with pytest.raises(UserError, match="--topology"):
            environment(wrong)
    with pytest.raises(UserError, match="finds no GPU here"):
        target("gpu")


def launch(*arguments: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "JAX_PLATFORMS")}
    return subprocess.run(
        [sys.executable, "launch.py", "plan", *arguments], cwd=ROOT, capture_output=True, text=True, env=environment
    )


def test_the_command_on_cpus():
    done = launch("--config=configs/quickstart.py", "--topology=cpu:4", "--config.batch_size=64")
    assert done.returncode == 0, done.stderr
    assert "cpu:4" in done.stdout and done.stdout.rstrip().endswith("It fits.")
    done = launch("--config=configs/quickstart.py")
    assert done.returncode == 2 and "--topology=v5e:16x16" in done.stderr


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is not None, reason="the TPU compiler is installed")
def test_without_the_compiler():
    done = launch("--config=configs/quickstart.py", "--topology=v5e:2x2")
    assert done.returncode == 2 and "pip install -r requirements-plan.txt" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@has_compiler
@pytest.mark.slow
def test_a_real_slice():
    """Eight chips of v5e: the real compiler, with the chip's own figures; twice at once on one machine."""
    options = ("--config=configs/quickstart.py", "--topology=v5e:2x4", "--config.batch_size=64")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        both = [pool.submit(launch, *options) for _ in range(2)]
    for done in (each.result() for each in both):
        assert done.returncode == 0, done.stderr
        assert "8 chips, 8 devices" in done.stdout and "16.00 GiB" in done.stdout and "all-reduce" in done.stdout


@has_compiler
@pytest.mark.slow
def test_what_does_not_fit_a_real_chip():
    """A ViT-B on one chip of 16 GiB with 512 pictures: refused by the compiler, with the next change, which helps."""
    options = ("--config=configs/mae_imagenet_vit_b16.py", "--topology=v5e:1x1", "--config.batch_size=512")
    done = launch(*options, "--config.model.remat=elementwise")  # or it would be tried first, in vain
    assert done.returncode == 1, done.stderr
    assert "It does NOT fit. The compiler: " in done.stdout and "It fits with --config.model.remat=True" in done.stdout
