"""ssl_jax: self-supervised learning in JAX.

Pretrains what a config says, on real data, and shows what was learned. The same command continues a run that was
stopped at any moment.

  python launch.py                                       SimCLR on handwritten digits, about a minute
  python launch.py --config=configs/mae_openmoji.py      any other config
  python launch.py --config=... --config.optimizer.learning_rate=0.3 --workdir=runs/lr0.3
  python launch.py --config=... --dry_run                config, parameters, FLOPs, memory, views; trains nothing
  python launch.py prepare imagenet2012                  downloads and prepares a TFDS data set
  python launch.py prepare --config=...                  the same, and tokenises and packs what the config reads
  python launch.py report runs/quickstart                makes report.html again, of a run or of a whole sweep
  python launch.py sweep --config=... --on.jobs=2        the runs that the config's sweep() yields, some at a time
  python launch.py sweep --config=... --search=tpe --search.trials=20     the runs that Optuna proposes to its search()
  python launch.py plan --config=... --topology=v5e:16x16   memory, time and cost on a TPU slice that is not here
  python launch.py evaluate runs/bert_kjv --task=glue/mrpc --task.epochs=3    fine-tunes what was learnt on a task
  python launch.py export runs/bert_kjv --to=hf --out=DIR   what transformers' from_pretrained loads
  python launch.py diff A B                              what differs between two configs, files or runs' folders
"""

import argparse
import contextlib
import dataclasses
import logging
import os
import pathlib
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from ssl_jax.errors import RunError, UserError, unknown
from ssl_jax.train import memory
from ssl_jax.train.signals import EXIT_STOPPED, StopSignal

DEFAULT_CONFIG = "configs/quickstart.py"


def main(arguments: list[str]) -> int:
    """Runs one command; returns the exit status: 0 done, 75 stopped after saving, 2 the user's mistake, 1 else."""
    _set_compilation_cache()
    try:
        options, overrides = _parse(arguments)
        return COMMANDS[options.command](options, overrides)
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except RunError as error:
        print(f"Failed: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno is None:
            raise
        print(f"Failed: {error}. What was saved is whole: mend this, then run the same command again.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped by SIGINT. Run the same command to go on.", file=sys.stderr)
        return EXIT_STOPPED


def _train(options: argparse.Namespace, overrides: list[tuple[str, str]]) -> int:
    if options.processes is not None and options.process_id is None and options.coordinator is None:
        return _together(options)
    with _stoppable() as stop:
        config = _config(options, overrides)
        from ssl_jax import experiment
        from ssl_jax.train import processes, runs

        processes.join(_place(options))
        if not processes.first():
            sys.stdout = open(os.devnull, "w")  # one of them speaks
        workdir = options.workdir or f"runs/{name_of(options.config or DEFAULT_CONFIG)}"
        if options.dry_run:
            return experiment.dry_run(config, workdir, data_dir=options.data_dir)
        if processes.first():
            runs.remember_own(workdir, _literals(overrides))
        return experiment.run(config, workdir, data_dir=options.data_dir, stop=stop)


def _config(options: argparse.Namespace, overrides: list[tuple[str, str]]) -> dict[str, Any]:
    """What the command asks for, plain."""
    from ssl_jax import config as configs

    config = configs.load(options.config or _beside(DEFAULT_CONFIG))
    for leaf, value in overrides:
        configs.override(config, leaf, value)
    return configs.plain(config)


def _together(options: argparse.Namespace) -> int:
    """Starts the same command as several processes of one run on this machine."""
    from ssl_jax.launchers import together

    if options.processes < 1:
        raise UserError(f"--processes is {options.processes}; it must be at least 1.")
    return together.run([sys.executable, _beside("launch.py"), *options.arguments], options.processes)


def _place(options: argparse.Namespace) -> Any:
    """Where the command says that this process stands among others of its run, None where it does not."""
    given = {name: getattr(options, name) for name in ("coordinator", "processes", "process_id")}
    if all(value is None for value in given.values()):
        return None
    missing = [f"--{name}" for name, value in given.items() if value is None]
    if missing:
        raise UserError(
            f"{' and '.join(missing)} is missing: a process of several takes --coordinator=HOST:PORT, "
            "--processes=N and --process_id=I. For several processes on this machine write --processes=N alone."
        )
    from ssl_jax.train.processes import Place

    return Place(**given)


def name_of(spec: str) -> str:
    """What the folder of a run is called: simclr for configs/simclr.py, simclr_smoke for configs/simclr.py:smoke."""
    path, _, variant = spec.partition(":")
    return "_".join(filter(None, (pathlib.Path(path).stem, variant)))


def _sweep(options: argparse.Namespace, overrides: list[tuple[str, str]]) -> int:
    from ssl_jax import config as configs
    from ssl_jax.experiment.resolve import resolved
    from ssl_jax.launchers import engines, local
    from ssl_jax.train import runs, workdir

    spec = options.config or _beside(DEFAULT_CONFIG)
    folder = pathlib.Path(options.workdir or f"runs/{name_of(spec)}_sweep").expanduser().absolute()
    common = _literals(overrides)

    def check(run: runs.Run) -> None:
        workdir.check_config(run.folder, resolved(configs.plain(configs.overridden(spec, run.overrides))))

    sweep = runs.Sweep((sys.executable, _beside("launch.py")), spec, (), options.data_dir)
    if options.search:
        return _search(options, sweep, folder, common, check)
    sweep = dataclasses.replace(sweep, runs=tuple(runs.expand(folder, configs.sweep(spec), common)))
    engine = engines.engine(options.on or "local", _literals(options.on_settings))
    for run in sweep.runs:
        check(run)
    if options.dry_run:
        import rich

        rich.print(local.table(sweep, {run.folder: run.state() for run in sweep.runs}))
        print(engine.preview(sweep), end="")
        return 0
    with _stoppable() as stop:
        return engine.run(sweep, stop)


def _search(options: argparse.Namespace, sweep: Any, folder: pathlib.Path, common: dict, check: Callable) -> int:
    from ssl_jax import config as configs
    from ssl_jax.launchers import engines, search

    if options.on not in (None, "local"):
        raise UserError(f"--search is for this machine and takes no --on={options.on}; leave that out.")
    asked = search.search(options.search, _literals(options.search_settings))
    engine = engines.engine("local", _literals(options.on_settings))
    space = search.Space(sweep, folder, common, configs.search(sweep.config), check)
    from ssl_jax.launchers import worker  # it imports Optuna

    if options.dry_run:
        import rich

        rich.print(worker.preview(asked, space))
        return 0
    with _stoppable() as stop:
        return worker.run(asked, space, engine.slots, stop)


def _literals(settings: list[tuple[str, str]]) -> dict[str, Any]:
    """What the command line gives, as Python's values where it is that."""
    from ssl_jax import config as configs

    return {name: configs.literal(value) for name, value in settings}


def _plan(options: argparse.Namespace, overrides: list[tuple[str, str]]) -> int:
    if not options.topology:
        raise UserError("plan needs the devices to plan for: --topology=v5e:16x16, for example, or cpu:8, or gpu.")
    from ssl_jax.launchers import chips

    os.environ.update(chips.environment(options.topology))
    from ssl_jax.experiment import plan

    return plan.show(_config(options, overrides), options.topology)


def _prepare(options: argparse.Namespace, overrides: list[tuple[str, str]]) -> int:
    if len(options.names) != (not options.config) or (overrides and not options.config):
        raise UserError(
            "prepare takes the name of a TFDS data set, or a config for all that its runs read: "
            "python launch.py prepare NAME, or python launch.py prepare --config=FILE."
        )
    if options.workers is not None and (not options.config or options.workers < 1):
        raise UserError("--workers is the number of processes that tokenize the text of a --config: 1 or more.")
    with _stoppable():
        from ssl_jax import data

        if options.config:
            config = _config(options, overrides)
            from ssl_jax import experiment

            experiment.check(config)
            data.prepare_all(config["data"], options.data_dir, processes=options.workers or _cpus())
            print(f"All that {options.config} reads is ready.")
            return 0
        (name,) = options.names
        print(f"{name} is ready in {data.prepare(name, options.data_dir)}")
    return 0


def _cpus() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def _stoppable() -> Iterator[StopSignal]:
    """Handles SIGTERM and SIGINT."""
    stop = StopSignal(_leave)
    try:
        yield stop
    finally:
        stop.restore()


def _leave(line: str) -> NoReturn:
    """Ends the process here and now, which loses no more than kill -9.

    An exception would come out of any line: imports take it for a failure of their own, callbacks swallow it, and XLA's
    compiling threads crash at the end of an interpreter that does not wait for them.
    """
    os.write(2, f"{line} Run the same command to go on.\n".encode())
    os._exit(EXIT_STOPPED)


def _report(options: argparse.Namespace, overrides: list[tuple[str, str]]) -> int:
    folders = [*options.names, *filter(None, [options.workdir])]
    if len(folders) != 1 or overrides:
        raise UserError("report takes the folder of a run or of a sweep: python launch.py report DIR.")
    from ssl_jax import report

    (folder,) = folders
    print(report.write_sweep(folder) if report.is_sweep(folder) else report.write(folder))
    return 0


def _evaluate(options: argparse.Namespace, overrides: list[tuple[str, str]]) -> int:
    if len(options.names) != 1 or overrides or not options.task:
        raise UserError("evaluate takes the folder of a run: python launch.py evaluate DIR --task=glue/mrpc.")
    with _stoppable():
        from ssl_jax import experiment

        (folder,) = options.names
        settings = _literals(options.task_settings)
        for name, value in experiment.evaluate(folder, options.task, settings, data_dir=options.data_dir).items():
            print(f"{name} = {value:.4f}")
    return 0


def _export(options: argparse.Namespace, overrides: list[tuple[str, str]]) -> int:
    if len(options.names) != 1 or overrides or not options.to or not options.out:
        raise UserError("export takes the folder of a run: python launch.py export DIR --to=hf --out=DIR.")
    if options.to != "hf":
        raise unknown("export --to", options.to, ("hf",))
    with _stoppable():
        from ssl_jax import experiment

        (folder,) = options.names
        for path in experiment.export(folder, options.out, data_dir=options.data_dir):
            print(path)
    return 0


def _diff(options: argparse.Namespace, overrides: list[tuple[str, str]]) -> int:
    if len(options.names) != 2 or overrides:
        raise UserError("diff takes two configs, files or folders of runs: python launch.py diff A B.")
    import rich

    from ssl_jax.experiment import diff

    found = diff.differences(*options.names)
    if found:
        rich.print(diff.table(found, *options.names))
    else:
        print(f"No leaf differs between {options.names[0]} and {options.names[1]}.")
    return 0


COMMANDS = {
    "train": _train,
    "sweep": _sweep,
    "plan": _plan,
    "prepare": _prepare,
    "report": _report,
    "evaluate": _evaluate,
    "export": _export,
    "diff": _diff,
}
TAKEN = {
    "train": ("config", "workdir", "data_dir", "dry_run", "processes", "process_id", "coordinator"),
    "plan": ("config", "topology"),
    "sweep": ("config", "workdir", "data_dir", "dry_run", "on", "search"),
    "prepare": ("config", "data_dir", "workers"),
    "report": ("workdir",),
    "evaluate": ("task", "data_dir"),
    "export": ("to", "out", "data_dir"),
    "diff": (),
}
TAKEN_BY_ANY = tuple(dict.fromkeys(name for names in TAKEN.values() for name in names))
OPTIONS = (*(f"--{name}" for name in TAKEN_BY_ANY), "--help")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Says what is wrong in one line, without the usage."""
        message = message.replace("ignored explicit argument", "takes no value, but there is")
        raise UserError(f"{message}; see python launch.py --help.")


def _parse(arguments: list[str]) -> tuple[argparse.Namespace, list[tuple[str, str]]]:
    rest, overrides = _split(arguments, "--config.")
    rest, on_settings = _split(rest, "--on.")
    rest, search_settings = _split(rest, "--search.")
    rest, task_settings = _split(rest, "--task.")
    parser = _parser()
    options, rest = parser.parse_known_args(rest)
    options.arguments, options.on_settings, options.search_settings = arguments, on_settings, search_settings
    options.task_settings = task_settings
    if options.command.partition(":")[0].endswith(".py"):
        parser.error(f"a config is named by an option: --config={options.command}")
    if options.command not in COMMANDS:
        raise unknown("command", options.command, COMMANDS)
    if rest and not rest[0].startswith("-"):
        parser.error(f"unexpected argument {rest[0]!r}")
    if rest:
        raise unknown("option", rest[0].partition("=")[0], (*OPTIONS, "--config.a.b"))
    for name in TAKEN_BY_ANY:
        if getattr(options, name) and name not in TAKEN[options.command]:
            parser.error(f"{options.command} takes no --{name}")
    for name, settings in (("on", on_settings), ("search", search_settings)):
        if settings and options.command != "sweep":
            parser.error(f"{options.command} takes no --{name}.{settings[0][0]}")
    if task_settings and options.command != "evaluate":
        parser.error(f"{options.command} takes no --task.{task_settings[0][0]}")
    if search_settings and not options.search:
        parser.error(f"--search.{search_settings[0][0]} needs --search=tpe, or another sampler")
    if options.names and options.command not in ("prepare", "report", "evaluate", "export", "diff"):
        parser.error(f"unexpected argument {options.names[0]!r}: {options.command} takes options only")
    return options, overrides


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="launch.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("command", nargs="?", default="train", help=f"{', '.join(COMMANDS)} (default train)")
    parser.add_argument(
        "names", nargs="*", help="prepare: the data set; report, evaluate, export: the folder; diff: two"
    )
    parser.add_argument(
        "--config",
        metavar="FILE[:VARIANT]",
        help=f"config file, and which of its variants, such as smoke (default {DEFAULT_CONFIG})",
    )
    parser.add_argument("--config.a.b", metavar="VALUE", help="overrides one leaf of the config, here config.a.b")
    parser.add_argument("--workdir", metavar="DIR", help="the run's folder (default runs/NAME_OF_CONFIG[_VARIANT])")
    parser.add_argument("--data_dir", metavar="DIR", help="where TFDS data lies (default: TFDS's own)")
    parser.add_argument(
        "--dry_run", action="store_true", help="shows what would be trained, and trains nothing (views: DIR/dry_run)"
    )
    parser.add_argument("--topology", metavar="CHIP:SHAPE", help="of a plan: such as v5e:16x16, v5p:4x4x4")
    parser.add_argument("--on", metavar="ENGINE", help="of a sweep: local, slurm, skypilot, xpk (default local)")
    parser.add_argument("--on.a", metavar="VALUE", help="of a sweep: a setting of the engine, such as --on.jobs=2")
    parser.add_argument("--search", metavar="SAMPLER", help="of a sweep: tpe, random, qmc propose its runs (Optuna)")
    parser.add_argument("--search.a", metavar="VALUE", help="of a search: a setting, such as --search.trials=20")
    parser.add_argument("--task", metavar="TASK", help="of an evaluation: probe, ctc, glue/mrpc, similarity/stsb, ...")
    parser.add_argument("--task.a", metavar="VALUE", help="of a task: a setting, such as --task.epochs=3")
    parser.add_argument("--to", metavar="FORMAT", help="of an export: hf (transformers' config.json and safetensors)")
    parser.add_argument("--out", metavar="DIR", help="of an export: a new folder")
    parser.add_argument("--processes", type=int, metavar="N", help="so many processes, alone: on this machine")
    parser.add_argument("--process_id", type=int, metavar="I", help="which of --processes this one is, from 0")
    parser.add_argument(
        "--workers", type=int, metavar="N", help="of prepare: processes that tokenise (default: all CPUs)"
    )
    parser.add_argument("--coordinator", metavar="HOST:PORT", help="where process 0 can be reached by the others")
    return parser


def _split(arguments: list[str], prefix: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Takes '--config.a.b=v' and '--config.a.b v' out of the arguments, where the prefix is '--config.'."""
    rest, found, waiting = [], [], iter(arguments)
    for argument in waiting:
        if not argument.startswith(prefix):
            rest.append(argument)
            continue
        name, equals, value = argument.removeprefix(prefix).partition("=")
        value = value if equals else next(waiting, "--")
        if not equals and value.startswith("--"):
            raise UserError(f"{argument} needs a value: {argument}=VALUE.")
        found.append((name, value))
    return rest, found


def _set_logging() -> None:
    """Warnings as one line each, without the tracebacks that Orbax's threads tell of errors that it raises as well."""

    def ours(record: logging.LogRecord) -> bool:
        return record.name != "asyncio" and f"{os.sep}orbax{os.sep}" not in record.pathname

    def unraisable(told: Any) -> None:
        if "Event loop is closed" not in str(told.exc_value):
            sys.__unraisablehook__(told)

    handler = logging.StreamHandler()
    handler.addFilter(ours)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING, handlers=[handler])
    sys.unraisablehook = unraisable
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)


def _set_compilation_cache() -> None:
    """Turns the persistent compilation cache on, unless the environment says otherwise."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "ssl_jax" / "xla"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")  # a hundred small programs add up


def _beside(name: str) -> str:
    """A path of the project, however the working directory is chosen."""
    return str(pathlib.Path(__file__).resolve().parent / name)


def _leave_others(status: int) -> None:
    """Ends a process that failed at once: at the end of the interpreter JAX would wait for the others."""
    if "jax" in sys.modules and status not in (0, EXIT_STOPPED):
        from ssl_jax.train import processes

        if processes.several():
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)


if __name__ == "__main__":
    memory.keep_freed()
    _set_logging()
    try:
        status = main(sys.argv[1:])
    except Exception:
        traceback.print_exc()
        status = 1
    _leave_others(status)
    sys.exit(status)
