"""Takes the trials of a search one after the other, runs them on this machine, and tells Optuna what came out."""

import dataclasses
import math
import pathlib
from collections.abc import Collection, Sequence
from typing import NamedTuple

import filelock
import rich.table
from optuna.trial import FrozenTrial, Trial

from ssl_jax import config as configs
from ssl_jax.errors import UserError, unknown
from ssl_jax.launchers import studies
from ssl_jax.launchers.local import say, showing, table
from ssl_jax.launchers.search import Search, Space
from ssl_jax.launchers.slots import Slot, occupy
from ssl_jax.launchers.studies import Study
from ssl_jax.train import metrics, runs
from ssl_jax.train.runs import Run, State, Sweep
from ssl_jax.train.signals import EXIT_STOPPED, StopSignal
from ssl_jax.train.workdir import read_json

PREVIEWED = 5  # proposals; those after them depend on results
ENDS = {"COMPLETE": "done", "PRUNED": "pruned", "FAIL": "failed"}
OVERRIDES = "overrides"  # of a trial: as Python writes them, since JSON knows no tuples


def preview(search: Search, space: Space) -> rich.table.Table:
    """The trials so far, and up to five ('next') as Optuna would draw them now; later ones depend on results.

    Raises:
      UserError: `search` fails, or no config of those that come next can be run.
    """
    study = studies.copied(space.folder, space.title(search), search.proposing)
    sweep, states = standing(study, space)
    found = proposals(study, search, space)
    states |= {run.folder: "next" for run in found if run.folder not in states}
    every = {run.folder: run for run in (*sweep.runs, *found)}
    return table(dataclasses.replace(sweep, runs=tuple(every.values())), states, (search.measure,))


def run(search: Search, space: Space, slots: Sequence[Slot], stop: StopSignal) -> int:
    """Starts the runs that Optuna proposes until there are so many; several commands may do so on one folder at a time.

    Returns:
      The exit status: 0 all trials have ended, 1 some failed now, 75 some were stopped after saving.

    Raises:
      UserError: `search` fails; no config that it proposes can be run; runs leave no such measure or metric.
    """
    title = space.title(search)
    proposals(studies.copied(space.folder, title, search.proposing), search, space)
    worker = Worker(studies.opened(space.folder, title, search.proposing), search, space)
    with stop, showing(worker.table):
        occupy(slots, stop, fill=worker.fill, look=worker.look)
    print(worker.summary())
    return EXIT_STOPPED if stop.requested or "stopped" in worker.ends else 1 if "failed" in worker.ends else 0


def proposals(study: Study, search: Search, space: Space) -> list[Run]:
    """The runs that come next, as far as they do not depend on results; draws them.

    Raises:
      UserError: none of them has a config that can be run; what the first one lacks.
    """
    found, errors = [], []
    for _ in range(min(PREVIEWED, search.trials - len(study.trials))):
        found.append(space.run(study.draw()))
        try:
            space.check(found[-1])
        except UserError as error:
            errors.append(error)
    if errors and len(errors) == len(found):
        raise errors[0]
    return found


def standing(study: Study, space: Space, going: Collection[pathlib.Path] = ()) -> tuple[Sweep, dict[pathlib.Path, str]]:
    """The runs of all trials, and folder -> state. `going`: the folders of those that run in this command."""
    known, states = {}, {}
    for trial in study.trials:
        run = noted(trial, space)
        if run:
            known[run.folder] = run
            own = "running" if run.folder in going else None
            states[run.folder] = own or ENDS.get(trial.state.name) or run.state()
    return dataclasses.replace(space.sweep, runs=tuple(known.values())), states


def noted(trial: FrozenTrial, space: Space) -> Run | None:
    """The run of a trial, None where the command that drew it ended before it could note it."""
    text = trial.user_attrs.get(OVERRIDES)
    return runs.of(space.folder, configs.literal(text), {}) if text else None


class Taken(NamedTuple):
    """A trial that this command works on, its run, and the right to start that."""

    trial: Trial
    run: Run
    claim: filelock.BaseFileLock


class Worker:
    """Takes trials, runs them in slots, and tells what came out.

    Who has the claim of a run's folder works on the trials that ask for it. So a trial without an end, whose folder
    nobody claims, was left behind: it goes on as it was drawn.

    Attributes:
      ends: the states in which runs ended in this command.
    """

    def __init__(self, study: Study, search: Search, space: Space):
        self.ends: set[State] = set()
        self._study, self._search, self._space = study, search, space
        self._going: dict[pathlib.Path, Trial] = {}
        self._left: set[int] = set()  # numbers of trials that stopped here, and are not begun again here
        self._refresh()

    def fill(self, slot: Slot) -> bool:
        """Starts the next run in a free slot; returns False when all trials have an end."""
        while not slot.run:
            taken = self._take()
            if not taken:
                break
            state = self._known_end(taken.run)
            if state:
                self._end(taken.trial, taken.run, state)
                taken.claim.release()
            else:
                slot.start(taken.run, taken.claim, self._space.sweep.command(taken.run))
                self._going[taken.run.folder] = taken.trial
                self._say(taken.run, "running")
        self._refresh()
        return any(not trial.state.is_finished() and trial.number not in self._left for trial in self._study.trials)

    def look(self, slot: Slot) -> None:
        """Prunes the run in a slot where it does badly, or tells how it ended.

        Raises:
          UserError: the run leaves no such measure as is searched by, or pruned on.
        """
        run, state = slot.run, slot.ended()
        trial = self._going[run.folder]
        if state:
            del self._going[run.folder]
            self._end(trial, run, state)
            slot.free()
        else:
            _check_measure(run, self._search.measure)
            if not slot.asked and self._prunes(trial, run):
                slot.stop()

    def table(self) -> rich.table.Table:
        """How the trials stand."""
        return table(*self._shown, (self._search.measure,))

    def summary(self) -> str:
        """The best so far, in a line."""
        ended = sum(trial.state.is_finished() for trial in self._study.trials)
        best = self._study.best
        if not best:
            return f"{ended} of {self._search.trials} trials have ended, none of them with a value."
        run = noted(best, self._space)
        found = f"{self._search.measure} {best.value:.4g} with {' '.join(run.arguments)} in {run.folder}"
        return f"Best of {ended} trials: {found}"

    def _take(self) -> Taken | None:
        """A trial that was left behind, or a new one; None where there is nothing to do now."""
        with self._study.lock:
            taken = self._left_behind()
            while not taken and len(self._study.trials) < self._search.trials:
                trial = self._study.draw()
                taken = self._taken(trial, self._proposed(trial))
            return taken

    def _left_behind(self) -> Taken | None:
        for trial in self._study.trials:
            run = noted(trial, self._space)
            if trial.state.is_finished() or trial.number in self._left or run and run.folder in self._going:
                continue
            again = self._study.again(trial)
            taken = self._taken(again, run or self._proposed(again))
            if taken:
                return taken
        return None

    def _taken(self, trial: Trial, run: Run) -> Taken | None:
        """None where another command, or an equal trial, is at it; it is looked at again later."""
        claim = run.claim()
        if claim and run.is_held():  # by what a killed command started, and which is just stopping
            claim.release()
            return None
        return Taken(trial, run, claim) if claim else None

    def _proposed(self, trial: Trial) -> Run:
        try:
            run = self._space.run(trial)
        except UserError:
            self._study.fail(trial)
            raise
        trial.set_user_attr(OVERRIDES, repr(dict(run.overrides)))
        return run

    def _known_end(self, run: Run) -> State | None:
        """The end of a run that need not be started."""
        state = run.state()
        if state == "done" or state == "pruned" and self._search.prune_on:
            return state
        try:
            self._space.check(run)
        except UserError as error:
            runs.note_failed(run, str(error))
            return "failed"
        return None

    def _end(self, trial: Trial, run: Run, state: State) -> None:
        if state == "done":
            self._complete(trial, run)
        elif state == "pruned":
            self._report(trial, run)
            self._study.prune(trial)
        elif state == "failed":
            self._study.fail(trial)
        elif state == "stopped":
            self._left.add(trial.number)
        self.ends.add(state)
        self._refresh()
        self._say(run, state)

    def _complete(self, trial: Trial, run: Run) -> None:
        _check_measure(run, self._search.measure)
        self._report(trial, run)
        value = run.results()[self._search.measure]
        worst = -math.inf if self._search.direction == "maximize" else math.inf
        self._study.complete(trial, worst if math.isnan(value) else value)
        if self._search.prune_on and not self._study.trials[trial.number].intermediate_values:
            names = {name for line in metrics.read(run.folder) for name in line} - {"step"}
            raise unknown("--search.prune_on", self._search.prune_on, names)

    def _prunes(self, trial: Trial, run: Run) -> bool:
        """Whether a run that goes should end; its folder remembers it. Not at its last step, when it has cost all."""
        found = self._report(trial, run)
        if found is None or run.step() == (read_json(run.folder / "config.json") or {}).get("steps"):
            return False
        runs.note_pruned(run, self._search.prune_on, *found)
        return True

    def _report(self, trial: Trial, run: Run) -> tuple[int, float] | None:
        """Tells Optuna the new values of the metric to prune on; the first step, with its value, to end the run at."""
        name, seen, ends = self._search.prune_on, set(self._study.trials[trial.number].intermediate_values), []
        for line in metrics.read(run.folder):
            if name in line and line["step"] not in seen:
                seen.add(line["step"])
                if self._study.prunes(trial, line["step"], self._search.sign * line[name]):
                    ends.append((line["step"], line[name]))
        return ends[0] if ends else None

    def _refresh(self) -> None:
        self._shown = standing(self._study, self._space, self._going)

    def _say(self, run: Run, state: State) -> None:
        say(self._shown[0], run, state, (self._search.measure,))


def _check_measure(run: Run, measure: str) -> None:
    """Finds a wrong measure as soon as the first run has measured its baselines.

    Raises:
      UserError: a run like this one leaves no such measure.
    """
    baselines = read_json(run.folder / "baselines.json") or {}
    coming = {name.replace("untrained/", "pretrained/", 1) for name in baselines}
    names = run.results() or baselines.keys() | coming
    if names and measure not in names:
        raise unknown("--search.measure", measure, names)
