"""A run that is killed at random moments, and continued, ends bit for bit where an undisturbed one ends."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import numpy as np
import orbax.checkpoint as ocp
import pytest

KILLS = int(os.environ.get("SSL_JAX_KILLS", "4"))
STEPS = 800
MOVED_STEPS = 90  # over many more, training would amplify the rounding of another number of devices
DEVICES = {"simclr": 1, "byol": 8, "mae": 8, "bert": 1}  # one for each kind of state; test_resume.py has all
ROOT = pathlib.Path(__file__).resolve().parents[2]


def start(
    method: str, workdir: pathlib.Path, data_dir: pathlib.Path, *, steps: int = STEPS, devices: int = 1
) -> subprocess.Popen:
    command = [sys.executable, "launch.py", f"--config=tests/tiny.py:{method}", f"--workdir={workdir}"]
    command += [f"--data_dir={data_dir}", f"--config.steps={steps}", "--config.checkpoint.every=10"]
    command += [f"--config.evaluate.every={steps // 4}", "--config.log_every=2"]
    flags = f"--xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"XLA_FLAGS": flags}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def finish(process: subprocess.Popen) -> int:
    _, errors = process.communicate(timeout=600)
    assert process.returncode in (0, 75), errors.decode()
    return process.returncode


def last_step(workdir: pathlib.Path) -> int:
    path = workdir / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return max((json.loads(line)["step"] for line in lines if line.endswith("}")), default=0)


def wait_for_step(process: subprocess.Popen, workdir: pathlib.Path, step: int) -> None:
    while process.poll() is None and last_step(workdir) < step:
        time.sleep(0.01)


def outcome(workdir: pathlib.Path, steps: int = STEPS) -> tuple[dict[str, np.ndarray], list[dict], dict]:
    """Final arrays (parameters, optimizer state, all), metrics without the clock's, results."""
    manager = ocp.CheckpointManager(workdir / "checkpoints")
    arrays = manager.restore(steps, args=ocp.args.Composite(state=ocp.args.StandardRestore()))["state"]
    manager.close()
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    metrics = [{name: value for name, value in line.items() if name != "examples_per_second"} for line in lines]
    return arrays, metrics, json.loads((workdir / "results.json").read_text())


def assert_same(one: tuple, other: tuple) -> None:
    assert one[0].keys() == other[0].keys()
    for name, array in one[0].items():
        np.testing.assert_array_equal(np.asarray(array), np.asarray(other[0][name]), err_msg=name)
    assert one[1] == other[1]
    assert one[2] == other[2]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Orbax, on reading arrays without their shardings
@pytest.mark.parametrize("method", DEVICES)
def test_kill_nine(method, tmp_path):
    """Kills fall on the preparation of the data (the first ones), on compiling, training, evaluating and saving."""
    devices = DEVICES[method]
    finish(start(method, tmp_path / "whole", tmp_path / "data_whole", devices=devices))
    draw, seen, hits = random.Random(method), [], 0
    for kill in range(KILLS):
        process = start(method, tmp_path / "killed", tmp_path / "data_killed", devices=devices)
        if kill < KILLS // 3:
            time.sleep(draw.uniform(0.5, 4.0))
        else:
            reach = last_step(tmp_path / "killed") + draw.randint(1, max(1, STEPS // 2 // (KILLS - KILLS // 3)))
            wait_for_step(process, tmp_path / "killed", reach)
            time.sleep(draw.uniform(0, 0.05))
        process.kill()
        hits += process.wait() == -signal.SIGKILL
        process.stderr.close()
        seen.append(last_step(tmp_path / "killed"))
    finish(start(method, tmp_path / "killed", tmp_path / "data_killed", devices=devices))
    print(f"{method} on {devices} devices: {KILLS} kills, steps logged at each: {seen}")
    assert hits >= KILLS - 1 and seen[-1] > 0, "the run ended before it could be killed"
    assert_same(outcome(tmp_path / "whole"), outcome(tmp_path / "killed"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", DEVICES)
def test_stopped_on_one_device_and_continued_on_eight(method, tmp_path, data_dir):
    finish(start(method, tmp_path / "whole", data_dir, steps=MOVED_STEPS))
    workdir, codes = tmp_path / "moved", []
    for devices in (1, 8, 1):
        before, process = last_step(workdir), start(method, workdir, data_dir, steps=MOVED_STEPS, devices=devices)
        if len(codes) < 2:
            wait_for_step(process, workdir, before + 1)
            process.send_signal(signal.SIGTERM)
        codes.append(finish(process))
    assert codes[-1] == 0
    assert codes[:2] == [75, 75], "a run ended before it could be stopped"
    (_, whole, _), (_, moved, _) = outcome(tmp_path / "whole", MOVED_STEPS), outcome(workdir, MOVED_STEPS)
    assert [line["step"] for line in whole] == [line["step"] for line in moved]
    pairs = [(a["train/loss"], b["train/loss"]) for a, b in zip(whole, moved) if "train/loss" in a]
    difference = max(abs(a - b) / abs(a) for a, b in pairs)
    print(f"{method}: stops {codes}, largest relative difference of the loss {difference:.1e}")
    assert difference < 2e-3
