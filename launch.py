"""ssl_jax: self-supervised learning in JAX.

Pretrains what a config says, on real data, and shows what was learned. The same command continues a run that was
stopped at any moment.

  python launch.py                                       SimCLR on handwritten digits, about a minute
  python launch.py --config=configs/mae_openmoji.py      any other config
  python launch.py --config=... --config.optimizer.learning_rate=0.3 --workdir=runs/lr0.3
  python launch.py --config=... --dry_run                config, parameters, FLOPs, memory, views; trains nothing
  python launch.py prepare imagenet2012                  downloads and prepares a TFDS data set
  python launch.py report --workdir=runs/quickstart      makes report.html again
  python launch.py diff A B                              what differs between two configs, files or runs' folders
"""

import argparse
import contextlib
import logging
import os
import pathlib
import sys
import warnings
from collections.abc import Iterator
from typing import Any, NoReturn

from ssl_jax.errors import RunError, UserError, unknown
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
    with _stoppable() as stop:
        from ssl_jax import config as configs

        spec = options.config or _beside(DEFAULT_CONFIG)
        config = configs.load(spec)
        for leaf, value in overrides:
            configs.override(config, leaf, value)
        from ssl_jax import experiment

        workdir = options.workdir or f"runs/{name_of(spec)}"
        if options.dry_run:
            return experiment.dry_run(configs.plain(config), workdir, data_dir=options.data_dir)
        return experiment.run(configs.plain(config), workdir, data_dir=options.data_dir, stop=stop)


def name_of(spec: str) -> str:
    """What the folder of a run is called: simclr for configs/simclr.py, simclr_smoke for configs/simclr.py:smoke."""
    path, _, variant = spec.partition(":")
    return "_".join(filter(None, (pathlib.Path(path).stem, variant)))


def _prepare(options: argparse.Namespace, overrides: list[tuple[str, str]]) -> int:
    if len(options.names) != 1 or overrides:
        raise UserError("prepare takes the name of a TFDS data set: python launch.py prepare NAME [--data_dir=DIR].")
    with _stoppable():
        from ssl_jax import data

        (name,) = options.names
        print(f"{name} is ready in {data.prepare(name, options.data_dir)}")
    return 0


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
    from ssl_jax import report

    if not options.workdir or overrides:
        raise UserError("report takes the folder of a run: python launch.py report --workdir=DIR.")
    print(report.write(options.workdir))
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


COMMANDS = {"train": _train, "prepare": _prepare, "report": _report, "diff": _diff}
TAKEN = {
    "train": ("config", "workdir", "data_dir", "dry_run"),
    "prepare": ("data_dir",),
    "report": ("workdir",),
    "diff": (),
}
OPTIONS = (*(f"--{name}" for name in TAKEN["train"]), "--help")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Says what is wrong in one line, without the usage."""
        message = message.replace("ignored explicit argument", "takes no value, but there is")
        raise UserError(f"{message}; see python launch.py --help.")


def _parse(arguments: list[str]) -> tuple[argparse.Namespace, list[tuple[str, str]]]:
    options, overrides = _split_overrides(arguments)
    parser = _parser()
    options, rest = parser.parse_known_args(options)
    if options.command.partition(":")[0].endswith(".py"):
        parser.error(f"a config is named by an option: --config={options.command}")
    if options.command not in COMMANDS:
        raise unknown("command", options.command, COMMANDS)
    if rest and not rest[0].startswith("-"):
        parser.error(f"unexpected argument {rest[0]!r}")
    if rest:
        raise unknown("option", rest[0].partition("=")[0], (*OPTIONS, "--config.a.b"))
    for name in TAKEN["train"]:
        if getattr(options, name) and name not in TAKEN[options.command]:
            parser.error(f"{options.command} takes no --{name}")
    if options.names and options.command not in ("prepare", "diff"):
        parser.error(f"unexpected argument {options.names[0]!r}: {options.command} takes options only")
    return options, overrides


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="launch.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("command", nargs="?", default="train", help=f"{', '.join(COMMANDS)} (default train)")
    parser.add_argument("names", nargs="*", help="for prepare the data set, for diff the two configs")
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
    return parser


def _split_overrides(arguments: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Takes '--config.a.b=v' and '--config.a.b v' out of the arguments."""
    rest, overrides, waiting = [], [], iter(arguments)
    for argument in waiting:
        if not argument.startswith("--config."):
            rest.append(argument)
            continue
        leaf, equals, value = argument.removeprefix("--config.").partition("=")
        value = value if equals else next(waiting, "--")
        if not equals and value.startswith("--"):
            raise UserError(f"{argument} needs a value: {argument}=VALUE.")
        overrides.append((leaf, value))
    return rest, overrides


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


if __name__ == "__main__":
    _set_logging()
    sys.exit(main(sys.argv[1:]))
