"""The runs of a sweep: identity, folders, states."""

import json

import filelock
import numpy as np
import pytest

from ssl_jax.errors import UserError
from ssl_jax.train import runs


def test_a_run_is_known_by_its_overrides_in_any_order(tmp_path):
    one = runs.identity({"a": 1, "b.c": "x"})
    assert one == runs.identity({"b.c": "x", "a": 1}) and len(one) == 10
    others = [{"a": 1.0, "b.c": "x"}, {"a": 1, "b.c": "y"}, {"a": 1}, {"a": True, "b.c": "x"}, {"a": 1, "b.d": "x"}]
    assert len({one, *map(runs.identity, others)}) == 6


def test_each_run_comes_once_and_has_what_all_have(tmp_path):
    found = runs.expand(tmp_path, [{"seed": 0}, {"config.seed": 1}, {"seed": 0}], {"steps": 10, "seed": 5})
    assert [dict(run.overrides) for run in found] == [{"steps": 10, "seed": 0}, {"steps": 10, "seed": 1}]
    assert [run.folder for run in found] == [tmp_path / runs.identity(run.overrides) for run in found]
    assert found[0].arguments == ["--config.steps=10", "--config.seed=0"]
    sweep = runs.Sweep(("python", "launch.py"), "c.py:smoke", tuple(found), "data")
    start = ["python", "launch.py", "--config=c.py:smoke", "--data_dir=data", f"--workdir={found[0].folder}"]
    assert sweep.command(found[0]) == [*start, *found[0].arguments]
    assert [sweep.name(run) for run in found] == ["seed=0", "seed=1"]


@pytest.mark.parametrize("sweep", [[], [3], [{0: 1}]])
def test_what_is_no_sweep(sweep, tmp_path):
    with pytest.raises(UserError, match="sweep\\(\\) yields"):
        runs.expand(tmp_path, sweep, {})


def test_how_a_run_stands(tmp_path):
    (run,) = runs.expand(tmp_path, [{"a": 1}], {})
    assert run.state() == "waiting"
    runs.remember(run)
    assert run.state() == "waiting" and runs.found(tmp_path) == [run]
    lock = filelock.FileLock(run.folder / ".lock")
    with lock:
        assert run.state() == "running"
    (run.folder / "metrics.jsonl").write_text('{"step": 4}\n{"step": 8}\n')
    assert (run.state(), run.step()) == ("stopped", 8)
    (run.folder / runs.LOG).write_text("one\nFailed: it broke.\n\n")
    assert run.reason() == "Failed: it broke."
    (run.folder / "failed.json").write_text(json.dumps({"reason": "It broke otherwise."}))
    assert (run.state(), run.reason()) == ("failed", "It broke otherwise.")
    (run.folder / "results.json").write_text(json.dumps({"pretrained/linear": 0.5}))
    assert run.state() == "done" and run.results() == {"pretrained/linear": 0.5}


def test_a_run_that_ends_while_one_looks_is_done(tmp_path, monkeypatch):
    (run,) = runs.expand(tmp_path, [{"a": 1}], {})
    runs.remember(run)
    (run.folder / "metrics.jsonl").write_text('{"step": 4}\n')

    def ends(self: runs.Run) -> bool:
        (self.folder / "results.json").write_text("{}")
        return False

    monkeypatch.setattr(runs.Run, "is_held", ends)
    assert run.state() == "done"


def test_one_command_has_the_claim_of_a_run(tmp_path):
    (run,) = runs.expand(tmp_path, [{"a": 1}], {})
    claim = run.claim()
    assert claim and run.claim() is None and run.state() == "waiting"
    claim.release()
    assert run.claim()


def test_numbers_of_numpy_are_numbers(tmp_path):
    one, other = (runs.of(tmp_path, {"rate": value}, {}) for value in (0.5, np.float64(0.5)))
    assert one == other and other.arguments == ["--config.rate=0.5"]


def test_names_tell_leaves_apart(tmp_path):
    found = runs.expand(
        tmp_path, [{"method.name": "a", "model.name": "b"}, {"method.name": "c", "model.name": "d"}], {}
    )
    assert runs.name(found[0], found) == "method.name=a, model.name=b"


def test_a_run_that_another_machine_started_notes_its_own_overrides(tmp_path):
    run = runs.of(tmp_path, {"seed": 3}, {})
    runs.remember_own(str(tmp_path / "mine"), run.overrides)
    assert runs.found(tmp_path) == []
    runs.remember_own(str(run.folder), run.overrides)
    assert runs.found(tmp_path) == [run]


def test_bytes_of_a_log_that_are_no_text(tmp_path):
    run = runs.of(tmp_path, {"seed": 3}, {})
    run.folder.mkdir()
    (run.folder / runs.LOG).write_bytes(b"caf\xe9\n")
    assert run.reason() == "caf\ufffd"
