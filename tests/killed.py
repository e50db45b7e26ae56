"""Runs in processes of their own, to be killed and continued, and what they leave."""

import json
import os
import pathlib
import re
import subprocess
import sys
import time

import jax
import numpy as np
import orbax.checkpoint as ocp

ROOT = pathlib.Path(__file__).resolve().parents[1]


def compiling_little(devices: int) -> dict[str, str]:
    """Environment of a run on so many devices without most optimisations: most of its time would go into compiling."""
    flags = re.sub(r"(?<=device_count=)\d+", str(devices), os.environ["XLA_FLAGS"])
    return {"XLA_FLAGS": flags, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}


def start(
    config: str,
    workdir: pathlib.Path,
    data_dir: pathlib.Path | None,
    *overrides: str,
    steps: int,
    devices: int = 1,
    environment: dict[str, str] | None = None,
) -> subprocess.Popen:
    """A run of `config`, with `overrides`, on so many devices, in a process of its own.

    `environment` is by default that of `compiling_little`.
    """
    command = [sys.executable, "launch.py", f"--config={config}", f"--workdir={workdir}"]
    command += [f"--data_dir={data_dir}"] if data_dir else []
    command += [f"--config.steps={steps}", "--config.checkpoint.every=10"]
    command += [f"--config.evaluate.every={steps // 4}", "--config.log_every=2", *overrides]
    env = os.environ | (compiling_little(devices) if environment is None else environment)
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen) -> int:
    """Waits for the end, which has to be a good one; returns the exit status."""
    _, errors = process.communicate(timeout=600)
    assert process.returncode in (0, 75), errors.decode()
    return process.returncode


def last_step(workdir: pathlib.Path) -> int:
    """The last step whose metrics are written."""
    path = workdir / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return max((json.loads(line)["step"] for line in lines if line.endswith("}")), default=0)


def wait_for_step(process: subprocess.Popen, workdir: pathlib.Path, step: int) -> None:
    """Returns when that step is logged, or the run is over."""
    while process.poll() is None and last_step(workdir) < step:
        time.sleep(0.01)


def outcome(workdir: pathlib.Path, steps: int) -> tuple[dict[str, np.ndarray], list[dict], dict]:
    """Final arrays (parameters, optimizer state, all), metrics without the clock's, results."""
    manager = ocp.CheckpointManager(workdir / "checkpoints", item_handlers={"state": ocp.StandardCheckpointHandler()})
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])  # it may have been saved by other processes
    shapes = dict(manager.item_metadata(steps)["state"]).items()
    wanted = {name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here) for name, leaf in shapes}
    arrays = manager.restore(steps, args=ocp.args.Composite(state=ocp.args.StandardRestore(wanted)))["state"]
    manager.close()
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    metrics = [{name: value for name, value in line.items() if name != "examples_per_second"} for line in lines]
    return arrays, metrics, json.loads((workdir / "results.json").read_text())


def assert_same(one: tuple, other: tuple) -> None:
    """Bit for bit."""
    assert one[0].keys() == other[0].keys()
    for name, array in one[0].items():
        np.testing.assert_array_equal(np.asarray(array), np.asarray(other[0][name]), err_msg=name)
    assert one[1] == other[1]
    assert one[2] == other[2]
