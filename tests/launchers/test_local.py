"""A sweep on this machine, as a command that is stopped, killed and started twice at once. The runs are fake ones."""

import os
import signal
import sys

import filelock
import pytest
import rich.console

from ssl_jax.launchers import local
from ssl_jax.train import runs
from tests.launchers.drive import finish, most_at_once, notes, start, steps, wait_for

WHOLE = list(range(1, 11))
EIGHT = [{"x": x / 10} for x in range(8)]


def test_so_many_at_a_time_and_one_that_fails_stops_no_other(tmp_path):
    asked = dict(jobs=2, runs=EIGHT, common={"fails_above": 0.65, "seconds": 0.05})
    status, said = finish(start(tmp_path, **asked))
    bad = runs.of(tmp_path, {"x": 0.7}, asked["common"])
    states = {run.folder: run.state() for run in runs.found(tmp_path)}
    assert status == 1 and most_at_once(tmp_path) == 2
    assert states.pop(bad.folder) == "failed" and set(states.values()) == {"done"} and len(states) == 7
    assert f"{bad.folder.name} (x=0.7) failed: Failed: it is broken." in said
    before = notes(tmp_path)
    status, said = finish(start(tmp_path, **asked))
    after = notes(tmp_path)
    assert status == 1 and [what for what, *_ in after.pop(bad.folder.name)].count("began") == 2
    before.pop(bad.folder.name)
    assert after == before, "what is done is not started again"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_after_saving_and_the_same_command_goes_on(number, tmp_path):
    asked = dict(jobs=2, runs=EIGHT[:4], common={"seconds": 0.1})
    process = start(tmp_path, **asked)
    wait_for(process, lambda: len(found := steps(tmp_path)) == 2 and all(len(made) > 2 for made in found.values()))
    process.send_signal(number)
    status, said = finish(process)
    stopped = notes(tmp_path)
    assert status == 75 and said.count(") stopped") == 2
    assert [lines[-1][0] for lines in stopped.values()] == ["ended 75"] * 2 and "failed" not in said
    assert finish(start(tmp_path, **asked))[0] == 0
    assert list(steps(tmp_path).values()) == [WHOLE] * 4, "no step is lost or made twice"


@pytest.mark.parametrize("steps_made, state", [(0, "stopped"), (10, "done")], ids=["before it", "after it"])
def test_a_signal_while_a_run_does_not_listen(steps_made, state, tmp_path):
    asked = dict(runs=EIGHT[:1], common={"deaf": 2.0})
    process = start(tmp_path, **asked)
    wait_for(process, lambda: list(map(len, steps(tmp_path).values())) == [steps_made])
    if steps_made:
        wait_for(process, lambda: list(tmp_path.glob("*/results.json")))
    process.send_signal(signal.SIGINT)
    status, said = finish(process)
    assert status == 75 and f") {state}" in said and "failed" not in said
    assert not list(tmp_path.glob("*/failed.json"))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell a process that its parent has ended")
def test_after_a_kill_the_runs_stop_and_the_same_command_goes_on(tmp_path):
    asked = dict(jobs=2, runs=EIGHT[:4], common={"seconds": 0.1})
    process = start(tmp_path, **asked)
    wait_for(process, lambda: sum(map(len, steps(tmp_path).values())) > 4)
    process.kill()
    assert finish(process)[0] == -signal.SIGKILL
    assert finish(start(tmp_path, **asked))[0] == 0
    assert list(steps(tmp_path).values()) == [WHOLE] * 4
    assert sum(what == "ended 75" for lines in notes(tmp_path).values() for what, *_ in lines) == 2


def test_two_sweeps_on_one_folder_never_start_a_run_twice(tmp_path):
    asked = dict(jobs=2, runs=EIGHT, common={"seconds": 0.03})
    both = [start(tmp_path, **asked) for _ in range(2)]
    ends = [finish(process) for process in both]
    assert [status for status, _ in ends] == [0, 0]
    told = {name: [what for what, *_ in lines] for name, lines in notes(tmp_path).items()}
    assert len(told) == 8 and all(lines.count("began") == 1 for lines in told.values())
    assert list(steps(tmp_path).values()) == [WHOLE] * 8 and "Another process" not in "".join(said for _, said in ends)


def test_a_run_that_somebody_else_stops_is_left_for_the_next_time(tmp_path):
    asked = dict(runs=EIGHT[:2], common={"seconds": 0.1})
    process = start(tmp_path, **asked)
    wait_for(process, lambda: sum(map(len, steps(tmp_path).values())) > 2)
    ((_, _, pid), *_) = next(iter(notes(tmp_path).values()))
    os.kill(pid, signal.SIGTERM)
    status, said = finish(process)
    assert status == 75 and said.count(") stopped") == 1 and said.count(") done") == 1
    assert finish(start(tmp_path, **asked))[0] == 0 and list(steps(tmp_path).values()) == [WHOLE] * 2


def test_a_run_that_is_killed_has_failed_and_says_so(tmp_path):
    asked = dict(runs=EIGHT[:1], common={"seconds": 0.1})
    process = start(tmp_path, **asked)
    wait_for(process, lambda: sum(map(len, steps(tmp_path).values())) > 2)
    ((_, _, pid), *_) = next(iter(notes(tmp_path).values()))
    os.kill(pid, signal.SIGKILL)
    status, said = finish(process)
    assert status == 1 and "failed: It was ended by SIGKILL." in said
    (run,) = runs.found(tmp_path)
    assert (run.state(), run.reason()) == ("failed", "It was ended by SIGKILL.")
    assert finish(start(tmp_path, **asked))[0] == 0 and run.state() == "done"


def test_a_run_that_another_process_is_at_is_waited_for(tmp_path):
    run = runs.of(tmp_path, {"x": 0.1}, {})
    runs.remember(run)
    with filelock.FileLock(run.folder / ".lock"):
        process = start(tmp_path, jobs=2, runs=EIGHT[:2])
        other = runs.of(tmp_path, {"x": 0.0}, {})
        wait_for(process, lambda: other.state() == "done")
        assert process.poll() is None and run.state() == "running"
    assert finish(process)[0] == 0 and run.state() == "done"


def test_brackets_in_a_reason_are_shown_as_they_are(tmp_path, capsys):
    run = runs.of(tmp_path, {"x": 0.1}, {})
    runs.note_failed(run, "no file [/tmp/x] of [adamw]")
    sweep = runs.Sweep((), "config.py", (run,))
    rich.console.Console(width=200).print(local.table(sweep, {run.folder: run.state()}))
    assert "no file [/tmp/x] of [adamw]" in capsys.readouterr().out
