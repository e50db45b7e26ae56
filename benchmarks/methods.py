"""Trains every method of a table on small real data, several seeds each, and checks what a method promises.

    python benchmarks/methods.py [--methods simclr byol] [--tables small_openmoji] [--jobs seeds] [--seeds 3] [--quick]

For each method of `configs/small_*.py`, `configs/masked_*.py` and `configs/paired_*.py`, and each of text, sound and
clips (`configs/*_kjv.py`, `configs/*_asterisk.py`, `configs/*_moving_digits.py`): one run of `launch.py` a seed on each
data set, and of what the table trains its network for further (`seeds`); what a run multiplies (`cost`); the largest
difference between 1 and 8 devices over the first steps (`parallel`); and a run that is killed with SIGKILL and
continued, against an undisturbed one (`resume`). What was found goes to docs/methods.json, one entry a job, and what is
there already of the same config is not done again, so the command may be stopped and repeated. docs/methods.md is made
of it (`benchmarks/methods_page.py`).
"""

import argparse
import functools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import jax  # noqa: E402
import numpy as np  # noqa: E402

from benchmarks import method_tables, methods_page  # noqa: E402
from benchmarks.joblist import Job, work_off  # noqa: E402
from ssl_jax.experiment import build  # noqa: E402
from ssl_jax.experiment.dry_run import step_multiply_adds  # noqa: E402
from ssl_jax.train import mesh as meshes  # noqa: E402
from ssl_jax.train.state import parameter_count  # noqa: E402
from ssl_jax.train.workdir import DIAGNOSIS  # noqa: E402
from tests.killed import assert_same, finish, last_step, outcome, start, wait_for_step  # noqa: E402
from tests.stepping import Stepper, relative_difference  # noqa: E402

EARLY_STEPS, PARALLEL_STEPS, KILL_STEPS, KILLS = 5, 20, 120, 3
JOBS = ("seeds", "cost", "parallel", "resume")
AS_A_USER = {"XLA_FLAGS": ""}  # environment of a run
ONLY_ACCURACY = [f"--config.evaluate.{leaf}" for leaf in ("every=0", "diagnostics=False", "map_limit=0")]  # is read
FEW = "--config.evaluate.limit=500"  # examples, where the sameness of results is looked at and not how good they are


Known = dict[tuple[str, int], float]  # by config and seed, what a network reaches that begins at random


def score(
    spec: str,
    seed: int,
    workdir: Path,
    data_dir: str | None,
    quick: bool,
    answers: tuple[str, ...] = (),
    known: Known | None = None,
) -> dict:
    """One run from its start to its report: its results, its parameters, and seconds from command to exit.

    Args:
      spec: of the config.
      seed: of the run.
      workdir: emptied first, as a run that goes on would be timed from there on.
      data_dir: where TFDS data lies.
      quick: does not evaluate during training, which changes no result but the time; so no seconds are given, nor
        whether the run raised the alarm of a collapse, nor what the last diagnosis was.
      answers: what its network is trained for further, which is not timed.
      known: of untrained networks; what is found is added.
    """
    begun = time.monotonic()
    done = _run(spec, seed, workdir, data_dir, *["--config.evaluate.every=0"] * quick)
    seconds, during = time.monotonic() - begun, {}
    if not quick:
        found = json.loads((workdir / DIAGNOSIS).read_text())["evaluations"]
        during = {"seconds": seconds, "alarm": "Collapse, " in done.stderr, "verdict": found[-1]["verdict"]}
    results = json.loads((workdir / "results.json").read_text())
    for answer in answers:
        results |= answered(spec, seed, workdir, data_dir, answer, {} if known is None else known)
    mesh = meshes.make_mesh(jax.devices()[:1])
    method = build(method_tables.config_of(spec), data_dir=data_dir, mesh=mesh).method
    sizes = {"parameters": parameter_count(method), "encoder": parameter_count(method.backbone)}
    return {"results": results, **during, **sizes}


def _run(spec: str, seed: int, workdir: Path, data_dir: str | None, *overrides: str) -> subprocess.CompletedProcess:
    """One run of `launch.py` in a folder that is emptied before, from its start to its report."""
    shutil.rmtree(workdir, ignore_errors=True)
    command = [sys.executable, str(ROOT / "launch.py"), f"--config={spec}", f"--config.seed={seed}"]
    command += [f"--workdir={workdir}", *([f"--data_dir={data_dir}"] if data_dir else []), *overrides]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | AS_A_USER, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{spec}, seed {seed}: {done.stderr.strip()}")
    return done


def answered(spec: str, seed: int, workdir: Path, data_dir: str | None, answer: str, known: Known) -> dict[str, float]:
    """How often the network of a run, and an untrained one, are right once they are trained for `answer`."""

    def reached(stage: str, *begin: str) -> float:
        further = workdir.with_name(f"{workdir.name}_{answer}_{stage}")
        _run(f"{spec}-{answer}", seed, further, data_dir, *ONLY_ACCURACY, *begin)
        return json.loads((further / "results.json").read_text())["pretrained/accuracy"]

    alike = _alike(f"{spec}-{answer}", seed)
    if alike not in known:
        known[alike] = reached("untrained")
    pretrained = reached("pretrained", f"--config.init_from={workdir}")
    return {f"pretrained/{answer}": pretrained, f"untrained/{answer}": known[alike]}


def _alike(spec: str, seed: int) -> tuple[str, int]:
    """By which untrained networks are known."""
    return method_tables.digest_of(method_tables.config_of(spec)), seed


def known_of(found: dict[str, dict]) -> Known:
    """What untrained networks reach, of what was found already: those of many methods are the same."""
    known = {}
    for key, entry in found.items():
        table, method, job = key.split("/")
        for answer in method_tables.answers_of(table) if job.startswith("seed") else ():
            spec = f"{method_tables.spec_of(table, method)}-{answer}"
            known[_alike(spec, int(job.removeprefix("seed")))] = entry["results"][f"untrained/{answer}"]
    return known


def earlier(spec: str, data_dir: str | None) -> None:
    """Trains what a method learns from, where it has not been trained yet."""
    first = method_tables.earlier_of(spec)
    if first is None:
        return
    workdir = ROOT / method_tables.config_of(spec)["method"]["tokenizer"]
    wanted, kept = method_tables.digest_of(method_tables.config_of(first)), workdir / "digest.txt"
    if not kept.exists() or kept.read_text() != wanted:
        _run(first, 0, workdir, data_dir)
        kept.write_text(wanted)


def cost(spec: str, data_dir: str | None) -> dict:
    """Multiply-adds of a whole run's train steps, on whatever devices."""
    config = method_tables.config_of(spec)
    experiment = build(config, data_dir=data_dir, mesh=meshes.make_mesh(jax.devices()[:1]))
    return {"multiply_adds": config["steps"] * step_multiply_adds(experiment)}


def parallel(spec: str, data_dir: str | None) -> dict:
    """Largest relative difference of the loss between 1 and 8 devices, from the same state, over the first steps.

    Given for fewer steps too: AdamW's first steps divide by gradients that are near 0, so that rounding grows.
    """
    config = method_tables.config_of(spec)
    one, eight = (_curve(config, devices, data_dir) for devices in (jax.devices()[:1], jax.devices()))
    found = relative_difference(config["method"]["name"], one, eight)
    early = {"early_difference": float(found[:EARLY_STEPS].max()), "early_steps": EARLY_STEPS}
    return {"difference": float(found.max()), "steps": PARALLEL_STEPS} | early


def _curve(config: dict, devices: list, data_dir: str | None) -> np.ndarray:
    stepper = Stepper(config, devices, data_dir)
    return stepper.run(stepper.experiment.initial_state(), 0, PARALLEL_STEPS)[1]


def resume(spec: str, draw: random.Random, data_dir: str | None) -> dict:
    """Whether a run that is killed at random steps ends as an undisturbed one: arrays, metrics and results."""
    total = KILL_STEPS + method_tables.config_of(spec)["schedule"].get("hold_steps", 0)
    run = lambda workdir: start(spec, workdir, data_dir, FEW, steps=total, environment=AS_A_USER)
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        finish(run(whole))
        reached = (_killed_at(spec, run, killed, draw.randint(1, total // (KILLS + 1))) for _ in range(KILLS))
        steps = [step for step in reached if step is not None]
        finish(run(killed))
        try:
            assert_same(outcome(whole, total), outcome(killed, total))
            same = True
        except AssertionError:
            same = False
    return {"exact": same, "steps_at_kills": steps, "kills": KILLS, "steps": total, "as_a_user": True}


def _killed_at(spec: str, run: Callable[[Path], subprocess.Popen], workdir: Path, further: int) -> int | None:
    """The last step that a run had logged when it was killed, so many further than before; None if it was over."""
    reach = last_step(workdir) + further
    process = run(workdir)
    wait_for_step(process, workdir, reach)
    process.kill()
    _, errors = process.communicate()
    if process.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"{spec}: {errors.decode().strip()}")
    return last_step(workdir) if process.returncode else None


def jobs(options: argparse.Namespace, known: Known) -> Iterator[Job]:
    """(key, function) of everything that was asked for; `known` is added to."""
    for table in options.tables:
        for method in method_tables.methods_of(table):
            if options.methods and method not in options.methods:
                continue
            spec, name = method_tables.spec_of(table, method), f"{table}/{method}"
            for seed in range(options.seeds if "seeds" in options.jobs else 0):
                given = (seed, options.workdir / table / f"{method}_seed{seed}", options.data_dir, options.quick)
                given += (method_tables.answers_of(table), known)
                yield f"{name}/seed{seed}", _after(spec, options, functools.partial(score, spec, *given))
            once = {
                "cost": functools.partial(cost, spec, options.data_dir),
                "parallel": functools.partial(parallel, spec, options.data_dir),
            }
            if table == method_tables.first_table_of(method) or table in method_tables.APART:
                once["resume"] = functools.partial(resume, spec, random.Random(name), options.data_dir)
            yield from ((f"{name}/{job}", _after(spec, options, once[job])) for job in once if job in options.jobs)


def _after(spec: str, options: argparse.Namespace, job: Callable[[], dict]) -> Callable[[], dict]:
    """The job, once what the method learns from is there."""

    def run() -> dict:
        earlier(spec, options.data_dir)
        return job()

    return run


def _options() -> argparse.Namespace:
    tables = method_tables.tables()
    methods = sorted({method for table in tables for method in method_tables.methods_of(table)})
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=methods, help="only these; all where it is left out")
    parser.add_argument("--tables", nargs="+", choices=tables, default=tables)
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=JOBS, help="what is done for each method")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, ...")
    parser.add_argument("--workdir", type=Path, default=ROOT / "runs" / "methods")
    parser.add_argument("--data_dir", default=None, help="where TFDS data lies")
    parser.add_argument(
        "--quick", action="store_true", help="scores alone, without seconds: no evaluations in training"
    )
    return parser.parse_args()


def main() -> None:
    options = _options()
    found = method_tables.read()
    lacks_seconds = lambda key: not options.quick and "results" in found[key] and "seconds" not in found[key]
    todo = [(key, job) for key, job in jobs(options, known_of(found)) if key not in found or lacks_seconds(key)]
    beside = lambda key: {"config": method_tables.digest(key), "hardware": method_tables.hardware()}
    work_off("methods", todo, found, methods_page, beside)


if __name__ == "__main__":
    main()
