"""Several processes of one run: the same as one, stopped together, and the same bit for bit after one is killed.

Each test starts real processes, which find each other on the loopback interface.
"""

import functools
import os
import pathlib
import random
import signal
import subprocess
import time

import pytest

from tests.killed import assert_same, finish, last_step, outcome, start, wait_for_step

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of Orbax, on reading without shardings
KILLS = int(os.environ.get("SSL_JAX_KILLS", "3"))
STEPS, KILLED_STEPS = 24, max(80, 4 * KILLS)


def several(name: str, folder: pathlib.Path, data_dir: str, *options: str, processes: int, devices: int, steps: int):
    given = dict(steps=steps, devices=devices)
    return start(f"tests/tiny.py:{name}", folder, data_dir, f"--processes={processes}", *options, **given)


def members(run: subprocess.Popen, count: int) -> list[int]:
    """The process ids of a run's processes, in their order, once all are there."""
    path = pathlib.Path(f"/proc/{run.pid}/task/{run.pid}/children")
    while run.poll() is None:
        ids = [int(pid) for pid in path.read_text().split()]
        if len(ids) == count:
            return sorted(ids)
        time.sleep(0.01)
    raise AssertionError(f"the run ended early: {run.communicate()[1].decode()}")


FSDP = ("--config.sharding.state=fsdp", "--config.sharding.smallest=4096", "--config.evaluate.diagnostics=False")


@pytest.fixture(scope="module")
def alone(tmp_path_factory, data_dir):
    """(method, options) -> what a run of one process on four devices leaves, made once."""

    @functools.cache
    def ran(method: str, options: tuple[str, ...]) -> tuple:
        folder = tmp_path_factory.mktemp(method) / "alone"
        assert finish(several(method, folder, data_dir, *options, processes=1, devices=4, steps=STEPS)) == 0
        return outcome(folder, STEPS)

    return ran


@pytest.mark.parametrize("method, processes, options", [("byol", 4, ()), ("bert", 2, FSDP)])
def test_one_process_and_several(method, processes, options, alone, tmp_path, data_dir):
    """The same losses and scores on four devices, however many processes they are spread over."""
    shape = dict(processes=processes, devices=4 // processes, steps=STEPS)
    assert finish(several(method, tmp_path / "run", data_dir, *options, **shape)) == 0
    (_, first, one), (_, together, other) = alone(method, options), outcome(tmp_path / "run", STEPS)
    pairs = [(a["train/loss"], b["train/loss"]) for a, b in zip(first, together, strict=True) if "train/loss" in a]
    difference = max(abs(a - b) / abs(a) for a, b in pairs)
    print(f"{method}: {processes} processes, largest relative difference of the loss {difference:.1e}")
    assert difference < 1e-4
    assert one == pytest.approx(other, abs=0.02)


def test_killed_at_random(tmp_path, data_dir):
    """One of two processes is killed: the other ends by itself, and no step after the last checkpoint differs."""
    draw, shape, seen = random.Random(0), dict(processes=2, devices=1, steps=KILLED_STEPS), []
    assert finish(several("byol", tmp_path / "whole", data_dir, **shape)) == 0
    for _ in range(KILLS):
        run = several("byol", tmp_path / "killed", data_dir, **shape)
        pids = members(run, 2)
        wait_for_step(
            run, tmp_path / "killed", last_step(tmp_path / "killed") + draw.randint(1, KILLED_STEPS // KILLS // 2)
        )
        time.sleep(draw.uniform(0, 0.2))
        os.kill(draw.choice(pids), signal.SIGKILL)
        killed = time.monotonic()
        assert run.wait(timeout=60) == 1
        run.stderr.close()
        seen.append((last_step(tmp_path / "killed"), round(time.monotonic() - killed, 1)))
        assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)
    assert finish(several("byol", tmp_path / "killed", data_dir, **shape)) == 0
    print(f"{KILLS} kills, (step logged, seconds until all had ended): {seen}")
    assert_same(outcome(tmp_path / "whole", KILLED_STEPS), outcome(tmp_path / "killed", KILLED_STEPS))


def test_who_waits_for_a_process_that_stands_still_ends(tmp_path, data_dir):
    """No step ends in 15 s, which is said with the stacks, before the other's silence is noticed."""
    shape = dict(processes=2, devices=1, steps=10_000)
    rare = "--config.checkpoint.every=5000"
    run = several("byol", tmp_path / "compiled", data_dir, rare, **shape)  # compiling counts as a step
    wait_for_step(run, tmp_path / "compiled", 2)
    run.send_signal(signal.SIGTERM)
    assert finish(run) == 75
    run = several("byol", tmp_path / "hung", data_dir, rare, "--config.hang_seconds=15", **shape)
    pids = members(run, 2)
    try:
        wait_for_step(run, tmp_path / "hung", 20)
        assert run.poll() is None, run.communicate()[1].decode()
        os.kill(pids[1], signal.SIGSTOP)
        stopped = time.monotonic()
        while os.path.exists(f"/proc/{pids[0]}"):
            assert time.monotonic() - stopped < 60
            time.sleep(0.1)
        print(f"the other ended {time.monotonic() - stopped:.1f} s after one stood still")
    finally:
        os.kill(pids[1], signal.SIGKILL)  # as the launcher does after a minute
        _, said = run.communicate(timeout=60)
    assert run.returncode == 1 and "no step ended for 15 s (config.hang_seconds)" in said.decode()
    assert "most recent call first" in said.decode() and "loop.py" in said.decode()


def test_stopped_together_and_continued_on_another_number(alone, tmp_path, data_dir):
    """SIGTERM to the second of two processes: both save at one step; one process, then four, go on."""
    folder = tmp_path / "moved"
    run = several("byol", folder, data_dir, processes=2, devices=1, steps=STEPS)
    pids = members(run, 2)
    wait_for_step(run, folder, 2)
    os.kill(pids[1], signal.SIGTERM)
    assert finish(run) == 75
    (saved,) = [int(path.name) for path in (folder / "checkpoints").iterdir() if path.name.isdigit()]
    assert last_step(folder) <= saved < STEPS
    assert finish(several("byol", folder, data_dir, processes=4, devices=1, steps=STEPS)) == 0
    (_, whole, _), (_, moved, _) = alone("byol", ()), outcome(folder, STEPS)
    pairs = [(a["train/loss"], b["train/loss"]) for a, b in zip(whole, moved, strict=True) if "train/loss" in a]
    assert max(abs(a - b) / abs(a) for a, b in pairs) < 1e-3


def test_damaged_checkpoint_and_a_stop_in_the_last_evaluation(tmp_path, data_dir):
    """All processes take the checkpoint before; all leave the last evaluation together, which is then made again."""
    folder, shape = tmp_path / "run", dict(processes=2, devices=1, steps=STEPS)
    run = several("byol", folder, data_dir, **shape)
    members(run, 2)
    wait_for_step(run, folder, 12)
    run.send_signal(signal.SIGTERM)
    assert finish(run) == 75
    *_, newest = sorted(int(path.name) for path in (folder / "checkpoints").iterdir() if path.name.isdigit())
    (folder / "checkpoints" / str(newest) / "state" / "manifest.ocdbt").unlink()
    run = several("byol", folder, data_dir, **shape)
    pids = members(run, 2)
    while run.poll() is None and not (folder / "checkpoints" / str(STEPS)).exists():
        time.sleep(0.01)
    os.kill(pids[1], signal.SIGTERM)
    assert finish(run) == 75
    assert not (folder / "results.json").exists()
    assert [path.name for path in (folder / "checkpoints_damaged").iterdir()] == [f"{newest}_0"]
    assert finish(several("byol", folder, data_dir, **shape)) == 0
    assert finish(several("byol", tmp_path / "whole", data_dir, **shape)) == 0
    assert_same(outcome(tmp_path / "whole", STEPS), outcome(folder, STEPS))
