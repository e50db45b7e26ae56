"""A run that is killed at random moments, and continued, ends bit for bit where an undisturbed one ends."""

import os
import random
import signal
import time

import pytest

from tests.killed import assert_same, finish, last_step, outcome, start, wait_for_step

KILLS = int(os.environ.get("SSL_JAX_KILLS", "3"))
STEPS = 120
MOVED_STEPS = 90  # over many more, training would amplify the rounding of another number of devices


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Orbax, on reading arrays without their shardings
# Pictures and a target network, and text; test_trajectory.py has the states of all.
@pytest.mark.parametrize(
    "method, devices, options", [("byol", 2, ()), ("bert", 1, ("--config.evaluate.diagnostics=False",))]
)
def test_kill_nine(method, devices, options, tmp_path):
    """Kills fall on the preparation of the data (the first ones), on compiling, training, evaluating and saving."""
    draw, seen, hits, shape = random.Random(method), [], 0, dict(steps=STEPS, devices=devices)
    begin = lambda name: start(f"tests/tiny.py:{method}", tmp_path / name, tmp_path / f"data_{name}", *options, **shape)
    finish(begin("whole"))
    for kill in range(KILLS):
        process = begin("killed")
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
    finish(begin("killed"))
    print(f"{method} on {devices} devices: {KILLS} kills, steps logged at each: {seen}")
    assert hits >= KILLS - 1 and seen[-1] > 0, "the run ended before it could be killed"
    assert_same(outcome(tmp_path / "whole", STEPS), outcome(tmp_path / "killed", STEPS))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_stopped_on_one_device_and_continued_on_eight(tmp_path, data_dir):
    config, workdir, codes = "tests/tiny.py:byol", tmp_path / "moved", []
    finish(start(config, tmp_path / "whole", data_dir, steps=MOVED_STEPS))
    for devices in (1, 8, 1):
        before = last_step(workdir)
        process = start(config, workdir, data_dir, steps=MOVED_STEPS, devices=devices)
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
    print(f"stops {codes}, largest relative difference of the loss {difference:.1e}")
    assert difference < 2e-3
