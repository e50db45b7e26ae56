"""A search with Optuna, as a command that is stopped, killed and started twice at once. The runs are fake ones."""

import json
import math
import pathlib
import signal
import subprocess
import sys

import filelock
import optuna
import pytest

import launch
from ssl_jax.launchers import search, studies, worker
from ssl_jax.train import runs
from tests.launchers import drive
from tests.launchers.drive import finish, notes, start, steps, wait_for

LINUX = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere runs do not stop with the command that started them"
)
WHOLE = list(range(1, 11))


def trials(folder: pathlib.Path) -> list[optuna.trial.FrozenTrial]:
    """As the journal of the only search of a folder has them."""
    backend = optuna.storages.journal.JournalFileBackend(str(folder / studies.JOURNAL))
    return optuna.load_study(study_name=None, storage=optuna.storages.JournalStorage(backend)).trials


def states(folder: pathlib.Path) -> list[str]:
    return [trial.state.name for trial in trials(folder)]


def drawn(folder: pathlib.Path) -> list[float]:
    return [trial.params["x"] for trial in trials(folder)]


def assert_whole(folder: pathlib.Path, count: int) -> None:
    """So many trials, each complete, each a run of its own of which no step is missing or made twice."""
    assert states(folder) == ["COMPLETE"] * count
    assert list(steps(folder).values()) == [WHOLE] * count
    named = {run.overrides["x"]: run.results()["pretrained/score"] for run in runs.found(folder)}
    assert named == {trial.params["x"]: trial.value for trial in trials(folder)}


def test_it_finds_what_is_good(tmp_path):
    status, said = finish(start(tmp_path, jobs=2, search={"trials": 16}))
    best = max(trials(tmp_path), key=lambda trial: trial.value)
    assert status == 0 and abs(best.params["x"] - 0.3) < 0.02
    assert_whole(tmp_path, 16)
    line = f"Best of 16 trials: pretrained/score {best.value:.4g} with --config.x={best.params['x']!r} in {tmp_path}/"
    assert said.splitlines()[-1].startswith(line)
    before = notes(tmp_path)
    status, said = finish(start(tmp_path, jobs=2, search={"trials": 16}))
    assert status == 0 and said.splitlines()[-1].startswith(line) and notes(tmp_path) == before
    finish(start(tmp_path, search={"trials": 17}))
    assert_whole(tmp_path, 17)


@pytest.mark.parametrize("sampler", ["tpe", "qmc"])
def test_one_seed_proposes_the_same_also_through_a_kill(sampler, tmp_path):
    asked = {"sampler": sampler, "trials": 8, "startup": 3}
    assert finish(start(tmp_path / "one", search=asked))[0] == 0
    process = start(tmp_path / "killed", search=asked)
    wait_for(process, lambda: len(steps(tmp_path / "killed")) == 5)
    process.kill()
    finish(process)
    assert finish(start(tmp_path / "killed", search=asked))[0] == 0
    assert drawn(tmp_path / "killed") == drawn(tmp_path / "one")
    assert finish(start(tmp_path / "other", search=asked | {"seed": 1, "trials": 2}))[0] == 0
    assert not set(drawn(tmp_path / "other")) & set(drawn(tmp_path / "one"))


@LINUX
def test_after_a_kill_no_trial_is_lost_or_drawn_anew(tmp_path):
    asked = dict(jobs=2, search={"trials": 6}, common={"seconds": 0.1})
    process = start(tmp_path, **asked)
    wait_for(process, lambda: len(found := steps(tmp_path)) == 4 and all(map(len, found.values())))
    process.kill()
    finish(process)
    before = drawn(tmp_path)
    assert states(tmp_path).count("RUNNING") == 2
    assert finish(start(tmp_path, **asked))[0] == 0
    assert drawn(tmp_path)[: len(before)] == before
    assert_whole(tmp_path, 6)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_after_saving_and_the_same_command_goes_on(number, tmp_path):
    asked = dict(jobs=2, search={"trials": 4}, common={"seconds": 0.1})
    process = start(tmp_path, **asked)
    wait_for(process, lambda: len(found := steps(tmp_path)) == 2 and all(map(len, found.values())))
    process.send_signal(number)
    status, said = finish(process)
    assert status == 75 and said.count(") stopped") == 2 and "0 of 4 trials have ended" in said
    assert finish(start(tmp_path, **asked))[0] == 0
    assert_whole(tmp_path, 4)


def test_two_commands_share_the_trials(tmp_path):
    asked = dict(search={"trials": 10}, common={"seconds": 0.06})
    both = [start(tmp_path, **asked) for _ in range(2)]
    ends = [finish(process) for process in both]
    assert [status for status, _ in ends] == [0, 0]
    assert_whole(tmp_path, 10)
    began = [said.count(") running\n") for _, said in ends]
    assert sum(began) == 10 and min(began) > 0
    assert len({said.splitlines()[-1] for _, said in ends}) == 1, "both wait for the last one"


@LINUX
def test_a_command_takes_over_what_a_killed_one_leaves(tmp_path):
    asked = dict(search={"trials": 6}, common={"seconds": 0.1})
    killed, other = start(tmp_path, **asked), start(tmp_path, **asked)
    wait_for(killed, lambda: len(found := steps(tmp_path)) == 2 and all(map(len, found.values())))
    killed.kill()
    finish(killed)
    assert finish(other)[0] == 0
    assert_whole(tmp_path, 6)


def test_a_trial_goes_on_when_what_a_killed_command_started_has_stopped(tmp_path):
    run = left_behind(tmp_path)
    with filelock.FileLock(run.folder / ".lock"):
        process = start(tmp_path, jobs=2, search={"trials": 2})
        wait_for(process, lambda: states(tmp_path) == ["RUNNING", "COMPLETE"])
        assert run.folder.name not in notes(tmp_path)
    assert finish(process)[0] == 0
    assert_whole(tmp_path, 2)


def left_behind(folder: pathlib.Path, **settings) -> runs.Run:
    """The run of a trial whose command was killed when it had noted it."""
    trial = opened(folder, **settings).draw()
    run = runs.of(folder, drive.propose(trial), {})
    trial.set_user_attr(worker.OVERRIDES, repr(run.overrides))
    runs.remember(run)
    return run


def opened(folder: pathlib.Path, **settings) -> studies.Study:
    """The study that `drive` makes in a folder."""
    asked = search.Search(sampler="tpe", measure="pretrained/score", **settings)
    space = search.Space(runs.Sweep((), "fake.py", ()), folder, {}, drive.propose, lambda overrides: None)
    return studies.opened(folder, space.title(asked), asked.proposing)


def test_a_trial_of_which_nothing_is_noted_is_not_lost(tmp_path):
    opened(tmp_path).draw()
    assert finish(start(tmp_path, search={"trials": 2}))[0] == 0
    assert_whole(tmp_path, 2)


def test_half_a_line_at_the_end_of_the_journal_is_removed(tmp_path):
    assert finish(start(tmp_path, search={"trials": 1}))[0] == 0
    with (tmp_path / studies.JOURNAL).open("a") as file:
        file.write('{"op_code": 4, "wor')
    assert finish(start(tmp_path, search={"trials": 2}))[0] == 0
    assert_whole(tmp_path, 2)


@pytest.mark.parametrize(
    "pruning",
    [
        {"prune_on": "eval/score", "startup": 3},
        {"prune_on": "eval/score", "pruner": "halving"},
        {"prune_on": "eval/loss", "prune_direction": "minimize", "startup": 3},
    ],
    ids=["median", "halving", "by a loss"],
)
def test_what_does_badly_is_stopped_early_and_stays_so(pruning, tmp_path):
    asked = dict(search={"sampler": "random", "trials": 12} | pruning, common={"seconds": 0.1})
    status, said = finish(start(tmp_path, **asked))
    found = {run.overrides["x"]: run for run in runs.found(tmp_path)}
    ends = {trial.params["x"]: trial.state.name for trial in trials(tmp_path)}
    pruned = [found[x] for x, end in ends.items() if end == "PRUNED"]
    assert status == 0 and sum(run.step() < 10 for run in pruned) >= 3 and set(ends.values()) == {"PRUNED", "COMPLETE"}
    assert ends[min(ends, key=lambda x: abs(x - 0.3))] == "COMPLETE"
    for run in pruned:
        noted = run.pruned()
        assert run.state() == "pruned" and noted["name"] == pruning["prune_on"] and noted["step"] <= run.step()
        line = next(line for line in metrics(run) if line["step"] == noted["step"])
        assert noted["value"] == line[noted["name"]] and f"({run_name(run)}) pruned: {noted['name']}" in said
    before = notes(tmp_path)
    assert finish(start(tmp_path, **asked))[0] == 0 and notes(tmp_path) == before


def metrics(run: runs.Run) -> list[dict]:
    return [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]


def run_name(run: runs.Run) -> str:
    return f"x={run.overrides['x']:.4g}"


@pytest.mark.parametrize("settings, state", [({"prune_on": "eval/score"}, "PRUNED"), ({}, "COMPLETE")])
def test_a_command_that_was_killed_while_it_pruned(settings, state, tmp_path):
    run = left_behind(tmp_path, **settings)
    runs.note_pruned(run, "eval/score", 1, -1.0)
    assert finish(start(tmp_path, search={"trials": 1} | settings))[0] == 0
    assert states(tmp_path) == [state] and (run.folder.name in notes(tmp_path)) == (state == "COMPLETE")


def test_a_sweep_goes_on_with_what_a_search_pruned(tmp_path):
    run = runs.of(tmp_path, {"x": 0.9}, {})
    runs.remember(run)
    (run.folder / "metrics.jsonl").write_text('{"step": 1, "eval/score": -1.0}\n')
    runs.note_pruned(run, "eval/score", 1, -1.0)
    assert run.state() == "pruned"
    assert finish(start(tmp_path, runs=[{"x": 0.9}]))[0] == 0
    assert run.state() == "done" and steps(tmp_path) == {run.folder.name: WHOLE[1:]}


def test_a_failure_stops_no_other_and_nan_is_the_worst(tmp_path):
    asked = dict(jobs=2, search={"trials": 10, "sampler": "qmc"}, common={"fails_above": 0.8, "nan_above": 0.6})
    status, said = finish(start(tmp_path, **asked))
    assert status == 1 and "failed: Failed: it is broken." in said
    for trial in trials(tmp_path):
        x = trial.params["x"]
        assert trial.state.name == ("FAIL" if x > 0.8 else "COMPLETE")
        assert x > 0.8 or (trial.value == -math.inf) == (x > 0.6)
    assert {min(int(trial.params["x"] / 0.2), 4) for trial in trials(tmp_path)} >= {3, 4}, "there were such"
    assert finish(start(tmp_path, **asked))[0] == 0, "a failed trial has ended"


def test_an_equal_trial_takes_the_value_of_the_earlier_one(tmp_path):
    assert finish(start(tmp_path, search={"trials": 3}))[0] == 0
    before = notes(tmp_path)
    (tmp_path / studies.JOURNAL).unlink()
    assert finish(start(tmp_path, search={"trials": 3}))[0] == 0
    assert notes(tmp_path) == before and states(tmp_path) == ["COMPLETE"] * 3


def test_a_measure_that_runs_do_not_leave_is_found_while_the_first_one_goes(tmp_path):
    common = {"seconds": 0.2}
    status, said = finish(start(tmp_path, search={"trials": 2, "measure": "pretrained/scor"}, common=common))
    assert status == 2 and said.splitlines()[-1] == (
        "Error: --search.measure: 'pretrained/scor' does not exist. Did you mean 'pretrained/score'? "
        "Valid: pretrained/score, raw/score, untrained/score."
    )
    ((_, made),) = steps(tmp_path).items()
    assert len(made) < 10
    assert finish(start(tmp_path, search={"trials": 2}, common=common))[0] == 0
    assert list(steps(tmp_path).values()) == [WHOLE] * 2, "the run that was begun is of use"


def test_a_metric_that_runs_do_not_leave_is_found_with_the_first_one(tmp_path):
    status, said = finish(start(tmp_path, search={"trials": 2, "prune_on": "eval/scores"}))
    assert status == 2 and said.splitlines()[-1] == (
        "Error: --search.prune_on: 'eval/scores' does not exist. Did you mean 'eval/score'? "
        "Valid: eval/loss, eval/score."
    )
    assert list(steps(tmp_path).values()) == [WHOLE]


# The command line.

QUICK = "--config=configs/quickstart.py"


@pytest.mark.parametrize(
    "options, fragments",
    [
        (["--search=tpee"], ["--search: 'tpee' does not exist. Did you mean 'tpe'?", "Valid: qmc, random, tpe."]),
        (["--search=tpe", "--search.trials=0"], ["--search.trials 0 must be at least 1."]),
        (["--search=tpe", "--search.trials=many"], ["--search.trials is 'many' (str); it must be an int."]),
        (["--search=tpe", "--search.trails=3"], ["--search (Search): 'trails' does not exist", "mean 'trials'?"]),
        (["--search=tpe", "--search.sampler=qmc"], ["--search (Search): 'sampler' does not exist"]),
        (["--search=tpe", "--search.direction=up"], ["--search.direction is 'up'", "'maximize', 'minimize'"]),
        (["--search=tpe", "--search.pruner=median"], ["--search.pruner 'median' needs --search.prune_on"]),
        (["--search.trials=3"], ["--search.trials needs --search=tpe"]),
        (["--search=tpe", "--on=slurm"], ["--search is for this machine", "--on=slurm"]),
        (["--search=tpe", "--on.jobs=0"], ["--on.jobs 0 must be at least 1."]),
        (["--search=tpe", "--config=configs/mae_openmoji.py"], ["mae_openmoji.py has no function search(trial)"]),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) and given[0].startswith("--") else "",
)
def test_wrong_options(options, fragments, capsys):
    assert launch.main(["sweep", QUICK, *options]) == 2
    said = capsys.readouterr().err
    assert all(fragment in said for fragment in fragments) and said.count("\n") == 1, said


def test_a_search_is_of_a_sweep(capsys):
    assert (
        launch.main([QUICK, "--search.trials=3"]) == 2 and "train takes no --search.trials" in capsys.readouterr().err
    )
    assert launch.main([QUICK, "--search=tpe"]) == 2 and "train takes no --search" in capsys.readouterr().err


@pytest.mark.parametrize(
    "body, fragment",
    [
        ("return 1 / 0", "search() of {path} failed: ZeroDivisionError: division by zero"),
        ("return trial.suggest_float('a', 2, 1)", "search() of {path} failed: ValueError: "),
        ("return [1]", "search() returns [1]; it must return a dict from leaf to value."),
        ("return {}", "search() returns {{}}; it must return a dict from leaf to value."),
        ("return {'optimizer.learning_rat': 0.1}", "config.optimizer (adamw): 'learning_rat' does not exist"),
        ("return {'batch_size': trial.suggest_float('size', 1, 9)}", "config.batch_size"),
    ],
)
@pytest.mark.parametrize("dry", [[], ["--dry_run"]], ids=["run", "dry run"])
def test_wrong_functions(body, fragment, dry, tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(f"from configs.quickstart import get_config\n\ndef search(trial):\n    {body}\n")
    folder = tmp_path / "sweep"
    assert launch.main(["sweep", f"--config={path}", f"--workdir={folder}", "--search=tpe", *dry]) == 2
    assert fragment.format(path=path) in capsys.readouterr().err and not folder.exists()


def test_a_dry_run_shows_what_is_known_and_what_comes_next(tmp_path, capsys, wide_terminal):
    options = ["sweep", QUICK, f"--workdir={tmp_path / 'sweep'}", "--search=tpe", "--search.trials=7", "--dry_run"]
    assert launch.main(options) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if "temperature=" in line]
    assert len(rows) == 5 and all("next" in row and "learning_rate=" in row for row in rows)
    assert not (tmp_path / "sweep").exists()
    assert finish(start(tmp_path / "fake", search={"trials": 2}))[0] == 0
    before = (tmp_path / "fake" / studies.JOURNAL).read_bytes()
    asked = search.Search(sampler="tpe", measure="pretrained/score", trials=4)
    space = search.Space(runs.Sweep((), "fake.py", ()), tmp_path / "fake", {}, drive.propose, lambda overrides: None)
    shown = worker.preview(asked, space)
    assert list(shown.columns[2].cells) == ["done", "done", "next", "next"]
    assert (tmp_path / "fake" / studies.JOURNAL).read_bytes() == before
    finish(start(tmp_path / "fake", search={"trials": 3}))
    assert list(shown.columns[1].cells)[:3] == [f"x={x:.4g}" for x in drawn(tmp_path / "fake")]


def test_without_optuna_it_says_what_to_install(tmp_path):
    code = "import sys; sys.modules['optuna'] = None; import launch; sys.exit(launch.main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "sweep", QUICK, f"--workdir={tmp_path}", "--search=tpe"]
    done = subprocess.run(command, cwd=drive.ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "Error: --search needs Optuna: pip install -r requirements-search.txt.\n"
