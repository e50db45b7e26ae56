"""One run: prepare, measure the baselines, train, evaluate, show. Safe to repeat at any moment."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from ssl_jax import config as configs
from ssl_jax import evaluate, methods
from ssl_jax.errors import UserError
from ssl_jax.experiment import device_errors, preparing, show
from ssl_jax.experiment.build import Experiment, build
from ssl_jax.experiment.collapse import Watch
from ssl_jax.experiment.resolve import resolved
from ssl_jax.experiment.scores import Scorer
from ssl_jax.train import mesh as meshes
from ssl_jax.train import processes
from ssl_jax.train.checkpoints import Checkpoints
from ssl_jax.train.loop import Outcome, fit
from ssl_jax.train.metrics import MetricWriter, Progress, Silent
from ssl_jax.train.signals import EXIT_STOPPED, StopSignal
from ssl_jax.train.state import TrainState
from ssl_jax.train.workdir import Workdir, check_config


def run(
    config: Mapping[str, Any],
    workdir: str | os.PathLike,
    *,
    data_dir: str | None = None,
    stop: StopSignal | None = None,
    method_table: Mapping[str, Callable] = methods.METHODS,
) -> int:
    """Trains what `config` says in `workdir`, from wherever the run there stands, to the report.

    Args:
      config: plain, as `config.plain` gives it; the run is of it as `resolved`.
      workdir: the run's folder, made where missing.
      data_dir: where TFDS data lies, None for TFDS's own default.
      stop: handles signals; None for a new one, whose handlers are taken away again at the end.
      method_table: name -> class of the methods that the config may name.

    Returns:
      The exit status: 0 done, 75 stopped by a signal after saving.

    Raises:
      UserError: the config, the data or the workdir is wrong.
      RunError: the run failed.
    """
    config = resolved(config, method_table)
    own, stop = stop is None, stop or StopSignal()
    stop.any_of = processes.any_of if processes.several() else None
    folder = Workdir(workdir, writes=processes.first())
    try:
        check_config(folder.path, config)
        if processes.of_first(folder.read_json("results.json") is not None):
            print(f"This run is finished; its results are in {folder.path}. For a new run choose another --workdir.")
            return 0
        with folder.noting_failure(), device_errors.in_one_line():
            experiment = build(config, data_dir=data_dir, method_table=method_table)
            scorer = Scorer(experiment, stop.point)
            scorer.check_best()
            if folder.read_json("config.json") is None:
                experiment.initial_weights()
            folder.write_json("config.json", experiment.config)  # not before: one that cannot run owns no folder
            preparing.keep_earlier(experiment.method, folder)
            _check_shared(folder)
            return _run(experiment, scorer, folder, stop)
    finally:
        folder.release()
        if own:
            stop.restore()


def _check_shared(folder: Workdir) -> None:
    """Raises UserError, in all processes, where one of them does not see what the first one writes."""
    processes.meet("config.json")
    if processes.any_of(folder.read_json("config.json") is None):
        raise UserError(f"Not all processes of this run see {folder.path}; all hosts must share it.")


def _run(experiment: Experiment, scorer: Scorer, folder: Workdir, stop: StopSignal) -> int:
    if processes.first():
        show.announce(experiment, folder)
        show.views(experiment, folder)
    baselines, state = folder.read_json("baselines.json"), None
    if processes.any_of(baselines is None):
        state = experiment.initial_state()
        baselines = _baselines(scorer, state, folder)
    checkpoints = configs.construct(Checkpoints, experiment.config["checkpoint"], "config.checkpoint", folder.path)
    try:
        state = checkpoints.restore(experiment.abstract_state()) or state or experiment.initial_state()
        watch = _watch(experiment, folder, int(state.step))
        outcome = _train(experiment, folder, scorer, watch, state, checkpoints, stop)
        if outcome.stopped or processes.any_of(stop.requested is not None):
            print(f"Stopped at step {int(outcome.state.step)} and saved. Run the same command to go on.", flush=True)
            return EXIT_STOPPED
        splits = scorer.splits(outcome.state)
        results = baselines | evaluate.prefixed("pretrained", scorer.full(outcome.state, splits))
        module = experiment.module(meshes.on_one_device(outcome.state))
        if processes.first():
            show.end(experiment, module, folder, results, splits, watch.summary())
        folder.write_json("results.json", results)
        processes.meet("end of the run")
        return 0
    finally:
        checkpoints.close()


def _baselines(scorer: Scorer, state: TrainState, folder: Workdir) -> dict[str, float]:
    """Scores of raw inputs and of the untrained network, kept so that a run that goes on need not repeat them."""
    print("Measuring the baselines: raw inputs and the untrained network.", flush=True)
    scores = evaluate.prefixed("raw", scorer.raw(state)) | evaluate.prefixed("untrained", scorer.full(state))
    folder.write_json("baselines.json", scores)
    return scores


def _watch(experiment: Experiment, folder: Workdir, start: int) -> Watch:
    config = experiment.config
    return Watch(
        folder,
        start,
        patience=experiment.plan.patience(experiment.recipe.steps),
        on_collapse=config["on_collapse"],
        method_name=config["method"]["name"],
        causes=getattr(experiment.method, "collapse_causes", None),
    )


def _train(
    experiment: Experiment,
    folder: Workdir,
    scorer: Scorer,
    watch: Watch,
    state: TrainState,
    checkpoints: Checkpoints,
    stop: StopSignal,
) -> Outcome:
    recipe, start = experiment.recipe, int(state.step)
    if start:
        print(f"Going on from the checkpoint of step {start}.", flush=True)
    if processes.first():
        writer = MetricWriter(folder.path, start)
        progress = Progress(experiment.config["method"]["name"], recipe.steps, start, recipe.batch_size)
    else:
        writer = progress = Silent()

    def evaluate_and_note(state: TrainState) -> dict[str, float]:
        scores, found = scorer.during(state)
        if found is not None:
            watch.add(found)
            progress.note = found.verdict
        return scores

    try:
        with stop:
            outcome = fit(
                recipe,
                state,
                experiment.batches(start),
                batch_at=experiment.batch_at,
                checkpoints=checkpoints,
                writer=writer,
                progress=progress,
                evaluate=evaluate_and_note,
                evaluated=lambda: watch.judge(progress.warn),
                stop=stop,
            )
    finally:
        progress.close()
        writer.close()
    done = int(outcome.state.step)
    if done > start:
        print(f"Steps {start + 1} to {done} took {outcome.seconds:.0f} s, with evaluations.", flush=True)
    return outcome
