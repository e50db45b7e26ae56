"""What the training loop costs beyond the compiled step: data, logging, progress and checkpoints, without evaluation.

    python benchmarks/overhead.py [--config=configs/quickstart.py] [--batch_size=256] [--steps=200] [--rounds=5]

Rounds of the bare step on one fixed batch that lies on the device, and of the whole loop, take turns in one process.
The best round of each counts, so that what else the machine does weighs as little as possible; where it does much, the
ratio of processor times says more. A round of the loop writes at least one checkpoint and ends when that is on disk.
"""

import argparse
import contextlib
import dataclasses
import io
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import tensorboardX  # noqa: F401  the loop imports it with its first line of metrics: once a run, so not timed here

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ssl_jax import config as configs  # noqa: E402
from ssl_jax.experiment import Experiment, build  # noqa: E402
from ssl_jax.train import mesh as meshes  # noqa: E402
from ssl_jax.train.checkpoints import Checkpoints  # noqa: E402
from ssl_jax.train.loop import fit, jit_train_step  # noqa: E402
from ssl_jax.train.metrics import MetricWriter, Progress  # noqa: E402
from ssl_jax.train.signals import StopSignal  # noqa: E402
from ssl_jax.train.state import TrainState  # noqa: E402

WARM_UP = 10
Seconds = tuple[float, float]
"""Wall time and processor time."""


class Clock:
    """Hands batches on, and notes the time before the first one after the warm-up, with nothing left under way."""

    def __init__(self, batches: Iterator, steps: int):
        self.batches, self.timed, self.begun = batches, steps - WARM_UP, (0.0, 0.0)

    def __iter__(self) -> Iterator:
        for number, batch in enumerate(self.batches):
            if number == WARM_UP:
                jax.block_until_ready(jax.live_arrays())
                self.begun = _now()
            yield batch

    def seconds(self) -> Seconds:
        """Of one step, up to now."""
        return tuple((now - begun) / self.timed for now, begun in zip(_now(), self.begun))


def _now() -> Seconds:
    return time.perf_counter(), time.process_time()


def bare(experiment: Experiment, state: TrainState) -> Seconds:
    """One step on a batch that stays on the device."""
    recipe = experiment.recipe
    train_step = jit_train_step(recipe, state)
    state, batch = _copy(state), meshes.put_rows(experiment.batch_at(0), recipe.mesh)
    clock = Clock(iter(range(recipe.steps)), recipe.steps)
    for _ in clock:
        state, _ = train_step(state, batch)
    jax.block_until_ready(state)
    return clock.seconds()


def _copy(state: TrainState) -> TrainState:
    """A step takes the buffers of its state."""
    return jax.tree.map(jnp.copy, state)


def whole(experiment: Experiment, state: TrainState) -> Seconds:
    """One step of the loop as a run has it."""
    recipe = experiment.recipe
    clock, stop = Clock(experiment.batches(0), recipe.steps), StopSignal()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        path = Path(folder)
        checkpoints, writer = Checkpoints(path, **experiment.config["checkpoint"]), MetricWriter(path, 0)
        progress = Progress("loop", recipe.steps, 0, recipe.batch_size)
        fit(
            recipe,
            _copy(state),
            clock,
            batch_at=experiment.batch_at,
            checkpoints=checkpoints,
            writer=writer,
            progress=progress,
            evaluate=lambda state: {},
            evaluated=lambda: None,
            stop=stop,
        )
        seconds = clock.seconds()
        progress.close()
        writer.close()
        checkpoints.close()
        stop.restore()
    return seconds


def prepare(options: argparse.Namespace) -> Experiment:
    """The experiment of the config, with the length and batch size of the benchmark and no evaluation."""
    config = configs.plain(configs.load(options.config)) | {"batch_size": options.batch_size}
    experiment = build(config, data_dir=options.data_dir)
    recipe = dataclasses.replace(experiment.recipe, steps=WARM_UP + options.steps, evaluate_every=0)
    return dataclasses.replace(experiment, recipe=recipe)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=str(Path(__file__).resolve().parents[1] / "configs" / "quickstart.py"))
    parser.add_argument("--data_dir", help="where TFDS data lies (default: TFDS's own)")
    parser.add_argument("--batch_size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=200, help="steps of one round that are timed")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        jax.config.update("jax_compilation_cache_dir", cache)  # each round makes its own jit of the same step
        measure(prepare(options), options.rounds)


def measure(experiment: Experiment, count: int) -> None:
    """Runs `count` rounds and prints a table."""
    state = experiment.initial_state()
    print(f"{'':10}{'wall, ms a step':^30}{'processor, ms a step':^30}")
    print(" " * 10 + f"{'bare':>10}{'loop':>10}{'ratio':>10}" * 2, flush=True)
    rounds = []
    for number in range(1, count + 1):
        rounds.append((bare(experiment, state), whole(experiment, state)))
        _show(f"round {number}", *rounds[-1])
    best = [tuple(map(min, zip(*seconds))) for seconds in zip(*rounds)]
    _show("best", *best)
    wall, processor = (loop / step for step, loop in zip(*best))
    print(f"The loop costs {wall - 1:+.1%} (goal: under +5%), and {processor - 1:+.1%} of processor time.")


def _show(what: str, step: Seconds, loop: Seconds) -> None:
    cells = (f"{a * 1e3:10.2f}{b * 1e3:10.2f}{b / a:10.3f}" for a, b in zip(step, loop))
    print(f"{what:10}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
