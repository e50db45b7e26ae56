"""The runs of a sweep on this machine: some at a time, devices divided among them."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator, Mapping

import rich.live
import rich.markup
import rich.table

from ssl_jax import terminal
from ssl_jax.launchers import devices
from ssl_jax.launchers.slots import Slot, occupy
from ssl_jax.train.runs import Run, State, Sweep
from ssl_jax.train.signals import EXIT_STOPPED, StopSignal

STYLES = {"done": "green", "failed": "red", "running": "bold", "stopped": "yellow", "pruned": "dim"}
MEASURES = ("pretrained/knn_full", "pretrained/linear", "pretrained/loss")


class Local:
    """Runs what is not done; a run that fails does not stop the others.

    Attributes:
      slots: the shares of the devices, one for each run that goes at the same time.
    """

    def __init__(self, *, jobs: int = 1):
        """
        Args:
          jobs: how many runs at a time; each has its share of the GPUs, or of the cores where there is none.

        Raises:
          ValueError: `jobs` is below 1.
          UserError: there are fewer GPUs than `jobs`.
        """
        if jobs < 1:
            raise ValueError(f"jobs {jobs} must be at least 1")
        self.slots = [Slot(share) for share in devices.of_runs(jobs)]

    def preview(self, sweep: Sweep) -> str:
        """Nothing: no engine is asked."""
        return ""

    def run(self, sweep: Sweep, stop: StopSignal) -> int:
        """Runs them all, and waits for those that another command is at.

        Returns:
          The exit status: 0 all are done, 1 some failed, 75 some were stopped after saving.
        """
        self._sweep, self._states = sweep, {run.folder: run.state() for run in sweep.runs}
        self._waiting = [run for run in sweep.runs if self._states[run.folder] != "done"]
        with stop, showing(self._table):
            occupy(self.slots, stop, fill=self._fill, look=self._look)
        ends = self._states.values()
        return EXIT_STOPPED if stop.requested or "stopped" in ends else 1 if "failed" in ends else 0

    def _fill(self, slot: Slot) -> bool:
        for run in tuple(self._waiting):
            if not slot.run and self._start(slot, run):
                self._waiting.remove(run)
        return bool(self._waiting)

    def _start(self, slot: Slot, run: Run) -> bool:
        """Starts a run; returns whether nothing is left to do for it, False where another command is at it."""
        claim = run.claim()
        state = run.state() if claim else "running"
        if state in ("done", "running"):
            self._note(run, state)
            if claim:
                claim.release()
            return state == "done"
        slot.start(run, claim, self._sweep.command(run))
        self._note(run, "running")
        return True

    def _look(self, slot: Slot) -> None:
        state = slot.ended()
        if state:
            self._note(slot.run, state)
            slot.free()

    def _note(self, run: Run, state: State) -> None:
        if state != self._states[run.folder]:
            self._states[run.folder] = state
            say(self._sweep, run, state)

    def _table(self) -> rich.table.Table:
        return table(self._sweep, self._states)


@contextlib.contextmanager
def showing(get_table: Callable[[], rich.table.Table]) -> Iterator[None]:
    """Shows a table as it changes; at the end only, where there is no terminal."""
    if terminal.redraws():
        with rich.live.Live(get_renderable=get_table, refresh_per_second=2):
            yield
    else:
        yield
        rich.print(get_table())


def say(sweep: Sweep, run: Run, state: str, measures: tuple[str, ...] = MEASURES) -> None:
    """Prints a line on how a run stands now, where no table is shown."""
    if not terminal.redraws():
        text = _outcome(run, state, measures)
        print(f"{run.folder.name} ({sweep.name(run)}) {state}{': ' if text else ''}{text}", flush=True)


def table(sweep: Sweep, states: Mapping[pathlib.Path, str], measures: tuple[str, ...] = MEASURES) -> rich.table.Table:
    """How the runs of a sweep stand, for the terminal.

    Args:
      sweep: the runs.
      states: folder -> state.
      measures: of results.json, which are shown where they are there.
    """
    shown = rich.table.Table(header_style="bold")
    for name in ("run", "overrides", "state", "step", "result"):
        shown.add_column(name, justify="right" if name == "step" else "left", overflow="fold")
    for run in sweep.runs:
        state = states[run.folder]
        step = run.step() if state in ("running", "stopped", "failed", "pruned") else 0
        found = _outcome(run, state, measures)
        cells = (run.folder.name, sweep.name(run), state, str(step or ""), found)
        shown.add_row(*map(rich.markup.escape, cells), style=STYLES.get(state))  # brackets in a reason are no markup
    return shown


def _outcome(run: Run, state: str, measures: tuple[str, ...]) -> str:
    if state == "failed":
        return run.reason()
    if state == "pruned":
        noted = run.pruned()
        return f"{noted['name']} {noted['value']:.4g} at step {noted['step']}" if noted else ""
    results = run.results() if state == "done" else {}
    return ", ".join(f"{name.removeprefix('pretrained/')} {results[name]:.4g}" for name in measures if name in results)
