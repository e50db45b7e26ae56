"""The training loop: steps, with logging, evaluation and checkpoints on a schedule."""

import collections
import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator

import jax
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh

from ssl_jax.errors import RunError
from ssl_jax.train import compiler, processes
from ssl_jax.train import mesh as meshes
from ssl_jax.train.checkpoints import Checkpoints
from ssl_jax.train.metrics import MetricWriter, Pending, Progress
from ssl_jax.train.signals import StopSignal
from ssl_jax.train.state import TrainState
from ssl_jax.train.step import first_bad_tensor, make_train_step
from ssl_jax.train.watchdog import Watchdog

HostBatch = dict[str, np.ndarray]
SPEED = "examples_per_second"
AHEAD = 2  # steps that the host may run ahead of the devices, so that batches do not pile up on them


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a run does at each step, settled before the first one.

    Attributes:
      graphdef: the static half of the method.
      optimizer: gradients -> updates.
      schedule: learning rate by step, for the log.
      mesh: where the state and the batches lie.
      seed: of everything random in a step.
      steps: number of steps of the whole run.
      batch_size: global.
      log_every: steps between lines of metrics.
      evaluate_every: steps between evaluations, 0 for none before the end.
      hang_seconds: the run ends where no step has ended for so long, 0: never.
    """

    graphdef: nnx.GraphDef
    optimizer: optax.GradientTransformation
    schedule: optax.Schedule
    mesh: Mesh
    seed: int
    steps: int
    batch_size: int
    log_every: int
    evaluate_every: int
    hang_seconds: float = 0


@dataclasses.dataclass
class Outcome:
    """The state after the loop, whether a signal ended it early, and the seconds that its steps took."""

    state: TrainState
    stopped: bool
    seconds: float


def fit(
    recipe: Recipe,
    state: TrainState,
    batches: Iterator[tuple[int, HostBatch]],
    *,
    batch_at: Callable[[int], HostBatch],
    checkpoints: Checkpoints,
    writer: MetricWriter,
    progress: Progress,
    evaluate: Callable[[TrainState], dict[str, float]],
    evaluated: Callable[[], None],
    stop: StopSignal,
) -> Outcome:
    """Trains from `state` to the last step, or until a signal.

    Args:
      recipe: what to do.
      state: where to start; its buffers are given to the first step.
      batches: (step counted from 0, this process's rows of that batch), from `state.step` on.
      batch_at: the same rows for any one step, to find out what went wrong in it.
      checkpoints: written on its own schedule, at the end, and on a signal.
      writer: where metrics go.
      progress: what the user sees.
      evaluate: scores of a state, called on the recipe's schedule.
      evaluated: called once these are written and the state is saved, where it is; may end the run.
      stop: asked after each step.

    Raises:
      RunError: a loss or gradient that is not finite, or a checkpoint that cannot be written.
    """
    train_step = jit_train_step(recipe, state)
    begun, saved = time.monotonic(), int(state.step)
    with _Pace(recipe, stop) as pace:
        both = evaluate, evaluated
        between = _Between(recipe, batch_at, checkpoints, writer, progress, *both, pace.resting, saved=saved)
        for t, batch in _readable(batches, batch_at, range(saved, recipe.steps), stop):
            state, values = train_step(state, meshes.put_rows(batch, recipe.mesh))
            pace.after(values["loss"])
            between.after(t + 1, state, values)
            if pace.leave:
                break
    between.write(between.pending.flush(), state)
    done = int(state.step)
    if done != between.saved:
        between.save(done, state, {})
    checkpoints.wait()
    return Outcome(state, stopped=done < recipe.steps, seconds=time.monotonic() - begun)


def jit_train_step(recipe: Recipe, state: TrainState) -> Callable:
    """The jitted train step that takes the buffers of its state.

    Args:
      recipe: what to do.
      state: arrays, or shapes with shardings.
    """
    train_step = make_train_step(recipe.graphdef, recipe.optimizer, recipe.schedule, recipe.seed)

    def step(state, batch):
        with meshes.within(recipe.mesh):
            return train_step(state, batch)

    kept = jax.tree.map(lambda leaf: leaf.sharding, state)  # else XLA might lay out what comes back in its own way
    options = compiler.options(recipe.mesh, state.params)
    shardings = (kept, meshes.replicated(recipe.mesh))
    return jax.jit(step, donate_argnums=0, out_shardings=shardings, compiler_options=options)


def _readable(
    batches: Iterator[tuple[int, HostBatch]], batch_at: Callable[[int], HostBatch], steps: range, stop: StopSignal
) -> Iterator[tuple[int, HostBatch]]:
    """The batches of `steps`; a signal may have reached the processes that read ahead, too, and ended them.

    Then this process reads by itself, as all processes of a run have to agree on the last step.
    """
    done = 0
    try:
        for t, batch in batches:
            yield t, batch
            done += 1
    except Exception:
        if not stop.requested:
            raise
        for t in steps[done:]:
            yield t, batch_at(t)


class _Pace:
    """Keeps the host close to the devices, all processes at one mind about stopping, and an eye on the clock."""

    def __init__(self, recipe: Recipe, stop: StopSignal):
        self._stop, self._running, self._outvoted = stop, collections.deque(), False
        self._vote = processes.Vote(recipe.mesh) if processes.several() else None
        self._watchdog = Watchdog(recipe.hang_seconds)
        self._watchdog.hear()

    def __enter__(self) -> "_Pace":
        return self

    def __exit__(self, *_: object) -> None:
        self._watchdog.close()

    def after(self, loss: jax.Array) -> None:
        """Waits until the host is at most `AHEAD` steps ahead of the devices."""
        self._running.append((loss, self._vote and self._vote.cast(self._stop.requested is not None)))
        if len(self._running) > AHEAD:
            loss, votes = self._running.popleft()
            loss.block_until_ready()
            self._outvoted = self._vote is not None and bool(votes)
            self._watchdog.hear()

    @property
    def leave(self) -> bool:
        """Whether the run is to stop now: the same in all processes, of several `AHEAD` steps after the signal."""
        return self._outvoted if self._vote else self._stop.requested is not None

    @contextlib.contextmanager
    def resting(self) -> Iterator[None]:
        """What is done between two steps may take as long as it takes."""
        self._watchdog.rest()
        yield
        self._watchdog.hear()


class _Between:
    """What happens between steps."""

    def __init__(
        self,
        recipe: Recipe,
        batch_at: Callable,
        checkpoints: Checkpoints,
        writer: MetricWriter,
        progress: Progress,
        evaluate: Callable,
        evaluated: Callable,
        resting: Callable,
        *,
        saved: int,
    ):
        self.recipe, self.batch_at, self.checkpoints = recipe, batch_at, checkpoints
        self.writer, self.progress, self.evaluate, self.evaluated = writer, progress, evaluate, evaluated
        self.resting = resting
        self.pending = Pending()
        self.clock: tuple[float, int] | None = None
        self.saved = saved

    def after(self, done: int, state: TrainState, values: dict[str, jax.Array]) -> None:
        """Logs, evaluates and saves where that is due after step number `done` (counted from 1)."""
        recipe, last = self.recipe, done == self.recipe.steps
        if done % recipe.log_every == 0 or last:
            self.write(self.pending.push(done, {**values, **self._speed(done)}), state)
        evaluated = last or bool(recipe.evaluate_every and done % recipe.evaluate_every == 0)
        saved = last or done % self.checkpoints.every == 0
        if evaluated or saved:
            with self.resting():
                self._pause(done, state, evaluated, saved)
        self.progress.update(done)

    def _pause(self, done: int, state: TrainState, evaluated: bool, saved: bool) -> None:
        """Evaluates and saves; the time that takes does not count as training."""
        self.write(self.pending.flush(), state)
        scores = self.evaluate(state) if evaluated else {}
        if scores:
            self.writer.write(done, scores)
        if saved or self.checkpoints.is_best(scores):
            self.save(done, state, scores)
        if evaluated:
            self.evaluated()
        self.clock = (time.monotonic(), done)

    def write(self, entries: list[tuple[int, dict[str, float]]], state: TrainState) -> None:
        """Writes fetched metrics; ends the run at the first step that is not finite."""
        for step, values in entries:
            self._refuse_bad(int(values.pop("bad_step")), state)
            speed = {name: values.pop(name) for name in (SPEED,) if name in values}
            self.writer.write(step, {f"train/{name}": value for name, value in values.items()} | speed)

    def save(self, done: int, state: TrainState, scores: dict[str, float]) -> None:
        """Saves a checkpoint, once it is sure that the state is worth it and its metrics are written."""
        self.write(self.pending.flush(), state)
        self._refuse_bad(int(state.bad_step), state)
        self.checkpoints.save(done, state, scores)
        self.saved = done

    def _speed(self, done: int) -> dict[str, float]:
        now, before = time.monotonic(), self.clock
        self.clock = (now, done)
        if before is None or done == before[1]:
            return {}
        return {SPEED: (done - before[1]) * self.recipe.batch_size / max(now - before[0], 1e-9)}

    def _refuse_bad(self, bad_step: int, state: TrainState) -> None:
        if bad_step < 0:
            return
        recipe = self.recipe
        batch = meshes.put_rows(self.batch_at(bad_step), recipe.mesh)
        culprit = first_bad_tensor(recipe.graphdef, state, batch, recipe.seed, bad_step)
        raise RunError(
            f"Step {bad_step + 1} is not finite; the first bad tensor is: {culprit}. Checkpoints kept, none of them "
            f"bad: {self.checkpoints.steps() or 'none yet'}. Look at the data, or lower the learning rate "
            "in a new --workdir."
        )
